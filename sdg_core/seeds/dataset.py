"""`seed_type: dataset`: the finished dataset of another dataset file. Which files those are is the store's knowledge."""

from collections.abc import Sequence
from pathlib import Path

from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.concat import open_files
from sdg_core.seeds.files import LocalFile, ObjectFile, SeedFile, StoredObject


def open_dataset_parts(parts: Sequence[Path | StoredObject]) -> SeedReader:
    """A reader of a finished dataset's files. The digest is that of their content, so its name and place do not count."""
    files: list[SeedFile] = []
    for part in parts:
        files.append(LocalFile(part) if isinstance(part, Path) else ObjectFile(part))
    return open_files(files)
