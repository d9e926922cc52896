"""The one door for Python users: everything the `sdg` command and the Dagster assets do is a call here.

    from sdg_core import api

    dataset = api.open_dataset("support_tickets.yaml")
    summary = api.generate(dataset)
    result = api.process(dataset)

Functions take an open dataset, return frozen values, and raise errors of `sdg_core.errors`.
"""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sdg_core.config.run import ResumeMode, RunSettings
from sdg_core.errors import ForeignFileError, IncompleteError, PlanError
from sdg_core.execution.events import Event, Notice, Observer, RowGroupFinished
from sdg_core.execution.interrupt import run_interruptible
from sdg_core.execution.preview import Preview, make_preview
from sdg_core.execution.run import RowGroupRun, RunContext
from sdg_core.models.pool import open_models
from sdg_core.plan.check import LoadedDataset, load_dataset
from sdg_core.plan.compile import DatasetPlan, compile_plan
from sdg_core.plan.row_groups import format_ranges
from sdg_core.processing.run import ProcessingResult, check_complete, existing_result
from sdg_core.processing.run import process as process_version
from sdg_core.processing.run import reopen as reopen_version
from sdg_core.seeds.readers import Seeds, open_seeds
from sdg_core.store.atomic import clean_temporaries, ensure_writable
from sdg_core.store.layout import DatasetLayout, VersionLayout, resolve_root
from sdg_core.store.state import RowGroupStatus, scan_row_groups
from sdg_core.store.status import DatasetStatus, describe
from sdg_core.store.versions import (
    Version,
    choose_version,
    create_or_resume,
    earlier_versions,
    find_version,
    record_progress,
)


@dataclass(frozen=True)
class Dataset:
    """An open dataset: its checked file, its plan, its seed data, and where it is stored."""

    loaded: LoadedDataset
    plan: DatasetPlan
    seeds: Seeds | None
    layout: DatasetLayout
    env: Mapping[str, str]

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.plan.config.name


@dataclass(frozen=True)
class RunSummary:
    """What a run did, in records and row groups.

    generated, failed: records of this run. adopted: row groups that were complete before it. written: row groups it wrote.
    lacking: records of the chosen row groups that have no row now.
    """

    version: VersionLayout
    run_id: str
    generated: int
    failed: int
    adopted: int
    written: int
    lacking: int
    first_failure: str | None


def open_dataset(
    path: str | Path,
    *,
    root: str | None = None,
    num_records: int | None = None,
    env: Mapping[str, str] = os.environ,
) -> Dataset:
    """Read and check a dataset file and look at its seed data.

    root: the storage root; default SDG_ROOT, else `data` in the working directory. num_records: overrides the file's.
    Raises ConfigError, SeedError, PlanError or StoreError.
    """
    loaded = load_dataset(Path(path), env=env)
    if num_records is not None:
        if num_records < 1:
            raise PlanError(f"num_records is {num_records}", remedy="ask for at least 1 record")
        config = loaded.config.model_copy(update={"num_records": num_records})
        loaded = LoadedDataset(config, loaded.parsed, loaded.base)
    resolved = resolve_root(root, env=env, base=Path.cwd())
    seeds = None
    if loaded.config.seed_config is not None:
        seeds = open_seeds(loaded.config.seed_config, seed=loaded.config.seed, base=loaded.base, root=str(resolved))
    plan = compile_plan(loaded, seeds.info() if seeds is not None else None)
    return Dataset(loaded, plan, seeds, DatasetLayout(resolved, plan.config.name), env)


def preview(path: str | Path, *, num_records: int = 10, root: str | None = None) -> Preview:
    """The first records, made in memory; nothing is stored. Asks models for them if columns need models."""
    dataset = open_dataset(path, root=root, num_records=num_records)

    async def main() -> Preview:
        async with open_models(dataset.plan.models, settings=dataset.plan.config.run, env=dataset.env) as models:
            await models.check()
            return await make_preview(dataset.plan, num_records=num_records, seeds=dataset.seeds, models=models)

    return run_interruptible(main)


def generate(
    dataset: Dataset,
    *,
    row_groups: Sequence[int] | None = None,
    resume: ResumeMode | None = None,
    settings: RunSettings | None = None,
    on_event: Observer = lambda event: None,
    run_id: str | None = None,
) -> RunSummary:
    """Bring row groups (default: all) to completion. See `agenerate`; SIGINT and SIGTERM stop it in order and raise
    KeyboardInterrupt."""
    return run_interruptible(
        lambda: agenerate(
            dataset, row_groups=row_groups, resume=resume, settings=settings, on_event=on_event, run_id=run_id
        )
    )


async def agenerate(
    dataset: Dataset,
    *,
    row_groups: Sequence[int] | None = None,
    resume: ResumeMode | None = None,
    settings: RunSettings | None = None,
    on_event: Observer = lambda event: None,
    run_id: str | None = None,
) -> RunSummary:
    """Bring row groups (default: all) to completion; complete ones are adopted, nothing is generated twice.

    resume: see `sdg_core.store.versions`; default the config's. settings: replaces the config's `run` block.
    on_event: told what happens, as it happens. Everything that can be checked is checked before anything is written or asked
    of a model. Raises errors of `sdg_core.errors`; finished work is on disk whatever happens.
    """
    plan, settings = dataset.plan, settings or dataset.plan.config.run
    indices = _chosen(plan, row_groups)
    version = choose_version(dataset.layout, plan, mode=resume or settings.resume)
    work = _plan_work(dataset, version, indices)
    tally = _Tally(on_event)
    run_id = run_id or uuid.uuid4().hex
    async with open_models(plan.models, settings=settings, env=dataset.env) as models:
        if any(status.lacking for status in work):
            await models.check()
        ensure_writable(dataset.layout.directory)
        version = create_or_resume(dataset.layout, version, plan)
        clean_temporaries(version.layout.row_groups)
        for message in _notices(version, plan):
            tally(Notice(message))
        context = RunContext(plan, version.layout, dataset.seeds, models, settings, tally, run_id)
        try:
            await RowGroupRun(context).run(work)
        finally:
            statuses = scan_row_groups(version.layout, plan)
            record_progress(version.layout, plan, statuses)
    lacking = sum(len(statuses[index].lacking) for index in indices)
    return tally.summary(version.layout, run_id=run_id, lacking=lacking)


