"""The pictures of a version: `images/<column>/<record index>.png`, further ones of a record `-1`, `-2` and so on.

Names depend on column and record only, so that a record which is made again replaces its pictures instead of adding to them.
"""

import re
from collections.abc import Sequence

from sdg_core.store.atomic import read_or_none, write_atomic
from sdg_core.store.layout import VersionLayout

_PATH = re.compile(r"images/([A-Za-z_][A-Za-z0-9_]*)/(\d+(?:-\d+)?\.png)")


class ImageFiles:
    """The pictures of one version. Paths are relative to its directory."""

    def __init__(self, version: VersionLayout) -> None:
        self._version = version

    def save(self, column: str, record: int, pictures: Sequence[bytes]) -> list[str]:
        """Store the pictures of a cell durably; returns their paths. Raises StoreError."""
        paths = []
        for number, content in enumerate(pictures):
            name = f"{record}-{number}.png" if number else f"{record}.png"
            write_atomic(self._version.images / column / name, content)
            paths.append(f"{self._version.images.name}/{column}/{name}")
        return paths

    def read(self, path: str) -> bytes | None:
        """A stored picture; None if the path is none that `save` returns. Raises StoreError."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        return read_or_none(self._version.images / found[1] / found[2])
