"""Resources: where data lies."""

import os
from pathlib import Path
from typing import Protocol

import dagster as dg
from pydantic import Field

from sdg_core.api import StorePath, project_of_data, resolve_root


class Stored(Protocol):
    """A dataset or pipeline by its file, which may have a root of its own."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def root(self) -> str | None:
        """The root that its component names."""
        ...


class StoreResource(dg.ConfigurableResource[None]):
    """The storage root of all datasets.

    Without `root` it is as for the command: SDG_ROOT, else `data` in the project of the dataset file,
    wherever Dagster was started.
    """

    root: str | None = Field(
        default=None,
        description="A directory, or s3://bucket/prefix; a relative path starts at the project of the dataset file. Default: the "
        "environment variable SDG_ROOT, else `data` in that project.",
    )

    def root_for(self, file: Path) -> str | None:
        """What to open a dataset or pipeline file with: the root that this resource names, None if it names none."""
        return resolve_for(self.root, file)

    def root_of(self, dataset: Stored) -> str | None:
        """What to open a dataset or pipeline with: its own root, else the one that this resource names, None without either."""
        return resolve_for(dataset.root or self.root, dataset.path)

    def root_path(self, file: Path | None = None) -> StorePath:
        """The root: an absolute path, or a place in an object store. Raises StoreError for a URL of no store.

        file: whose project a relative root, and the default, start at. Without it that is the project of the working directory.
        """
        folder = file.parent if file is not None else Path.cwd()
        return resolve_root(self.root_for(folder / "file"), env=os.environ, base=project_of_data(folder))


def resolve_for(root: str | None, file: Path) -> str | None:
    """A root of a run's config, for a dataset file: absolute, or None where none is named. Raises StoreError for a bad URL."""
    if not root:
        return None
    relative = "://" not in root and not Path(root).expanduser().is_absolute()
    return str(project_of_data(file.parent) / root) if relative else root
