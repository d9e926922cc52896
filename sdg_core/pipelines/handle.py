"""An open pipeline: its plan, its sources, its place; and the state of every partition.

A source is complete when the file of its partition says so, and only then. Everything here is worked out from three things: the
partitions as they were written down, the sources that are there now, and the footers of the files.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

from sdg_core.config.load import parse_pipeline
from sdg_core.config.pipeline import PipelineConfig
from sdg_core.config.yaml_document import Document
from sdg_core.counts import counted
from sdg_core.dataset.handle import Dataset
from sdg_core.dataset.shown_tables import as_html
from sdg_core.errors import (
    ConfigError,
    CorruptFileError,
    PlanError,
    Problem,
    StoreError,
)
from sdg_core.pipelines.build import Pipeline, WrittenPipeline
from sdg_core.pipelines.compile import compile_pipeline, load_pipeline
from sdg_core.pipelines.plan import PipelinePlan
from sdg_core.pipelines.readers.base import Source, SourceError, UnreadSource
from sdg_core.pipelines.readers.find import (
    find_sources,
    needs_code_or_network,
    why_empty,
)
from sdg_core.pipelines.store import (
    Partition,
    PartitionFooter,
    PipelineLayout,
    SourceEntry,
    SourcesLayout,
    assigned,
    count_partitions,
    read_footer,
    read_partitions,
)
from sdg_core.plan.load import LoadedDataset
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.variables import check_variables
from sdg_core.store.roots import choose_root
from sdg_core.store.versions import Version, earlier_versions, find_version


@dataclass(frozen=True, repr=False)
class OpenPipeline:
    """An open pipeline: its checked file, its sources, and where it is stored.

    is_current: `sources` are those that there are now; else those that were written down when somebody last looked. offline: the
    user's code was read, not loaded, so nothing can be made.
    """

    plan: PipelinePlan
    sources: Mapping[str, Source]
    layout: PipelineLayout
    env: Mapping[str, str]
    is_current: bool = True
    offline: bool = False

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.plan.config.name

    def __repr__(self) -> str:
        through = f"{counted(len(self.sources), 'source')} through {counted(len(self.plan.stages), 'stage')}"
        return f"<Pipeline {self.name!r}: {through}, in {self.layout.directory}>"

    def _repr_html_(self) -> str:
        """As a notebook shows it: its stages. Nothing is read."""
        rows = []
        for stage in self.plan.stages:
            columns: list[str] = []
            if stage.columns is not None:
                columns = [column.name for column in stage.columns.config.columns]
            rows.append((stage.stage.stage, ", ".join(columns)))
        return as_html(("stage", "columns"), enumerate(rows), [repr(self)])

    def check_loaded(self) -> None:
        """Raise PlanError if nothing can be made because the pipeline was only looked at."""
        if self.offline:
            raise PlanError(
                f"{self.name} was opened read-only (offline=True)",
                remedy="open it without offline=True to run it",
            )

    def as_dataset(self, partitions: Sequence[Partition] | None = None) -> Dataset:
        """The pipeline as what it has in common with a dataset: versions, claims, history, seal."""
        count = (
            len(partitions) if partitions is not None else count_partitions(self.layout)
        )
        groups = tuple(RowGroup(index, index, 1) for index in range(max(count, 1)))
        shell = replace(self.plan.shell, row_groups=groups)
        loaded = LoadedDataset(shell.config, self.plan.parsed, self.plan.base)
        return Dataset(loaded, shell, None, self.layout, self.env)


PipelineConfigLike = str | Path | Pipeline | Mapping[str, Any] | PipelineConfig
"""A pipeline file, a pipeline written in Python, or what a file would hold as a mapping or a config object."""


PipelineLike = PipelineConfigLike | OpenPipeline
"""What `open_pipeline` takes, or an open pipeline."""


def open_pipeline(
    path: PipelineConfigLike,
    *,
    root: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    clients: Mapping[str, Any] | None = None,
    offline: bool = False,
    untrusted: bool = False,
) -> OpenPipeline:
    """Read and check a pipeline file, or a pipeline passed in Python, and find its sources.

    Relative paths of a pipeline that is not a file are relative to the working directory.
    offline: run none of the code that the file names, and open no connection. Functions and classes are read from
    their source; sources that need code or a network are as of the last run. Code whose declarations cannot be read
    statically runs only if the file is in the project of the working directory, and never if `untrusted`.
    Raises ConfigError, StoreError, and SeedError if there are no sources.
    """
    env = os.environ if env is None else env
    objects: Mapping[str, Any] = {}
    if isinstance(path, Pipeline):
        written = path.written()
        objects = written.objects
        functions = {**(functions or {}), **objects}
        plan = _compile_pipeline_object(
            path, written, env, functions=functions, clients=clients
        )
    elif isinstance(path, Mapping | PipelineConfig):
        plan = _compile_mapping(path, env, functions=functions, clients=clients)
    elif isinstance(path, str | PathLike):
        plan = load_pipeline(
            Path(path),
            env=env,
            functions=functions,
            clients=clients,
            offline=offline,
            untrusted=untrusted,
        )
    else:
        kind = type(path).__name__
        message = (
            f"expected a path, a Pipeline, a mapping or a config object, got {kind}"
        )
        raise ConfigError("pipeline", [Problem("(top level)", message)])
    check_variables_of(plan, env)
    chosen = choose_root(root, env=env, folder=plan.base)
    layout = PipelineLayout(chosen.path, plan.config.name, chosen.given, chosen.others)
    if offline and not objects and needs_code_or_network(plan.config.sources, env):
        return OpenPipeline(
            plan, _recorded(layout), layout, env, is_current=False, offline=True
        )
    found = find_sources(
        plan.config.sources, base=plan.base, root=layout.root, env=env, given=objects
    )
    sources = {source.key: source for source in found}
    return OpenPipeline(plan, sources, layout, env, offline=offline)


def _compile_pipeline_object(
    pipeline: Pipeline,
    written: WrittenPipeline,
    env: Mapping[str, str],
    *,
    functions: Mapping[str, Callable[..., Any]] | None,
    clients: Mapping[str, Any] | None,
) -> PipelinePlan:
    read = parse_pipeline(
        Document(written.data, {}),
        source=f"pipeline {pipeline.name!r}",
        default_name=pipeline.name,
        env=env,
    )
    return compile_pipeline(read, written.base, functions=functions, clients=clients)


def _compile_mapping(
    config: Mapping[str, Any] | PipelineConfig,
    env: Mapping[str, str],
    *,
    functions: Mapping[str, Callable[..., Any]] | None,
    clients: Mapping[str, Any] | None,
) -> PipelinePlan:
    """Compile what a file would hold; relative paths start at the working directory."""
    if isinstance(config, PipelineConfig):
        data = config.model_dump(mode="json", exclude_unset=True)
    else:
        data = dict(config)
    read = parse_pipeline(
        Document(data, {}), source="config", default_name="pipeline", env=env
    )
    return compile_pipeline(read, Path.cwd(), functions=functions, clients=clients)


def empty_notice(pipeline: OpenPipeline) -> str | None:
    """What to say where there is no source, which is fine if the file says that they come later."""
    if pipeline.sources:
        return None
    why = why_empty(pipeline.plan.config.sources, base=pipeline.plan.base)
    return f"there are no sources yet: {why} (sources.allow_empty)"


def check_variables_of(plan: PipelinePlan, env: Mapping[str, str]) -> None:
    """Raise ConfigError if the file would send a variable of `env` to a host where it does not belong."""
    problems = [
        plan.parsed.problem(where, message)
        for where, message in check_variables(plan.config, env=env)
    ]
    if problems:
        raise ConfigError(plan.parsed.source, problems)


def _recorded(layout: PipelineLayout) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for partition in read_partitions(layout):
        for key, locator in partition.sources:
            sources[key] = UnreadSource(key, locator)
    return sources


@dataclass(frozen=True)
class PartitionStatus:
    """A partition, its state, and what materializing it would do.

    state: missing, partial, complete, failed (all that is left was given up), corrupt, stale. to_make: keys of sources to make,
    or to try again. removed: keys of sources that are gone and still have rows here. changed: whether the file holds anything
    else than the sources that there are now, apart from what failed.
    """

    partition: Partition
    state: str
    footer: PartitionFooter | None = None
    to_make: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reason: str | None = None
    changed: bool = False

    @property
    def index(self) -> int:
        """Its number."""
        return self.partition.index

    @property
    def key(self) -> str:
        """Its Dagster partition key."""
        return self.partition.key

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to do."""
        return self.state in ("complete", "failed")

    @property
    def is_current(self) -> bool:
        """Whether its file is made of the sources that there are now; some of it may have failed."""
        return self.state in ("complete", "partial", "failed") and not self.changed

    @property
    def num_remaining(self) -> int:
        """Sources to make, or to take out."""
        return len(self.to_make) + len(self.removed)


