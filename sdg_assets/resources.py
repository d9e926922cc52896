"""Resources: where data lies."""

import os
from pathlib import Path

import dagster as dg
from pydantic import Field

from sdg_core.store.layout import resolve_root


class StoreResource(dg.ConfigurableResource[None]):
    """The storage root of all datasets."""

    root: str | None = Field(
        default=None, description="A directory. Default: the environment variable SDG_ROOT, else `data` in the project."
    )

    def root_path(self) -> Path:
        """The root as an absolute path. Raises StoreError for a URL."""
        return resolve_root(self.root, env=os.environ, base=Path.cwd())
