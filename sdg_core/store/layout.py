"""Every path of the store, in one place.

<root>/<dataset>/current.json
<root>/<dataset>/<version>/metadata.json  config.yaml
                           row_groups/batch_00000.parquet
                           dropped_columns/batch_00000.parquet
                           failures/batch_00000.jsonl
                           images/<column>/0.png
                           quarantine/
                           processed/dataset/part-00000.parquet  processed/<processor>/part-00000.parquet
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sdg_core.errors import StoreError
from sdg_core.plan.row_groups import KEY_WIDTH, row_group_key
from sdg_core.store.atomic import store_errors

DEFAULT_ROOT = "data"
ROOT_VARIABLE = "SDG_ROOT"
_BATCH = re.compile(rf"batch_(\d{{{KEY_WIDTH}}})\.parquet")


@dataclass(frozen=True)
class VersionLayout:
    """The paths of one version of a dataset."""

    directory: Path

    @property
    def name(self) -> str:
        """The version's name, `<12 hex digits>` or `<12 hex digits>-<n>`."""
        return self.directory.name

    @property
    def metadata(self) -> Path:
        """Run configuration and post-generation state."""
        return self.directory / "metadata.json"

    @property
    def config(self) -> Path:
        """The resolved config, for people."""
        return self.directory / "config.yaml"

    @property
    def row_groups(self) -> Path:
        """The directory of row-group files."""
        return self.directory / "row_groups"

    @property
    def dropped_columns(self) -> Path:
        """The directory of dropped columns, one file per row group."""
        return self.directory / "dropped_columns"

    @property
    def failures(self) -> Path:
        """The directory of failure lists, one file per row group that has any."""
        return self.directory / "failures"

    @property
    def images(self) -> Path:
        """The pictures that models made, one directory per column."""
        return self.directory / "images"

    @property
    def quarantine(self) -> Path:
        """Where corrupt files are moved; nothing in it is ever read again."""
        return self.directory / "quarantine"

    @property
    def processed(self) -> Path:
        """Post-generation output."""
        return self.directory / "processed"

    @property
    def processed_dataset(self) -> Path:
        """The finished dataset."""
        return self.processed / "dataset"

    @property
    def lock(self) -> Path:
        """Held while metadata.json is read and rewritten."""
        return self.directory / ".lock"

    def row_group(self, index: int) -> Path:
        """The file of a row group."""
        return self.row_groups / f"batch_{row_group_key(index)}.parquet"

    def dropped(self, index: int) -> Path:
        """The dropped columns of a row group."""
        return self.dropped_columns / f"batch_{row_group_key(index)}.parquet"

    def failure_list(self, index: int) -> Path:
        """The failure list of a row group."""
        return self.failures / f"batch_{row_group_key(index)}.jsonl"

    def image_directories(self) -> list[Path]:
        """The directories of pictures that exist."""
        with store_errors("list", self.images):
            return sorted(path for path in self.images.iterdir() if path.is_dir()) if self.images.is_dir() else []

    def existing_row_groups(self) -> list[int]:
        """Indices of the row-group files that exist, ascending."""
        with store_errors("list", self.row_groups):
            names = os.listdir(self.row_groups) if self.row_groups.is_dir() else []
        matches = (_BATCH.fullmatch(name) for name in names)
        return sorted(int(match[1]) for match in matches if match)


@dataclass(frozen=True)
class DatasetLayout:
    """The paths of a dataset below a root directory."""

    root: Path
    dataset: str

    @property
    def directory(self) -> Path:
        """All versions of the dataset."""
        return self.root / self.dataset

    @property
    def current(self) -> Path:
        """Names the version last generated into."""
        return self.directory / "current.json"

    def version(self, name: str) -> VersionLayout:
        """The paths of a version."""
        return VersionLayout(self.directory / name)

    def versions(self) -> list[str]:
        """Names of the versions that exist, by name and then number."""
        with store_errors("list", self.directory):
            names = [path.name for path in self.directory.iterdir() if path.is_dir()] if self.directory.is_dir() else []
        found = (re.fullmatch(r"([0-9a-f]{12})(?:-(\d+))?", name) for name in names)
        return [match[0] for match in sorted((m for m in found if m), key=lambda m: (m[1], int(m[2] or 1)))]


def resolve_root(root: str | None, *, env: Mapping[str, str], base: Path) -> Path:
    """The storage root: the argument, else SDG_ROOT, else `data` below `base`. Raises StoreError for URLs."""
    chosen = root or env.get(ROOT_VARIABLE) or str(base / DEFAULT_ROOT)
    if "://" in chosen:
        raise StoreError(
            f"root {chosen!r}: object stores are not supported yet", remedy="give a directory (--root, or SDG_ROOT)"
        )
    return Path(chosen).expanduser().absolute()
