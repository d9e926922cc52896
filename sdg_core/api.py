"""The one door for Python users: everything the `sdg` command and the Dagster assets do is a call here.

    dataset = api.open_dataset("support_tickets.yaml")
    api.generate(dataset)
    print(api.process(dataset).outputs)

Functions take an open dataset, return frozen values, and raise errors of `sdg_core.errors`.
"""

import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sdg_core.config.run import ResumeMode, RunSettings
from sdg_core.errors import ForeignFileError, IncompleteError, PlanError, StoreError
from sdg_core.execution.context import RunContext, open_journal
from sdg_core.execution.estimate import Estimate, make_estimate
from sdg_core.execution.events import Notice, Observer
from sdg_core.execution.interrupt import run_interruptible
from sdg_core.execution.preview import Preview, make_preview
from sdg_core.execution.run import RowGroupRun
from sdg_core.execution.summary import RunSummary, Tally
from sdg_core.generators.drawing import Acceptance, measure_acceptance
from sdg_core.models.health import ModelHealth
from sdg_core.models.pool import ModelPool, open_models
from sdg_core.plan.check import LoadedDataset, load_dataset
from sdg_core.plan.compile import DatasetPlan, compile_plan
from sdg_core.plan.importing import ImportedConfig, import_config
from sdg_core.plan.row_groups import chosen_row_groups
from sdg_core.processing import run as processing
from sdg_core.processing.run import ProcessingResult
from sdg_core.seeds.readers import Seeds, open_seeds
from sdg_core.store.atomic import ensure_writable
from sdg_core.store.finished import finished_parts
from sdg_core.store.layout import DatasetLayout, VersionLayout, resolve_root
from sdg_core.store.leftovers import clean_leftovers
from sdg_core.store.metadata import Metadata
from sdg_core.store.state import RowGroupStatus, scan_row_groups
from sdg_core.store.status import DatasetStatus, describe
from sdg_core.store.versions import (
    Version,
    check_not_shrunk,
    check_row_group_size,
    choose_version,
    create_or_resume,
    earlier_versions,
    find_version,
    notices,
    record_progress,
)

Result = TypeVar("Result")


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


