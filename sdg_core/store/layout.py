"""Every path of the store, in one place.

<root>/<dataset>/current.json
<root>/<dataset>/<version>/metadata.json  config.yaml  seed_data.json
                           row_groups/batch_00000.parquet
                           dropped_columns/batch_00000.parquet
                           failures/batch_00000.jsonl
                           images/<column>/0.png
                           quarantine/
                           processed/dataset/part-00000.parquet  processed/<processor>/part-00000.parquet
                           footers.json.zst
                           report.html  report.json  README.md

The root is a directory, or a bucket of an object store with or without a prefix.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from sdg_core.plan.row_groups import KEY_WIDTH, row_group_key
from sdg_core.store.access import storage_of
from sdg_core.store.listing import directory_names, list_files
from sdg_core.store.objects import StorePath, object_path
from sdg_core.store.os_errors import store_errors
from sdg_core.store.storage import StoredFile
from sdg_core.system import environment_variables

DEFAULT_ROOT = "data"
ROOT_VARIABLE = environment_variables.ROOT.name
_VERSION = re.compile(r"([0-9a-f]{12})(?:-(\d+))?")
_BATCH = re.compile(rf"batch_(\d{{{KEY_WIDTH}}})\.parquet")


@dataclass(frozen=True)
class VersionLayout:
    """The paths of one version of a dataset."""

    directory: StorePath

    @property
    def name(self) -> str:
        """The version's name, `<12 hex digits>` or `<12 hex digits>-<n>`."""
        return self.directory.name

    @property
    def metadata(self) -> StorePath:
        """Run configuration and post-generation state."""
        return self.directory / "metadata.json"

    @property
    def config(self) -> StorePath:
        """The resolved config, for people."""
        return self.directory / "config.yaml"

    @property
    def seed_content(self) -> StorePath:
        """What the seed data was, for messages; only if there is any."""
        return self.directory / "seed_data.json"

    @property
    def row_groups(self) -> StorePath:
        """The directory of row-group files."""
        return self.directory / "row_groups"

    @property
    def dropped_columns(self) -> StorePath:
        """The directory of dropped columns, one file per row group."""
        return self.directory / "dropped_columns"

    @property
    def failures(self) -> StorePath:
        """The directory of failure lists, one file per row group that has any."""
        return self.directory / "failures"

    @property
    def rejected(self) -> StorePath:
        """The directory of candidates that were not kept, one file per row group that has any."""
        return self.directory / "rejected"

    @property
    def images(self) -> StorePath:
        """The images that models made, one directory per column."""
        return self.directory / "images"

    @property
    def quarantine(self) -> StorePath:
        """Where corrupt files are moved; nothing in it is ever read again."""
        return self.directory / "quarantine"

    @property
    def processed(self) -> StorePath:
        """Post-generation output."""
        return self.directory / "processed"

    @property
    def processed_dataset(self) -> StorePath:
        """The finished dataset."""
        return self.processed / "dataset"

    @property
    def footers(self) -> StorePath:
        """What the footers of the row-group files said, to plan a resume without opening each; losing it loses nothing."""
        return self.directory / "footers.json.zst"

    @property
    def card(self) -> StorePath:
        """The dataset card of the finished dataset."""
        return self.directory / "README.md"

    @property
    def report_html(self) -> StorePath:
        """The report, for people."""
        return self.directory / "report.html"

    @property
    def report_json(self) -> StorePath:
        """The report, for programs."""
        return self.directory / "report.json"

    def row_group(self, index: int) -> StorePath:
        """The file of a row group."""
        return self.row_groups / f"batch_{row_group_key(index)}.parquet"

    def dropped(self, index: int) -> StorePath:
        """The dropped columns of a row group."""
        return self.dropped_columns / f"batch_{row_group_key(index)}.parquet"

    def failure_list(self, index: int) -> StorePath:
        """The failure list of a row group."""
        return self.failures / f"batch_{row_group_key(index)}.jsonl"

    def rejected_candidates(self, index: int) -> StorePath:
        """The candidates of a row group's records that were not kept."""
        return self.rejected / f"batch_{row_group_key(index)}.parquet"

    def image_directories(self) -> list[StorePath]:
        """The directories of images that exist."""
        with store_errors("list", self.images):
            return [self.images / name for name in sorted(directory_names(self.images))]

    def existing_row_groups(self) -> list[int]:
        """Indices of the row-group files that exist, ascending."""
        return sorted(self.row_group_files())

    def row_group_files(self, *, first: int = 0) -> dict[int, StoredFile]:
        """The row-group files that exist, from row group `first` on, by index."""
        after = f"batch_{row_group_key(first - 1)}.parquet" if first else None
        with store_errors("list", self.row_groups):
            files = list_files(self.row_groups, after=after)
        found = {}
        for file in files:
            match = _BATCH.fullmatch(file.name)
            if match and int(match[1]) >= first:
                found[int(match[1])] = file
        return found


