"""What Python users call: each verb takes an open dataset, returns frozen values and raises errors of `sdg_core.errors`."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sdg_core.config.load import is_pipeline, read_config, read_pipeline
from sdg_core.config.processors import DecontaminateProcessor
from sdg_core.config.run import RunSettings
from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.events import Observer
from sdg_core.dataset.handle import (
    ConfigLike,
    Dataset,
    open_dataset,
    open_source,
    opened,
    scan_version,
)
from sdg_core.dataset.ledger import latest_runs
from sdg_core.errors import ConfigError, PlanError
from sdg_core.execution.context import OnRowGroup
from sdg_core.execution.generate import agenerate
from sdg_core.execution.summary import RunSummary
from sdg_core.generators.samplers.group_sampler import measure_acceptance
from sdg_core.ledger.history import RunRecord
from sdg_core.models.pool import ModelPool, open_models_of
from sdg_core.plan.project import is_own
from sdg_core.seeds.readers import UnreadSeeds
from sdg_core.store.roots import choose_root
from sdg_core.system.former_names import takes_former_names
from sdg_core.system.signals import run_long, run_until_signalled

if TYPE_CHECKING:
    from sdg_core.dataset.status import DatasetStatus
    from sdg_core.execution.dry_run import RunPlan
    from sdg_core.execution.estimate import Estimate
    from sdg_core.execution.preview import Preview
    from sdg_core.generators.samplers.group_sampler import Acceptance
    from sdg_core.models.health import ModelHealth
    from sdg_core.models.mcp.toolbox import ToolHealth
    from sdg_core.plan.effects import Effects
    from sdg_core.plan.import_builder_config import ImportedConfig
    from sdg_core.store.version_list import VersionInfo

Result = TypeVar("Result")


def preview(
    config: ConfigLike | Dataset,
    *,
    num_records: int = 10,
    first: int = 0,
    root: str | Path | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    clients: Mapping[str, Any] | None = None,
    on_event: Observer = lambda event: None,
) -> "Preview":
    """Generate some records in memory. Replies of real models are kept in the journal, so a later run does not pay
    for them again.

    config: as for `open_dataset`, or an open dataset. first: the number of the first record. Raises PlanError if the
    record does not exist.
    """
    from sdg_core.execution.preview import make_preview
    from sdg_core.execution.samples import open_samples

    if num_records < 1 or first < 0:
        raise PlanError(
            f"records {first} to {first + num_records - 1}",
            remedy="use a first record of 0 or more and at least 1 record",
        )
    records = range(first, first + num_records)
    dataset = config if isinstance(config, Dataset) else None
    if dataset is None:
        dataset = open_dataset(
            config,  # type: ignore[arg-type]
            root=root,
            num_records=records.stop,
            functions=functions,
            clients=clients,
        )
    plan = dataset.plan
    seeds = dataset.seeds

    async def work(models: ModelPool) -> "Preview":
        async with open_samples(dataset) as samples:
            return await make_preview(
                plan,
                records=records,
                seeds=seeds,
                models=models,
                on_event=on_event,
                samples=samples,
            )

    return _ask(dataset, work)


def import_builder_config(
    path: str | Path, *, env: Mapping[str, str] | None = None, untrusted: bool = False
) -> "ImportedConfig":
    """Convert a builder config of Data Designer to a dataset file of this project. Raises ConfigError.

    Runs no code that the config names, except code of your own project whose declarations cannot be read statically.
    With `untrusted`, runs no code at all.
    """
    from sdg_core.plan.import_builder_config import import_config

    if env is None:
        env = os.environ
    return import_config(Path(path), env=env, untrusted=untrusted)


def estimate(
    dataset: ConfigLike | Dataset,
    *,
    sample: int = 5,
    on_event: Observer = lambda event: None,
) -> "Estimate":
    """Estimate requests, tokens, cost and time for the remaining records from a sample of them.

    Calls models for the sample; replies of real models are kept in the journal, so a later run does not pay for them
    again. Cells that a run would reuse (from the journal or from earlier versions) are not counted. Raises
    RefusedError if a run would be refused.
    """
    dataset = opened(dataset)
    from sdg_core.dataset.estimates import keep_estimate
    from sdg_core.dataset.spending import spending_of
    from sdg_core.execution.estimate import make_estimate, remaining_work
    from sdg_core.execution.samples import open_samples

    if sample < 1:
        raise PlanError(f"sample is {sample}", remedy="use at least 1 record")
    version, backlog = remaining_work(dataset)
    plan = dataset.plan
    seeds = dataset.seeds

    async def work(models: ModelPool) -> "Estimate":
        async with open_samples(dataset) as samples:
            return await make_estimate(
                plan,
                backlog,
                sample=sample,
                seeds=seeds,
                models=models,
                on_event=on_event,
                samples=samples,
            )

    footers = [
        found.footer
        for found in scan_version(dataset, version)
        if found.footer is not None
    ]
    spent = spending_of(dataset, version, footers).own
    made = _ask(dataset, work)
    if made.sampled:
        rows = sum(footer.num_rows for footer in footers)
        keep_estimate(
            dataset.layout, version.name, made.kept_facts(), rows=rows, spent=spent
        )
    return made


def check_evaluation_sets(dataset: ConfigLike | Dataset) -> list[str]:
    """Open the evaluation sets of `decontaminate` that are files. Returns a notice for each one that is read only
    during processing.

    Raises SeedError or FilterError if one is missing, unreadable, or lacks a column.
    """
    dataset = opened(dataset)
    processors = dataset.plan.config.processors
    if not any(
        isinstance(processor, DecontaminateProcessor) for processor in processors
    ):
        return []
    from sdg_core.processing.evaluation_sets import check_evaluation_sets as check

    return check(processors, lambda source: open_source(dataset, source))


def check_models(dataset: ConfigLike | Dataset) -> "tuple[ModelHealth, ...]":
    """Check each model of the dataset with one request. An unusable model is reported in its row, not raised."""
    dataset = opened(dataset)
    return _ask(dataset, ModelPool.check_models, checked=False)


def check_tools(dataset: ConfigLike | Dataset) -> "tuple[ToolHealth, ...]":
    """List the tools of each MCP provider of the dataset. A failing provider is reported in its row, not raised."""
    dataset = opened(dataset)
    return (
        _ask(dataset, ModelPool.check_tools, checked=False)
        if dataset.plan.tools.configs
        else ()
    )


def measure_constraints(dataset: ConfigLike | Dataset) -> "tuple[Acceptance, ...]":
    """Measure the acceptance rate of the constraints over the first few thousand records.

    Returns nothing if the seed data has not been read (`open_dataset(..., offline=True)`). Raises ConstraintError if no draw
    satisfies them.
    """
    dataset = opened(dataset)
    if isinstance(dataset.seeds, UnreadSeeds):
        return ()
    return measure_acceptance(dataset.plan, dataset.seeds)


def _ask(
    dataset: Dataset,
    work: Callable[[ModelPool], Awaitable[Result]],
    *,
    checked: bool = True,
) -> Result:
    """Work that sends requests to models and touches no file."""

    async def main() -> Result:
        async with open_models_of(dataset.plan, env=dataset.env) as models:
            if checked:
                await models.check()
            return await work(models)

    return run_until_signalled(main)


@takes_former_names(begun_by="created_by_run")
def generate(
    dataset: ConfigLike | Dataset,
    *,
    row_groups: Sequence[int] | None = None,
    resume: ResumeMode | None = None,
    settings: RunSettings | None = None,
    on_event: Observer = lambda event: None,
    on_row_group: OnRowGroup | None = None,
    run_id: str | None = None,
    created_by_run: str | None = None,
) -> RunSummary:
    """Generate the missing records of these row groups (default: all), as `agenerate` does.

    SIGINT and SIGTERM save finished records, then raise KeyboardInterrupt.
    """
    dataset = opened(dataset)
    return run_long(
        lambda: agenerate(
            dataset,
            row_groups=row_groups,
            resume=resume,
            settings=settings,
            on_event=on_event,
            on_row_group=on_row_group,
            run_id=run_id,
            created_by_run=created_by_run,
        )
    )


def effects_of_file(path: str | Path, *, root: str | Path | None = None) -> "Effects":
    """List what running a file does besides calling models: code it runs, processes it starts, variables it sends,
    files it reads.

    Performs none of these actions. Raises ConfigError.
    """
    from sdg_core.plan.effects import effects_of

    file = Path(path)
    chosen = str(choose_root(root, env=os.environ, folder=file.parent).path)
    if is_pipeline(file):
        return effects_of(read_pipeline(file, env=os.environ).config, file, root=chosen)
    parsed = read_config(file, env=os.environ)
    if parsed.config is None:
        raise ConfigError(parsed.source, parsed.problems)
    return effects_of(parsed.config, file, root=chosen)


def is_own_file(path: str | Path) -> bool:
    """Whether a dataset file is in the project of the working directory."""
    return is_own(Path(path), working_directory=Path.cwd())


def status(dataset: ConfigLike | Dataset) -> "DatasetStatus":
    """Compare the stored data with the dataset's plan. Raises a MetadataError if the two cannot be compared."""
    dataset = opened(dataset)
    from sdg_core.dataset.status import describe

    return describe(dataset)


