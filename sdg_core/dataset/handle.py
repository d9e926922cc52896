"""An open dataset: its checked file, its plan, its seed data and its place, and what is on disk of it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.load import AS_IT_IS, Reading
from sdg_core.config.seeds import SeedConfig, SeedSource
from sdg_core.counts import counted
from sdg_core.dataset.resume import check_row_group_size
from sdg_core.errors import ConfigError, IncompleteError, PlanError
from sdg_core.plan.compile import compile_plan
from sdg_core.plan.dataset_plan import DatasetPlan, SeedInfo
from sdg_core.plan.load import LoadedDataset, load_dataset, load_in_memory
from sdg_core.seeds.readers import Seeds, open_seeds
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import Metadata
from sdg_core.store.objects import object_path
from sdg_core.store.parts import finished_parts, resolve_parts, scan_parts
from sdg_core.store.roots import choose_root
from sdg_core.store.row_group_state import RowGroupStatus, scan_row_groups
from sdg_core.store.versions import Version, earlier_versions, find_version

if TYPE_CHECKING:
    import polars as pl


class SupportsToDict(Protocol):
    """What a builder config of Data Designer can do."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the file that it writes holds it."""


ConfigLike = str | Path | Mapping[str, Any] | DatasetConfig | SupportsToDict
"""A dataset file, or the config itself: a mapping of what a file would hold, a config object, or a builder of Data Designer."""


@dataclass(frozen=True, repr=False)
class Dataset:
    """An open dataset: its checked config, its plan, its seed data, and where it is stored."""

    loaded: LoadedDataset
    plan: DatasetPlan
    seeds: Seeds | None
    layout: DatasetLayout
    env: Mapping[str, str]

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.plan.config.name

    def __repr__(self) -> str:
        directory = self.layout.directory
        size = f"{counted(self.plan.num_records, 'record')} of {counted(len(self.plan.schema), 'column')}"
        return f"<Dataset {self.name!r}: {size}, in {directory}>"

    def _repr_html_(self) -> str:
        """As a notebook shows it: its columns. Nothing is read."""
        from sdg_core.dataset.shown_tables import as_html

        kinds: dict[str, str] = {
            column.name: column.column_type for column in self.plan.config.columns
        }
        rows = [
            (field.name, kinds.get(field.name, ""), str(field.type))
            for field in self.plan.schema
        ]
        return as_html(("column", "made by", "type"), enumerate(rows), [repr(self)])

    def scan(self) -> "pl.LazyFrame":
        """A lazy scan of the finished dataset or, before that, of the rows generated so far.

        Data in an object store is read immediately. Raises IncompleteError if there are no rows, or StoreError.
        """
        import polars as pl

        version = existing_version(self)
        assert version.metadata is not None
        stored = resolve_parts(
            version.layout, version.metadata, scan_version(self, version.layout)
        )
        local = [part for part in stored.parts if isinstance(part, Path)]
        if len(local) == len(stored.parts):
            return pl.scan_parquet(local, glob=False, hive_partitioning=False)
        with scan_parts(stored.parts) as frame:
            return frame.collect().lazy()

    def to_polars(self) -> "pl.DataFrame":
        """The rows of `scan`, in memory."""
        return self.scan().collect()


def open_dataset(
    config: ConfigLike,
    *,
    root: str | Path | None = None,
    num_records: int | None = None,
    env: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    clients: Mapping[str, Any] | None = None,
    base: str | Path | None = None,
    offline: bool = False,
    untrusted: bool = False,
) -> Dataset:
    """Read and check a dataset file, or a config passed in Python, and open its seed data.

    config: a path; the content of a file as a mapping, with Python objects for functions, pydantic classes, clients
    and the seed data frame; a config object; or a Data Designer builder.
    root: the storage root; default: SDG_ROOT, otherwise `data` in the project of the file.
    num_records: replaces the number in the file.
    env: environment variables; default: those of the process.
    functions: column functions by name, instead of `module:function`.
    clients: classes or objects by provider, for providers with `provider_type: custom`.
    base: the directory that relative paths are relative to if `config` is not a file; default: the working directory.
    offline: run none of the code that the file names, and open no connection. Functions are read from their source;
    seed data that needs code or a network is described as of the last read (SeedNotReadError if there was none). Code
    whose declarations cannot be read statically runs only if the file is in the project of the working directory, and
    never if `untrusted`.

    A builder config is read with the rules that were in effect when its existing data was generated.
    Raises ConfigError, SeedError, PlanError or StoreError.
    """
    if env is None:
        env = os.environ
    loading = _Loading(
        config=config,
        env=env,
        functions=functions,
        clients=clients,
        base=Path(base) if base is not None else None,
        offline=offline,
        untrusted=untrusted,
    )
    loaded = loading.load(AS_IT_IS)
    loaded.check_variables(env)
    if num_records is not None:
        if num_records < 1:
            raise PlanError(
                f"num_records is {num_records}", remedy="use at least 1 record"
            )
        loaded = _with_num_records(loaded, num_records)
    chosen = choose_root(root, env=env, folder=loaded.base)
    layout = DatasetLayout(chosen.path, loaded.config.name, chosen.given, chosen.others)
    seeds = None
    if loaded.config.seed_config is not None:
        seeds = _open_seeds(
            loaded, loaded.config.seed_config, layout, env, offline=offline
        )
    seed = _named_from(loaded.base, seeds.info()) if seeds is not None else None
    plan = compile_plan(loaded, seed)
    if loaded.parsed.reinterpreted and find_version(layout, plan) is None:
        former = loading.load_as_before()
        if former is not None:
            former = _with_num_records(former, loaded.config.num_records)
            former_plan = compile_plan(former, seed)
            if find_version(layout, former_plan) is not None:
                return Dataset(former, former_plan, seeds, layout, env)
    return Dataset(loaded, plan, seeds, layout, env)


