"""A code location of datasets that a test writes, over a storage root of its own, in this process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from sdg_assets.components.dataset import Dataset
from sdg_assets.components.pipeline import SourcePipeline
from sdg_assets.operations import with_operations
from sdg_assets.resources import StoreResource
from sdg_core import api
from tests.support.sdg import write_config


class CodeLocation:
    """Datasets and pipelines by their files, `<directory>/<name>.yaml`; definitions are loaded each time they are asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._attributes: dict[str, dict[str, Any]] = {}
        self._components: dict[str, Any] = {}
        self._assets: list[Any] = []
        self.root = directory / "data"

    @property
    def resources(self) -> dict[str, Any]:
        return {"store": StoreResource(root=str(self.root))}

    def write(self, config: Mapping[str, Any], **attributes: Any) -> Path:
        """Add or change a dataset or pipeline; `attributes` are those of its component."""
        name = config["name"]
        self._components[name] = (
            SourcePipeline if config.get("kind") == "pipeline" else Dataset
        )
        self._attributes[name] = {**self._attributes.get(name, {}), **attributes}
        return write_config(self._path(name), config)

    def add(self, *assets: Any) -> None:
        """Further assets beside the datasets."""
        self._assets += assets

    def open(self, name: str) -> api.Dataset:
        return api.open_dataset(self._path(name), root=str(self.root))

    def definitions(self) -> dg.Definitions:
        context = dg.ComponentTree.for_test().load_context
        components = [
            self._components[n](config=str(self._path(n)), **more)
            for n, more in self._attributes.items()
        ]
        built = dg.Definitions.merge(
            *(component.build_defs(context) for component in components),
            dg.Definitions(assets=self._assets),
        )
        return with_operations(built, store=StoreResource(root=str(self.root)))

    def repository(self) -> dg.RepositoryDefinition:
        repository = self.definitions().get_repository_def()
        repository.load_all_definitions()
        return repository

    def materialize(
        self,
        instance: dg.DagsterInstance,
        *keys: str,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        raise_on_error: bool = True,
    ) -> dg.ExecuteInProcessResult:
        """Materialize these assets in one run in this process."""
        job = self.repository().get_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
            partition_key=partition,
            tags=dict(tags or {}),
            run_config=config,
            raise_on_error=raise_on_error,
        )

    def tick(
        self, instance: dg.DagsterInstance, sensor: str, *, cursor: str | None = None
    ) -> tuple[list[dg.RunRequest], str | None, str | None]:
        """One evaluation of a sensor: its run requests, why it was skipped, and its cursor."""
        repository = self.repository()
        with dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            repository_def=repository,
            resources=self.resources,
        ) as context:
            found = repository.get_sensor_def(sensor).evaluate_tick(context)
        for change in found.dynamic_partitions_requests or ():
            if isinstance(change, dg.AddDynamicPartitionsRequest):
                instance.add_dynamic_partitions(
                    change.partitions_def_name, change.partition_keys
                )
            else:
                for key in change.partition_keys:
                    instance.delete_dynamic_partition(change.partitions_def_name, key)
        return list(found.run_requests or ()), found.skip_message, found.cursor

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.yaml"