def plan(
    dataset: ConfigLike | Dataset,
    *,
    row_groups: Sequence[int] | None = None,
    resume: ResumeMode | None = None,
) -> "RunPlan":
    """Plan what `generate` would do with the same arguments: the version it writes, what it reuses, what it generates.

    Calls no models and writes nothing. A run that would be refused is reported in `refused`. Raises PlanError or
    LedgerError.
    """
    dataset = opened(dataset)
    from sdg_core.execution.dry_run import plan_run

    return plan_run(dataset, row_groups=row_groups, resume=resume)


def versions(dataset: ConfigLike | Dataset) -> "tuple[VersionInfo, ...]":
    """List the versions of a dataset, most recently changed first."""
    dataset = opened(dataset)
    from sdg_core.dataset.prune import describe_versions

    return describe_versions(dataset)


def prune(
    dataset: ConfigLike | Dataset, *, keep: int = 0, dry_run: bool = False
) -> "tuple[VersionInfo, ...]":
    """Remove old versions except the `keep` most recently changed. Returns the removed versions; with `dry_run`,
    removes none.

    The current version and the version of the current config are always kept. Raises PlanError; a MetadataError if
    the current version is unknown; ClaimedError, and removes nothing, while a run works on any version, because it
    may reuse cells of an old one.
    """
    dataset = opened(dataset)
    from sdg_core.dataset.prune import prunable, remove_versions

    if keep < 0:
        raise PlanError(f"keep is {keep}", remedy="keep 0 or more old versions")
    old = prunable(dataset, keep=keep)
    return old if dry_run else remove_versions(dataset, old, keep=keep)


def history(dataset: ConfigLike | Dataset, *, at_most: int = 10) -> list[RunRecord]:
    """List the latest runs of a dataset, newest first; empty before the first run. Raises LedgerError."""
    dataset = opened(dataset)
    return latest_runs(dataset, at_most=at_most)