@dataclass(frozen=True, kw_only=True)
class _Loading:
    """The arguments of `open_dataset` that say how a config is read."""

    config: ConfigLike
    env: Mapping[str, str]
    functions: Mapping[str, Callable[..., Any]] | None
    clients: Mapping[str, Any] | None
    base: Path | None
    offline: bool
    untrusted: bool

    def load(self, reading: Reading) -> LoadedDataset:
        """Read and check the config. Raises ConfigError."""
        if isinstance(self.config, str | Path):
            return load_dataset(
                Path(self.config),
                env=self.env,
                functions=self.functions,
                clients=self.clients,
                reading=reading,
                offline=self.offline,
                untrusted=self.untrusted,
            )
        return load_in_memory(
            self.config,
            base=self.base or Path.cwd(),
            env=self.env,
            functions=self.functions,
            clients=self.clients,
            reading=reading,
            offline=self.offline,
        )

    def load_as_before(self) -> LoadedDataset | None:
        """The config as an earlier release read it; None if it could not, and so made no data of it."""
        try:
            return self.load(Reading(as_before=True))
        except ConfigError:
            return None


def _with_num_records(
    loaded: LoadedDataset, num_records: int | Literal["seed"] | None
) -> LoadedDataset:
    config = loaded.config.model_copy(update={"num_records": num_records})
    return replace(loaded, config=config)


def opened(dataset: ConfigLike | Dataset) -> Dataset:
    """An open dataset as it is, and what `open_dataset` takes opened. Raises what that raises."""
    return dataset if isinstance(dataset, Dataset) else open_dataset(dataset)


def open_source(dataset: Dataset, source: SeedSource) -> Seeds:
    """Open a seed source that a dataset names beside its seed data. Raises SeedError."""
    return _open_seeds(
        dataset.loaded, SeedConfig(source=source), dataset.layout, dataset.env
    )


def _open_seeds(
    loaded: LoadedDataset,
    config: SeedConfig,
    layout: DatasetLayout,
    env: Mapping[str, str],
    *,
    offline: bool = False,
) -> Seeds:
    return open_seeds(
        config,
        seed=loaded.config.seed,
        base=loaded.base,
        root=str(layout.root),
        env=env,
        finished=lambda name: finished_parts(replace(layout, dataset=name)),
        stored=object_path,
        frame=loaded.frame,
        offline=offline,
    )


def _named_from(base: Path, seed: SeedInfo) -> SeedInfo:
    """The same with files named as the dataset file would name them."""
    files = {}
    for name, digest in seed.files.items():
        path = Path(name)
        shown = str(path.relative_to(base)) if path.is_relative_to(base) else name
        files[shown] = digest
    return replace(seed, files=files)


def row_group_statuses(dataset: ConfigLike | Dataset) -> list[RowGroupStatus]:
    """The status of every planned row group in the version of this config."""
    dataset = opened(dataset)
    return scan_version(dataset, measured_version(dataset)[0])


def seal_of(dataset: ConfigLike | Dataset) -> Version | None:
    """The sealed version that would make a run of this dataset be refused; None if there is none."""
    dataset = opened(dataset)
    version = find_version(dataset.layout, dataset.plan)
    sealed = (
        version is not None and version.metadata is not None and version.metadata.sealed
    )
    return version if sealed else None


def measured_version(
    dataset: ConfigLike | Dataset,
) -> tuple[VersionLayout, Metadata | None]:
    """The version to compare the plan with. Raises a MetadataError, or RowGroupSizeError if the two cannot be
    compared."""
    dataset = opened(dataset)
    version = find_version(dataset.layout, dataset.plan)
    if version is None:
        return dataset.layout.version(dataset.plan.fingerprint.version), None
    check_row_group_size(version, dataset.plan)
    return version.layout, version.metadata


def existing_version(dataset: Dataset) -> Version:
    """The version of this config, which must have been started. Raises IncompleteError."""
    version = find_version(dataset.layout, dataset.plan)
    if version is None or version.metadata is None:
        other = dataset.layout.other_place()
        remedy = "generate it first"
        if other is not None:
            remedy = f"{other} holds data: add --root {other.parent}"
        raise IncompleteError(
            f"{dataset.layout.directory} holds no data of this config (fingerprint {dataset.plan.fingerprint.version})",
            remedy=remedy,
        )
    return version


def scan_version(dataset: Dataset, layout: VersionLayout) -> list[RowGroupStatus]:
    """The status of every planned row group in a version."""
    return scan_row_groups(
        layout, dataset.plan, earlier=earlier_versions(dataset.layout, layout)
    )
