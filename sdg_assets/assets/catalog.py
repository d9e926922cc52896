"""The datasets of a code location, as sensors and jobs find them: from the metadata of the row-group assets, without loading
anything. Their files are read when it is time, so that what is measured is what the files say now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from sdg_core.api import row_group_key

CONFIG = "sdg/config"
PIPELINE = "sdg/pipeline"
FINISHED_OF = "sdg/finished_of"
"""Metadata that names the file: of a dataset's row groups, of a pipeline's sources, of what is finished."""
ROOT = "sdg/root"
MAX_ROW_GROUPS = "sdg/max_row_groups_per_run"
ROW_GROUPS = "row_groups"
PARTITIONED = (ROW_GROUPS, "sources")
FINISHED = "dataset"
"""How the keys of our assets end."""


@dataclass(frozen=True)
class DatasetRef:
    """A dataset by its file.

    num_row_groups: partitions that the loaded definitions have; the file may ask for more by now.
    upstream: assets that write its seed data. key_prefix: what its asset keys begin with. root: its own storage root.
    """

    name: str
    path: Path
    num_row_groups: int
    max_row_groups_per_run: int
    upstream: tuple[dg.AssetKey, ...] = ()
    key_prefix: tuple[str, ...] = ()
    root: str | None = None

    @property
    def row_groups_key(self) -> dg.AssetKey:
        """The partitioned asset."""
        return row_groups_key(self.name, self.key_prefix)

    @property
    def dataset_key(self) -> dg.AssetKey:
        """The post-generation asset."""
        return dataset_key(self.name, self.key_prefix)

    @property
    def partition_keys(self) -> list[str]:
        """The keys of its partitions."""
        return [row_group_key(index) for index in range(self.num_row_groups)]

    def to_metadata(self) -> dict[str, Any]:
        """The metadata of the partitioned asset by which it is found again."""
        return {
            **place_metadata(CONFIG, self.path, root=self.root),
            MAX_ROW_GROUPS: self.max_row_groups_per_run,
        }


@dataclass(frozen=True)
class Place:
    """Where the data of an asset lies. folder: of its file; None if that is unknown. root: of its own."""

    name: str
    folder: Path | None = None
    root: str | None = None


def place_metadata(key: str, file: Path, *, root: str | None) -> dict[str, Any]:
    """The metadata of an asset by which `place_of` finds its data; `key` is CONFIG, PIPELINE or FINISHED_OF."""
    return {key: dg.MetadataValue.path(str(file)), **({ROOT: root} if root is not None else {})}


def place_of(key: dg.AssetKey, metadata: Mapping[str, Any]) -> Place | None:
    """Where the data of an asset lies; None if it is no dataset's or pipeline's."""
    file = next((found for name in (CONFIG, PIPELINE, FINISHED_OF) if (found := _path_in(metadata, name))), None)
    if file is None or len(key.path) < 2:
        return None
    return Place(key.path[-2], file.parent, root_in(metadata))


def prefix_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """The prefix of asset keys as an attribute gives it: parts, or text with slashes between them."""
    parts = given.split("/") if isinstance(given, str) else (given or ())
    return tuple(part for part in parts if part)


def row_groups_key(name: str, prefix: Sequence[str] = ()) -> dg.AssetKey:
    """The partitioned asset of the dataset with this name."""
    return dg.AssetKey([*prefix, name, ROW_GROUPS])


def dataset_key(name: str, prefix: Sequence[str] = ()) -> dg.AssetKey:
    """The post-generation asset of the dataset with this name."""
    return dg.AssetKey([*prefix, name, FINISHED])


def datasets_of(repository: dg.RepositoryDefinition) -> list[DatasetRef]:
    """Every dataset of a code location, by name."""
    return _refs(repository.assets_defs_by_key.values())


def datasets_in(definitions: dg.Definitions) -> list[DatasetRef]:
    """Every dataset among definitions that are not a code location yet, by name."""
    return _refs(asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition))


def _refs(definitions: Iterable[dg.AssetsDefinition]) -> list[DatasetRef]:
    found = (ref_of(definition, key) for definition in definitions for key in definition.keys)
    return sorted((ref for ref in found if ref is not None), key=lambda ref: ref.name)


def ref_of(definition: dg.AssetsDefinition, key: dg.AssetKey) -> DatasetRef | None:
    """The dataset whose row groups this asset is, None for any other asset."""
    spec = definition.specs_by_key[key]
    path = config_path_of(spec.metadata)
    partitions = definition.partitions_def
    if path is None or partitions is None:
        return None
    return DatasetRef(
        name=key.path[-2],
        path=path,
        num_row_groups=len(partitions.get_partition_keys()),
        max_row_groups_per_run=int(spec.metadata[MAX_ROW_GROUPS]),
        upstream=tuple(dep.asset_key for dep in spec.deps),
        key_prefix=tuple(key.path[:-2]),
        root=root_in(spec.metadata),
    )


def config_path_of(metadata: Mapping[str, Any]) -> Path | None:
    """The dataset file that an asset's metadata names, if it does."""
    return _path_in(metadata, CONFIG)


def pipeline_path_of(metadata: Mapping[str, Any]) -> Path | None:
    """The pipeline file whose sources an asset makes, if it does."""
    return _path_in(metadata, PIPELINE)


def finished_path_of(metadata: Mapping[str, Any]) -> Path | None:
    """The file of the dataset or pipeline whose finished dataset an asset is, if it is one."""
    return _path_in(metadata, FINISHED_OF)


def is_ours(metadata: Mapping[str, Any]) -> bool:
    """Whether an asset is one of a dataset or a pipeline."""
    return any(name in metadata for name in (CONFIG, PIPELINE, FINISHED_OF))


def root_in(metadata: Mapping[str, Any]) -> str | None:
    """The root that an asset's metadata names, if it does."""
    value = metadata.get(ROOT)
    return str(value.value) if isinstance(value, dg.TextMetadataValue) else value


def _path_in(metadata: Mapping[str, Any], name: str) -> Path | None:
    value = metadata.get(name)
    return Path(value.path) if isinstance(value, dg.PathMetadataValue) and value.path is not None else None


def selected_keys(run: dg.DagsterRun, repository: dg.RepositoryDefinition) -> Iterable[dg.AssetKey]:
    """The assets of a run; one that was launched as a job names none, and then they are all of its job's."""
    if run.asset_selection is not None:
        return run.asset_selection
    return repository.get_job(run.job_name).asset_layer.selected_asset_keys if repository.has_job(run.job_name) else ()
