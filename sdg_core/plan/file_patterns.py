"""Files that a pattern matches, where links may lead back to where they lie.

`glob` follows every link that `**` meets: one that leads to a directory above it gives each file dozens of names, and two of them
more than anybody can wait for. Here `**` does not go into a directory that it is in already, and refuses links that cross each
other without end.
"""

import glob
import os
from collections.abc import Iterator

from sdg_core.errors import SeedError

MAX_BEHIND_LINKS = 100_000
"""Directories behind links that one pattern looks into."""
_ANY_DEPTH = "**"
_Identity = tuple[int, int]


def matching(pattern: str) -> Iterator[str]:
    """What a pattern matches, each name once, in no order; the wildcards are those of `glob` with `recursive=True`.

    Raises SeedError if links lead to more directories than anybody means.
    """
    seen: set[str] = set()
    for name in _Walk(pattern).names(pattern):
        if name not in seen:
            seen.add(name)
            yield name


class _Walk:
    """One look at the directories of a pattern."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._behind_links = 0

    def names(self, pattern: str) -> Iterator[str]:
        """What a pattern matches, some of it perhaps several times."""
        parts = pattern.split(os.sep)
        if _ANY_DEPTH not in parts:
            yield from glob.iglob(pattern)
            return
        at = parts.index(_ANY_DEPTH)
        start = os.sep.join(parts[:at]) or os.sep * (at > 0)
        rest = os.sep.join(parts[at + 1 :]) or "*"
        for top in glob.iglob(start) if glob.has_magic(start) else [start]:
            for directory in self._directories(top):
                yield from self.names(os.path.join(glob.escape(directory), rest))

    def _directories(self, top: str) -> Iterator[str]:
        """A directory and those below it, but for hidden ones and those that it lies in itself."""
        left: list[tuple[str, tuple[_Identity, ...], bool]] = [(top, (), False)]
        while left:
            directory, above, is_behind_link = left.pop()
            try:
                found = os.stat(directory or os.curdir)
                with os.scandir(directory or os.curdir) as entries:
                    inner = [entry for entry in entries if _is_walked(entry)]
            except OSError:
                # gone, closed to this user, or no directory: `glob` passes over it as well
                continue
            identity = (found.st_dev, found.st_ino)
            if identity in above:
                continue
            self._count(is_behind_link)
            yield directory
            for entry in inner:
                place = os.path.join(directory, entry.name)
                left.append(
                    (place, (*above, identity), is_behind_link or entry.is_symlink())
                )

    def _count(self, is_behind_link: bool) -> None:
        self._behind_links += is_behind_link
        if self._behind_links > MAX_BEHIND_LINKS:
            raise SeedError(
                f"{self._pattern}: links lead to more than {MAX_BEHIND_LINKS:,} directories",
                remedy="remove directory links that form a cycle, or name the directories",
            )


def _is_walked(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False  # a link that leads to itself
