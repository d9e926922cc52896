"""Resources: where data lies."""

import os
from pathlib import Path

import dagster as dg
from pydantic import Field

from sdg_core.api import StorePath, resolve_root


class StoreResource(dg.ConfigurableResource[None]):
    """The storage root of all datasets."""

    root: str | None = Field(
        default=None,
        description="A directory, or s3://bucket/prefix. Default: the environment variable SDG_ROOT, else `data` in the project.",
    )

    def root_path(self) -> StorePath:
        """The root: an absolute path, or a place in an object store. Raises StoreError for a URL of no store."""
        return resolve_root(self.root, env=os.environ, base=Path.cwd())
