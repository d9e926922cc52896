"""What the components of datasets and of pipelines share: one file, its definitions, and what is shown if it cannot be used."""

from abc import abstractmethod
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import prefix_of
from sdg_assets.components.broken import broken
from sdg_core.errors import SdgError


class FileComponent(dg.Component, dg.Model, dg.Resolvable):
    """A component whose assets follow from one file."""

    config: str = Field(description="The file, relative to this defs.yaml.")
    key_prefix: str | list[str] | None = Field(default=None, description="What the asset keys begin with.")
    pool: str | None = Field(default=None, description="Concurrency pool of the generating asset.")
    op_tags: dict[str, Any] = Field(
        default_factory=dict, description="Tags of the steps, such as dagster/priority or dagster-k8s/config."
    )
    group: str | None = Field(default=None, description="Asset group. Default: the name in the file.")
    owners: list[str] = Field(default_factory=list, description="E-mail addresses, or team:<name>.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the assets.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of one file; where it cannot be used, one asset that says why, if the project has others.

        Raises ConfigError with every problem of the file where it is the only one, and in `dg check defs`.
        """
        path = (context.path / self.config).resolve()
        try:
            return self.definitions_of(path)
        except SdgError as error:
            prefix = prefix_of(self.key_prefix)
            return broken(context, path, error, prefix=prefix, group=self.group, owners=self.owners)

    @abstractmethod
    def definitions_of(self, path: Path) -> dg.Definitions:
        """The definitions of a file that can be used. Raises SdgError."""