@dataclass(frozen=True)
class DatasetLayout:
    """The paths of a dataset below a root directory.

    root_given: somebody named the root. other_roots: directories where data of the same file may lie, because the root was chosen
    otherwise then.
    """

    UNIT: ClassVar[str] = "row group"
    """What messages call what one file holds."""

    root: StorePath
    dataset: str
    root_given: bool = True
    other_roots: tuple[Path, ...] = ()

    @property
    def directory(self) -> StorePath:
        """All versions of the dataset."""
        return self.root / self.dataset

    @property
    def current(self) -> StorePath:
        """Names the version last generated into."""
        return self.directory / "current.json"

    def version(self, name: str) -> VersionLayout:
        """The paths of a version."""
        return VersionLayout(self.directory / name)

    def versions(self) -> list[str]:
        """Names of the versions that exist, by name and then number."""
        with store_errors("list", self.directory):
            names = directory_names(self.directory)
        matches = map(_VERSION.fullmatch, names)
        found = [match for match in matches if match is not None]
        found.sort(key=lambda match: (match[1], int(match[2] or 1)))
        return [match[0] for match in found]

    def other_place(self) -> Path | None:
        """Where else there is data of a dataset of this name, if there is none here."""
        if not self.other_roots or self.versions():
            return None
        for root in self.other_roots:
            if _is_started(root / self.dataset):
                return root / self.dataset
        return None


def _is_started(directory: Path) -> bool:
    """Whether a directory holds a version of a dataset; one that cannot be read holds none that a run could go on with."""
    names = [found.parent.name for found in directory.glob("*/metadata.json")]
    return any(_VERSION.fullmatch(name) for name in names)


def part_name(number: int) -> str:
    """The name of one file of a post-generation output, counted from 0."""
    return f"part-{number:05d}.parquet"


def part_files(directory: StorePath) -> tuple[StorePath, ...]:
    """The files of a post-generation output, in order."""
    parts = directory.glob("part-*.parquet")
    return tuple(sorted(parts, key=str))


def resolve_root(root: str | None, *, env: Mapping[str, str], base: Path) -> StorePath:
    """The storage root: the argument, else SDG_ROOT, else `data`. Raises StoreError for a URL of no store.

    base: where a relative SDG_ROOT, and the default, start; a relative argument starts at the working directory.
    """
    chosen = root or env.get(ROOT_VARIABLE) or DEFAULT_ROOT
    if chosen.startswith("file://"):
        # with it come http.client and a parser of mails
        from urllib.request import url2pathname

        path = urlsplit(chosen).path
        return Path(url2pathname(path))
    if "://" in chosen:
        return object_path(chosen)
    place = Path(chosen).expanduser()
    return place.absolute() if root else base.absolute() / place


def is_remote(root: StorePath) -> bool:
    """Whether a root is an object store, which other machines may use at the same time."""
    return storage_of(root).is_remote


def ledger_directory(root: StorePath, *, env: Mapping[str, str] | None = None) -> Path:
    """Where the SQLite ledger of a root lies: below the root, or for an object store in the user's state directory."""
    if isinstance(root, Path):
        return root
    if env is None:
        env = os.environ
    stated = env.get("XDG_STATE_HOME")
    state = Path(stated) if stated else Path.home() / ".local" / "state"
    digest = hashlib.sha256(str(root).encode()).hexdigest()
    return state / "sdg-dagster" / digest[:16]
