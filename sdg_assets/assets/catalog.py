"""The datasets and pipelines of a code location, as sensors and jobs find them: from the metadata of their assets, without
loading anything. Their files are read when it is time, so that what is measured is what the files say now."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import dagster as dg

from sdg_core import api

CONFIG = "sdg/config"
PIPELINE = "sdg/pipeline"
FINISHED_OF = "sdg/finished_of"
"""Metadata that names the file: of a dataset's row groups, of a pipeline's sources, of what is finished."""
ROOT = "sdg/root"
MAX_ROW_GROUPS = "sdg/max_row_groups_per_run"
MAX_PARTITIONS = "sdg/max_partitions_per_run"
ROW_GROUPS = "row_groups"
SOURCES = "sources"
PARTITIONED = (ROW_GROUPS, SOURCES)
FINISHED = "dataset"
"""How the keys of our assets end."""


@dataclass(frozen=True, kw_only=True)
class Ref(ABC):
    """A dataset or a pipeline by its file.

    max_per_run: most partitions of a run that something asks for by itself.
    upstream: assets that it reads. key_prefix: what its asset keys begin with. root: its own storage root.
    """

    name: str
    path: Path
    max_per_run: int
    upstream: tuple[dg.AssetKey, ...] = ()
    key_prefix: tuple[str, ...] = ()
    root: str | None = None

    FILE: ClassVar[str]
    MAX: ClassVar[str]
    ASSET: ClassVar[str]
    """Names of metadata, and how the key of the partitioned asset ends."""
    PARTITION: ClassVar[str]
    PARTITIONS: ClassVar[str]
    LEARNS: ClassVar[str]
    """What its partitions are called, in messages, and how Dagster learns of new ones."""
    ADDS_PARTITIONS: ClassVar[bool]
    """Whether partitions can be added while definitions are loaded."""

    @property
    def label(self) -> str:
        """Its name with its prefix, which no other one of the code location has."""
        return "/".join((*self.key_prefix, self.name))

    @property
    def identifier(self) -> str:
        """The same, as what is named after it begins: schedule, checks, dynamic partitions."""
        return re.sub(r"\W", "_", "__".join((*self.key_prefix, self.name)))

    @property
    def partitioned_key(self) -> dg.AssetKey:
        """The partitioned asset."""
        return dg.AssetKey([*self.key_prefix, self.name, self.ASSET])

    @property
    def dataset_key(self) -> dg.AssetKey:
        """The post-generation asset."""
        return dataset_key(self.name, self.key_prefix)

    @property
    @abstractmethod
    def partitions_def(self) -> dg.PartitionsDefinition[str]:
        """The partitions of the asset."""

    @abstractmethod
    def known_partitions(self, instance: dg.DagsterInstance) -> list[str]:
        """The keys that Dagster knows: its files may have more by now."""

    def to_metadata(self) -> dict[str, Any]:
        """The metadata of the partitioned asset by which it is found again."""
        return {
            **place_metadata(self.FILE, self.path, root=self.root),
            self.MAX: self.max_per_run,
        }


@dataclass(frozen=True, kw_only=True)
class DatasetRef(Ref):
    """A dataset by its file. num_row_groups: partitions that the loaded definitions have."""

    num_row_groups: int

    FILE = CONFIG
    MAX = MAX_ROW_GROUPS
    ASSET = ROW_GROUPS
    PARTITION = "row group"
    PARTITIONS = "row groups"
    LEARNS = "reload it"
    ADDS_PARTITIONS = False

    @property
    def partitions_def(self) -> dg.StaticPartitionsDefinition:
        """One key per row group."""
        return _row_group_partitions(self.num_row_groups)

    def known_partitions(self, instance: dg.DagsterInstance) -> list[str]:
        """Those of the loaded definitions."""
        return [*self.partitions_def.get_partition_keys()]


@lru_cache(maxsize=256)
def _row_group_partitions(count: int) -> dg.StaticPartitionsDefinition:
    """One object for all datasets of as many row groups: Dagster compares and checks each by all of its keys."""
    keys = [api.row_group_key(index) for index in range(count)]
    return dg.StaticPartitionsDefinition(keys)


@dataclass(frozen=True, kw_only=True)
class PipelineRef(Ref):
    """A pipeline by its file."""

    FILE = PIPELINE
    MAX = MAX_PARTITIONS
    ASSET = SOURCES
    PARTITION = "partition"
    PARTITIONS = "partitions"
    LEARNS = "run the job `discover_sources`, or turn on the sensor of that name"
    ADDS_PARTITIONS = True

    @property
    def partitions_name(self) -> str:
        """The name of its dynamic partitions."""
        return f"{self.identifier}_sources"

    @property
    def partitions_def(self) -> dg.DynamicPartitionsDefinition:
        """Partitions come as sources do."""
        return dg.DynamicPartitionsDefinition(name=self.partitions_name)

    def known_partitions(self, instance: dg.DagsterInstance) -> list[str]:
        """Those that discovery has added."""
        return [*instance.get_dynamic_partitions(self.partitions_name)]


@dataclass(frozen=True)
class Place:
    """Where the data of an asset lies. folder: of its file; None if that is unknown. root: of its own. label: as of a `Ref`."""

    name: str
    folder: Path | None = None
    root: str | None = None
    label: str = ""


Labelled = TypeVar("Labelled", bound=Ref | Place)


def named(found: Iterable[Labelled], name: str) -> list[Labelled]:
    """The one with this label, or else all of this name."""
    there = [*found]
    labelled = [one for one in there if one.label == name]
    if labelled:
        return labelled
    return [one for one in there if one.name == name]


def place_metadata(key: str, file: Path, *, root: str | None) -> dict[str, Any]:
    """The metadata of an asset by which `place_of` finds its data; `key` is CONFIG, PIPELINE or FINISHED_OF."""
    metadata: dict[str, Any] = {key: dg.MetadataValue.path(str(file))}
    if root is not None:
        metadata[ROOT] = root
    return metadata


def place_of(key: dg.AssetKey, metadata: Mapping[str, Any]) -> Place | None:
    """Where the data of an asset lies; None if it is no dataset's or pipeline's."""
    if len(key.path) < 2:
        return None
    for name in (CONFIG, PIPELINE, FINISHED_OF):
        file = _path_in(metadata, name)
        if file is not None:
            label = "/".join(key.path[:-1])
            return Place(key.path[-2], file.parent, root_in(metadata), label=label)
    return None


def prefix_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """The prefix of asset keys as an attribute gives it: parts, or text with slashes between them."""
    parts = given.split("/") if isinstance(given, str) else (given or ())
    return tuple(part for part in parts if part)


def dataset_key(name: str, prefix: Sequence[str] = ()) -> dg.AssetKey:
    """The post-generation asset of the dataset with this name."""
    return dg.AssetKey([*prefix, name, FINISHED])


def refs_of(repository: dg.RepositoryDefinition) -> list[Ref]:
    """Every dataset and pipeline of a code location, by name."""
    return _refs(repository.assets_defs_by_key.values())


def refs_in(definitions: dg.Definitions) -> list[Ref]:
    """Every dataset and pipeline among definitions that are not a code location yet, by name."""
    assets = definitions.assets or ()
    return _refs(asset for asset in assets if isinstance(asset, dg.AssetsDefinition))


def _refs(definitions: Iterable[dg.AssetsDefinition]) -> list[Ref]:
    found = []
    for definition in definitions:
        for key in definition.keys:
            ref = ref_of(definition, key)
            if ref is not None:
                found.append(ref)
    return sorted(found, key=lambda ref: (ref.name, ref.key_prefix))


def ref_of(definition: dg.AssetsDefinition, key: dg.AssetKey) -> Ref | None:
    """The dataset or pipeline whose partitions this asset is, None for any other asset."""
    spec = definition.specs_by_key[key]
    deps = [dep.asset_key for dep in spec.deps]
    return ref_by_metadata(key, spec.metadata, definition.partitions_def, deps=deps)


def ref_by_metadata(
    key: dg.AssetKey,
    metadata: Mapping[str, Any],
    partitions: dg.PartitionsDefinition[str] | None,
    *,
    deps: Iterable[dg.AssetKey] = (),
) -> Ref | None:
    """The dataset or pipeline whose partitions an asset with this metadata is, None for any other asset."""
    if partitions is None or len(key.path) < 2:
        return None
    common: dict[str, Any] = {
        "name": key.path[-2],
        "upstream": tuple(deps),
        "key_prefix": tuple(key.path[:-2]),
        "root": root_in(metadata),
    }
    if (path := _path_in(metadata, CONFIG)) is not None:
        at_most = _number_in(metadata, MAX_ROW_GROUPS)
        num_row_groups = len(partitions.get_partition_keys())
        return DatasetRef(
            **common, path=path, max_per_run=at_most, num_row_groups=num_row_groups
        )
    if (path := _path_in(metadata, PIPELINE)) is not None:
        return PipelineRef(
            **common, path=path, max_per_run=_number_in(metadata, MAX_PARTITIONS)
        )
    return None


def partitioned_path_of(metadata: Mapping[str, Any]) -> Path | None:
    """The file of the dataset or pipeline whose partitions an asset is, if it is one."""
    return _path_in(metadata, CONFIG) or _path_in(metadata, PIPELINE)


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


def _number_in(metadata: Mapping[str, Any], name: str) -> int:
    value = metadata[name]
    return (
        int(value.value or 0) if isinstance(value, dg.IntMetadataValue) else int(value)
    )


def _path_in(metadata: Mapping[str, Any], name: str) -> Path | None:
    value = metadata.get(name)
    if not isinstance(value, dg.PathMetadataValue) or value.path is None:
        return None
    return Path(value.path)


def selected_keys(
    run: dg.DagsterRun, repository: dg.RepositoryDefinition
) -> Iterable[dg.AssetKey]:
    """The assets of a run; one that was launched as a job names none, and then they are all of its job's."""
    if run.asset_selection is not None:
        return run.asset_selection
    if not repository.has_job(run.job_name):
        return ()
    return repository.get_job(run.job_name).asset_layer.selected_asset_keys