def status(dataset: Dataset) -> DatasetStatus:
    """What is on disk of a dataset, measured against its plan. Raises a MetadataError if that cannot be told."""
    version = find_version(dataset.layout, dataset.plan)
    layout = version.layout if version is not None else dataset.layout.version(dataset.plan.fingerprint.version)
    statuses = _scan(dataset, layout)
    metadata = version.metadata if version is not None else None
    return describe(dataset.layout, layout, plan=dataset.plan, metadata=metadata, statuses=statuses)


def row_group_statuses(dataset: Dataset) -> list[RowGroupStatus]:
    """The status of every planned row group in the version that this config's data lies in."""
    version = find_version(dataset.layout, dataset.plan)
    layout = version.layout if version is not None else dataset.layout.version(dataset.plan.fingerprint.version)
    return _scan(dataset, layout)


def process(
    dataset: Dataset, *, allow_missing: bool = False, on_row_group: Callable[[int], None] = lambda index: None
) -> ProcessingResult:
    """Apply post-generation processing and seal. Raises IncompleteError if row groups or records are lacking.

    allow_missing: leave records out that failed for good. on_row_group: told the index of each row group that is read.
    """
    version = _existing_version(dataset)
    assert version.metadata is not None
    if version.metadata.post_generation_state == "complete":
        return existing_result(version.layout, dataset.plan, version.metadata)
    statuses = scan_row_groups(version.layout, dataset.plan)
    check_complete(statuses, dataset.plan, allow_missing=allow_missing)
    clean_temporaries(version.layout.directory)
    return process_version(version.layout, dataset.plan, statuses, on_row_group=on_row_group)


def reopen(dataset: Dataset) -> bool:
    """Remove the seal and the processed output; row groups stay. Returns False if the dataset was not sealed."""
    version = _existing_version(dataset)
    assert version.metadata is not None
    if not version.metadata.sealed:
        return False
    reopen_version(version.layout)
    return True


def seal_of(dataset: Dataset) -> Version | None:
    """The version that a run of this dataset would be refused for, because it is sealed; None if there is none."""
    version = find_version(dataset.layout, dataset.plan)
    sealed = version is not None and version.metadata is not None and version.metadata.sealed
    return version if sealed else None


def _existing_version(dataset: Dataset) -> Version:
    version = find_version(dataset.layout, dataset.plan)
    if version is None or version.metadata is None:
        raise IncompleteError(
            f"{dataset.layout.directory} holds no data of this config (fingerprint {dataset.plan.fingerprint.version})",
            remedy="generate it first",
        )
    return version


def _chosen(plan: DatasetPlan, row_groups: Sequence[int] | None) -> list[int]:
    if row_groups is None:
        return [group.index for group in plan.row_groups]
    outside = [index for index in row_groups if not 0 <= index < len(plan.row_groups)]
    if outside:
        raise PlanError(
            f"row groups {format_ranges(outside)} do not exist",
            remedy=f"this dataset has 0 to {len(plan.row_groups) - 1}",
        )
    return sorted(set(row_groups))


def _scan(dataset: Dataset, layout: VersionLayout) -> list[RowGroupStatus]:
    return scan_row_groups(layout, dataset.plan, earlier=earlier_versions(dataset.layout, layout))


def _plan_work(dataset: Dataset, version: Version, indices: Sequence[int]) -> list[RowGroupStatus]:
    """The statuses of the chosen row groups. Raises ForeignFileError before anything is touched."""
    statuses = _scan(dataset, version.layout)
    work = [statuses[index] for index in indices]
    for item in work:
        if item.foreign:
            raise ForeignFileError(
                str(item.reason), remedy="move it out of this directory, then run again; nothing was changed"
            )
    return work


def _notices(version: Version, plan: DatasetPlan) -> list[str]:
    notices = [version.notice] if version.notice is not None else []
    if plan.simulated:
        notices.append("replies are simulated: a rehearsal, marked so in the files and their metadata")
    return notices


class _Tally:
    """Passes events on and keeps count of them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._finished: list[RowGroupFinished] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, RowGroupFinished):
            self._finished.append(event)
        self._observer(event)

    def summary(self, version: VersionLayout, *, run_id: str, lacking: int) -> RunSummary:
        failures = [event.first_failure for event in self._finished if event.first_failure is not None]
        return RunSummary(
            version=version,
            run_id=run_id,
            generated=sum(event.generated for event in self._finished),
            failed=sum(event.failed for event in self._finished),
            adopted=sum(event.adopted for event in self._finished),
            written=sum(not event.adopted for event in self._finished),
            lacking=lacking,
            first_failure=failures[0] if failures else None,
        )
