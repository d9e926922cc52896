"""Resources: where data lies.

No asset requires a store: one that is not configured is the default, so a project runs without a line about it, and what its own
resources are called is its own affair. A store that is configured has the key `sdg_store`, anywhere among the definitions.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg
from pydantic import Field

from sdg_core import api

if TYPE_CHECKING:
    from sdg_core.api import StorePath


KEY = "sdg_store"
FORMER_KEY = "store"
"""The key before 0.2: looked at too, if what it holds is a StoreResource."""
Context = (
    dg.AssetExecutionContext | dg.OpExecutionContext | dg.AssetCheckExecutionContext
)


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
        description="A directory, or s3://bucket/prefix; a relative path is relative to the project of "
        "the dataset file. Default: the "
        "environment variable SDG_ROOT, else `data` in that project.",
    )

    def root_for(self, file: Path) -> str | None:
        """What to open a dataset or pipeline file with: the root that this resource names, None if it names none."""
        return resolve_for(self.root, file)

    def root_of(self, dataset: Stored) -> str | None:
        """What to open a dataset or pipeline with: its own root, else the one that this resource names, None without either."""
        return resolve_for(dataset.root or self.root, dataset.path)

    def root_path(self, file: Path | None = None) -> "StorePath":
        """The root: an absolute path, or a place in an object store. Raises StoreError for a URL of no store.

        file: whose project a relative root, and the default, start at. Without it that is the project of the working directory.
        """
        folder = file.parent if file is not None else Path.cwd()
        return api.resolve_root(
            self.root_for(folder / "file"),
            env=os.environ,
            base=api.project_of_data(folder),
        )


def resolve_for(root: str | None, file: Path) -> str | None:
    """A root of a run's config, for a dataset file: absolute, or None where none is named. Raises StoreError for a bad URL."""
    if not root:
        return None
    relative = "://" not in root and not Path(root).expanduser().is_absolute()
    return str(api.project_of_data(file.parent) / root) if relative else root


def store_key(resources: Mapping[str, Any]) -> str | None:
    """The key of the store among resources, None where there is none."""
    if KEY in resources:
        return KEY
    kind = getattr(resources.get(FORMER_KEY), "configurable_resource_cls", None)
    return (
        FORMER_KEY
        if isinstance(kind, type) and issubclass(kind, StoreResource)
        else None
    )


def store_among(
    resources: Mapping[str, dg.ResourceDefinition],
    *,
    instance: dg.DagsterInstance,
    run_config: Mapping[str, Any] | None = None,
) -> StoreResource:
    """The store that a code location or a job has, as a run with this config gets it; the default one where it has none.

    Raises DagsterInvalidDefinitionError if something else has its key.
    """
    key = store_key(resources)
    if key is None:
        return StoreResource()
    config = (run_config or {}).get("resources", {}).get(key)
    resource_config = {key: config} if config else None
    with dg.build_resources(
        {key: resources[key]}, instance=instance, resource_config=resource_config
    ) as built:
        store = getattr(built, key)
    if not isinstance(store, StoreResource):
        raise dg.DagsterInvalidDefinitionError(
            f"the resource {key!r} is a {type(store).__name__}: it must be a sdg_assets.resources.StoreResource"
        )
    return store


def store_of_run(context: Context) -> StoreResource:
    """The store of a step's run."""
    return store_among(
        context.job_def.resource_defs,
        instance=context.instance,
        run_config=context.run.run_config,
    )


def store_of_location(
    repository: dg.RepositoryDefinition | None, instance: dg.DagsterInstance
) -> StoreResource:
    """The store of a code location, for what is evaluated in it."""
    if repository is None:
        return StoreResource()
    return store_among(repository.get_top_level_resources(), instance=instance)