@dataclass
class Versions:
    """The versions of sources as they are now, each read once."""

    sources: Mapping[str, Source]
    known: dict[str, str] = field(default_factory=dict)

    def of(self, key: str) -> str | None:
        """What identifies a source's content; empty if it cannot be read, which its own task will say. None if nobody looked."""
        if isinstance(self.sources[key], UnreadSource):
            return None
        if key not in self.known:
            try:
                self.known[key] = self.sources[key].open().version
            except SourceError:
                self.known[key] = ""
        return self.known[key]


def partitions_of(pipeline: OpenPipeline) -> list[Partition]:
    """Every partition, with those that new sources will get."""
    config = pipeline.plan.config.sources
    known = read_partitions(pipeline.layout)
    return assigned(
        known, [*pipeline.sources.values()], per_partition=config.sources_per_partition
    )


def scan(
    pipeline: OpenPipeline,
    version: SourcesLayout,
    partitions: Sequence[Partition],
    *,
    retry: frozenset[str] | None = None,
    versions: "Versions | None" = None,
    known: Mapping[int, PartitionFooter] | None = None,
) -> list[PartitionStatus]:
    """The state of every partition in a version. retry: sources given up that are to be tried again after all. versions: of
    sources as far as they are known. known: what files say that need not be read."""
    files = version.existing_row_groups()
    present = frozenset(files)
    older: set[int] = set()
    for other in earlier_versions(pipeline.layout, version):
        older.update(pipeline.layout.version(other.name).existing_row_groups())
    versions = versions or Versions(pipeline.sources)
    found = []
    for partition in partitions:
        footer: PartitionFooter | CorruptFileError | None = (known or {}).get(
            partition.index
        )
        if partition.index in present and footer is None:
            footer = _read(version.row_group(partition.index))
        stale = partition.index in older
        found.append(
            classify(
                pipeline,
                partition,
                footer,
                versions=versions,
                stale=stale,
                retry=retry or frozenset(),
            )
        )
    return found


