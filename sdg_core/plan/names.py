"""Names: globs of columns, the likeliest meaning of a misspelt one, and what may be the name of an environment variable."""

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Sequence

from sdg_core.config.base import is_variable_name


def matching_columns(pattern: str, names: Iterable[str]) -> list[str]:
    """Names that equal `pattern` or match it as a `*` glob, in the order given."""
    return [
        name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)
    ]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` or the list of what there is, for the end of a message."""
    names = sorted(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    if match:
        return f"; did you mean {match[0]!r}?"
    if not names:
        return "; there are none"
    shown = [repr(known_name) for known_name in names[:12]]
    if len(names) > 12:
        shown.append("...")
    return f"; there is {', '.join(shown)}"


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, with as many underscores before it as it takes to be none of those taken."""
    while name in taken:
        name = f"_{name}"
    return name


def duplicates(names: Sequence[str]) -> list[tuple[int, str]]:
    """Names that stand there a second time, with their places."""
    return [(index, name) for index, name in enumerate(names) if name in names[:index]]


def looks_like_env_var(text: str) -> bool:
    """Whether text may name an environment variable, rather than being a key: keys have other characters, or go on for long
    without an underscore, or mix cases."""
    if not is_variable_name(text):
        return False
    if len(text) < 20:
        return True
    if text not in (text.upper(), text.lower()):
        return False
    longest_word = max(map(len, text.split("_")))
    return longest_word < 20
