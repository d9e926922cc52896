"""The images of a version: `images/<column>/<record index>.png`, further ones of a record `-1`, `-2` and so on. Those of a
further candidate of a record have its number after a dot, as in `7.1.png`.

Names depend on column and record only, so that a record which is made again replaces its images instead of adding to them.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from sdg_core.plan.candidates import record_and_candidate
from sdg_core.store.atomic import atomic_file, read_or_none
from sdg_core.store.layout import VersionLayout

_PATH = re.compile(r"images/([A-Za-z_][A-Za-z0-9_]*)/(\d+(?:\.\d+)?(?:-\d+)?\.png)")


def _unguarded(record: int) -> AbstractContextManager[None]:
    return nullcontext()


class ImageFiles:
    """The images of one version. Paths are relative to its directory.

    commit_guard: by record, what an image is switched in under; a run that has lost its claim replaces nothing.
    """

    def __init__(
        self,
        version: VersionLayout,
        *,
        commit_guard: Callable[[int], AbstractContextManager[None]] = _unguarded,
    ) -> None:
        self._version = version
        self._commit_guard = commit_guard

    def save(self, column: str, record: int, images: Sequence[bytes]) -> list[str]:
        """Store the images of a cell durably; returns their paths. `record` is the number of a candidate
        (`sdg_core.plan.candidates`). Raises StoreError, or what the guard raises."""
        paths = []
        record, candidate = record_and_candidate(record)
        stem = f"{record}.{candidate}" if candidate else str(record)
        for number, content in enumerate(images):
            name = f"{stem}-{number}.png" if number else f"{stem}.png"
            guard = partial(self._commit_guard, record)
            with atomic_file(
                self._version.images / column / name, commit_guard=guard
            ) as file:
                file.write(content)
            paths.append(f"{self._version.images.name}/{column}/{name}")
        return paths

    def read(self, path: str) -> bytes | None:
        """A stored image; None if the path is none that `save` returns. Raises StoreError."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        return read_or_none(self._version.images / found[1] / found[2])