def open_dataset(
    path: str | Path,
    *,
    root: str | None = None,
    num_records: int | None = None,
    env: Mapping[str, str] = os.environ,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Dataset:
    """Read and check a dataset file and look at its seed data.

    root: the storage root; default SDG_ROOT, else `data` in the working directory. num_records: overrides the file's.
    functions: by name, for columns whose function is passed in Python instead of being named `module:function`.
    Raises ConfigError, SeedError, PlanError or StoreError.
    """
    loaded = load_dataset(Path(path), env=env, functions=functions)
    if num_records is not None:
        if num_records < 1:
            raise PlanError(f"num_records is {num_records}", remedy="ask for at least 1 record")
        loaded = replace(loaded, config=loaded.config.model_copy(update={"num_records": num_records}))
    resolved = resolve_root(root, env=env, base=Path.cwd())
    seeds = None
    if loaded.config.seed_config is not None:
        seeds = open_seeds(
            loaded.config.seed_config,
            seed=loaded.config.seed,
            base=loaded.base,
            root=str(resolved),
            env=env,
            finished=lambda name: finished_parts(DatasetLayout(resolved, name)),
        )
    plan = compile_plan(loaded, seeds.info() if seeds is not None else None)
    return Dataset(loaded, plan, seeds, DatasetLayout(resolved, plan.config.name), env)


def preview(
    path: str | Path,
    *,
    num_records: int = 10,
    root: str | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Preview:
    """The first records, made in memory; nothing is stored. Asks models for them if columns need models."""
    dataset = open_dataset(path, root=root, num_records=num_records, functions=functions)
    plan, seeds = dataset.plan, dataset.seeds
    return _ask(dataset, lambda models: make_preview(plan, num_records=num_records, seeds=seeds, models=models))


def import_builder_config(path: str | Path, *, env: Mapping[str, str] = os.environ) -> ImportedConfig:
    """A builder config of Data Designer as a dataset file of this project. Raises ConfigError."""
    return import_config(Path(path), env=env)


def estimate(dataset: Dataset, *, sample: int = 5) -> Estimate:
    """What making the lacking records will take, judged by a sample of them. Asks models for the sample, and keeps none of it."""
    if sample < 1:
        raise PlanError(f"sample is {sample}", remedy="ask for at least 1 record")
    lacking = [record for status in row_group_statuses(dataset) for record in status.lacking]
    plan, seeds = dataset.plan, dataset.seeds
    return _ask(dataset, lambda models: make_estimate(plan, lacking, sample=sample, seeds=seeds, models=models))


def check_models(dataset: Dataset) -> tuple[ModelHealth, ...]:
    """Ask each model that the dataset uses once. A model that cannot be used is a row of the answer, not an error."""
    return _ask(dataset, ModelPool.check_models, checked=False)


def measure_constraints(dataset: Dataset) -> tuple[Acceptance, ...]:
    """How often draws satisfy the constraints, from the first few thousand records. Raises ConstraintError if none does."""
    return measure_acceptance(dataset.plan, dataset.seeds)


def _ask(dataset: Dataset, work: Callable[[ModelPool], Awaitable[Result]], *, checked: bool = True) -> Result:
    """Work that asks models and touches no file."""

    async def main() -> Result:
        async with open_models(dataset.plan.models, settings=dataset.plan.config.run, env=dataset.env) as models:
            if checked:
                await models.check()
            return await work(models)

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
    settings = settings or dataset.plan.config.run
    plan = dataset.plan.with_settings(settings)
    indices = chosen_row_groups(plan.row_groups, row_groups)
    version = choose_version(dataset.layout, plan, mode=resume or settings.resume)
    work = _plan_work(dataset, version, indices)
    tally = Tally(on_event)
    run_id = run_id or uuid.uuid4().hex
    async with open_models(plan.models, settings=settings, env=dataset.env) as models:
        if any(status.lacking for status in work):
            await models.check()
        ensure_writable(dataset.layout.directory)
        version = create_or_resume(dataset.layout, version, plan)
        clean_leftovers(dataset.layout, version.layout)
        for message in notices(version, plan):
            tally(Notice(message))
        try:
            async with open_journal(plan, version.layout, work, root=dataset.layout.root, env=dataset.env) as journal:
                context = RunContext(plan, version.layout, dataset.seeds, models, settings, tally, run_id, journal)
                await RowGroupRun(context).run(work)
        except BaseException:
            with suppress(StoreError):  # the files are the truth, and the reason for stopping matters more
                record_progress(version.layout, plan, scan_row_groups(version.layout, plan))
            raise
        statuses = scan_row_groups(version.layout, plan)
        record_progress(version.layout, plan, statuses)
    lacking = sum(len(statuses[index].lacking) for index in indices)
    return tally.summary(version.layout, run_id=run_id, lacking=lacking)


def status(dataset: Dataset) -> DatasetStatus:
    """What is on disk of a dataset, measured against its plan. Raises a MetadataError if that cannot be told."""
    layout, metadata = _measured_version(dataset)
    statuses = _scan(dataset, layout)
    return describe(dataset.layout, layout, plan=dataset.plan, metadata=metadata, statuses=statuses)


def row_group_statuses(dataset: Dataset) -> list[RowGroupStatus]:
    """The status of every planned row group in the version that this config's data lies in."""
    return _scan(dataset, _measured_version(dataset)[0])


def process(
    dataset: Dataset, *, allow_missing: bool = False, on_row_group: Callable[[int], None] = lambda index: None
) -> ProcessingResult:
    """Apply post-generation processing and seal. Raises IncompleteError if row groups or records are lacking.

    allow_missing: leave records out that failed for good. on_row_group: told the index of each row group that is read.
    """
    version = _existing_version(dataset)
    assert version.metadata is not None
    check_row_group_size(version, dataset.plan)
    check_not_shrunk(version.layout, dataset.plan)
    if version.metadata.post_generation_state == "complete" and version.layout.processed_dataset.is_dir():
        return processing.existing_result(version.layout, dataset.plan, version.metadata)
    statuses = scan_row_groups(version.layout, dataset.plan)
    processing.check_complete(statuses, dataset.plan, allow_missing=allow_missing)
    clean_leftovers(dataset.layout, version.layout)
    return processing.process(version.layout, dataset.plan, statuses, on_row_group=on_row_group)


def reopen(dataset: Dataset) -> bool:
    """Remove the seal and the processed output; row groups stay. Returns False if the dataset was not sealed."""
    version = _existing_version(dataset)
    assert version.metadata is not None
    if not version.metadata.sealed and not version.layout.processed.exists():
        return False
    processing.reopen(version.layout)
    return True


def seal_of(dataset: Dataset) -> Version | None:
    """The version that a run of this dataset would be refused for, because it is sealed; None if there is none."""
    version = find_version(dataset.layout, dataset.plan)
    sealed = version is not None and version.metadata is not None and version.metadata.sealed
    return version if sealed else None


def _measured_version(dataset: Dataset) -> tuple[VersionLayout, Metadata | None]:
    """The version to measure the plan against. Raises a MetadataError, or RowGroupSizeError if the two cannot be compared."""
    version = find_version(dataset.layout, dataset.plan)
    if version is None:
        return dataset.layout.version(dataset.plan.fingerprint.version), None
    check_row_group_size(version, dataset.plan)
    return version.layout, version.metadata


def _existing_version(dataset: Dataset) -> Version:
    version = find_version(dataset.layout, dataset.plan)
    if version is None or version.metadata is None:
        raise IncompleteError(
            f"{dataset.layout.directory} holds no data of this config (fingerprint {dataset.plan.fingerprint.version})",
            remedy="generate it first",
        )
    return version


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
