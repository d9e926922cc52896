"""`seed_type: dataset`: the finished dataset of another dataset file. Which files those are is the store's knowledge."""

from collections.abc import Sequence
from pathlib import Path

from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.concat import open_files
from sdg_core.seeds.files import LocalFile, ObjectFile, StoredObject


def open_dataset_parts(parts: Sequence[Path | StoredObject]) -> SeedReader:
    """A reader of a finished dataset's files. The digest is that of their content, so its name and place do not count."""
    return open_files(
        [LocalFile(part) if isinstance(part, Path) else ObjectFile(part) for part in parts]
    )
