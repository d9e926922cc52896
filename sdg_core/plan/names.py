"""Looking up column names: globs, and the likeliest meaning of a misspelt one."""

import difflib
import fnmatch
from collections.abc import Iterable


def matching_columns(pattern: str, names: Iterable[str]) -> list[str]:
    """Names that equal `pattern` or match it as a `*` glob, in the order given."""
    return [name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)]


def closest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` or the list of what there is, for the end of a message."""
    names = sorted(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    if match:
        return f"; did you mean {match[0]!r}?"
    return (
        f"; there is {', '.join(map(repr, names[:12]))}{', ...' if len(names) > 12 else ''}"
        if names
        else "; there are none"
    )