def _read(path: Any) -> PartitionFooter | CorruptFileError:
    try:
        return read_footer(path)
    except CorruptFileError as error:
        return error


def classify(
    pipeline: OpenPipeline,
    partition: Partition,
    found: PartitionFooter | CorruptFileError | None,
    *,
    versions: Versions,
    stale: bool,
    retry: frozenset[str],
) -> PartitionStatus:
    """The state of one partition, from what was found of it."""
    here = tuple(key for key, _ in partition.sources if key in pipeline.sources)
    if found is None:
        if not here:
            return PartitionStatus(partition, "complete")
        state = "stale" if stale else "missing"
        return PartitionStatus(partition, state, to_make=here)
    if isinstance(found, CorruptFileError):
        return PartitionStatus(partition, "corrupt", to_make=here, reason=found.message)
    if (
        found.config_hash != pipeline.plan.fingerprint.config_hash
        or found.dataset != pipeline.name
    ):
        reason = (
            f"it was generated by {found.dataset!r}, config {found.config_hash[:19]}"
        )
        return PartitionStatus(partition, "corrupt", to_make=here, reason=reason)
    entries = {entry.key: entry for entry in found.sources}
    removed = tuple(key for key in entries if key not in here)
    to_make = []
    changed = bool(removed)
    for key in here:
        entry = entries.get(key)
        version = versions.of(key)
        if _is_to_make(entry, version, key in retry):
            to_make.append(key)
            changed = changed or _is_changed(entry, version)
    state = "complete"
    if to_make or removed:
        state = "partial"
    elif any(entry.state == "failed" for entry in found.sources):
        state = "failed"
    return PartitionStatus(
        partition, state, found, tuple(to_make), removed, changed=changed
    )


def _is_changed(entry: SourceEntry | None, version: str | None) -> bool:
    """Whether a file has another content of a source than there is now, or none. version: None if nobody looked."""
    if entry is None:
        return True
    return version is not None and entry.version != version


def _is_to_make(entry: SourceEntry | None, version: str | None, retry: bool) -> bool:
    if entry is None or _is_changed(entry, version):
        return True
    if entry.state == "failed":
        return retry
    return entry.state == "partial"


def measured(
    pipeline: OpenPipeline,
) -> tuple[Version | None, SourcesLayout, list[PartitionStatus]]:
    """The version that this config's data lies in (None before the first run), and the state of its partitions."""
    partitions = partitions_of(pipeline)
    version = find_version(pipeline.layout, pipeline.as_dataset(partitions).plan)
    name = (
        version.layout.name
        if version is not None
        else pipeline.plan.fingerprint.version
    )
    layout = pipeline.layout.version(name)
    return version, layout, scan(pipeline, layout, partitions)


def with_settings(pipeline: OpenPipeline, **changes: Any) -> OpenPipeline:
    """The same under other run settings."""
    settings = pipeline.plan.config.run.model_copy(update=changes)
    config = pipeline.plan.config.model_copy(update={"run": settings})
    shell = pipeline.plan.shell.with_settings(settings)
    return replace(pipeline, plan=replace(pipeline.plan, config=config, shell=shell))


def check_partition_keys(
    partitions: Sequence[Partition], wanted: Sequence[str]
) -> list[int]:
    """The numbers of partitions by key. Raises StoreError for one that does not exist."""
    known = {partition.key: partition.index for partition in partitions}
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise StoreError(
            f"partitions {', '.join(unknown)} do not exist",
            remedy=f"there are {len(known)}; `sdg status FILE` lists them",
        )
    return sorted({known[key] for key in wanted})
