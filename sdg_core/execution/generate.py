"""A run from beginning to end: choose the version, check everything, then make what is missing."""

import asyncio
import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from sdg_core.config.run import RunSettings
from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.estimates import adopt_estimate
from sdg_core.dataset.events import Notice, Observer
from sdg_core.dataset.handle import ConfigLike, Dataset, opened, scan_version
from sdg_core.dataset.ledger import ledger_notices, open_ledger_for
from sdg_core.dataset.resume import (
    carry_sources,
    choose_version,
    create_or_resume,
    notices,
)
from sdg_core.dataset.spending import DatasetSpending, budget_of, spending_of
from sdg_core.errors import LedgerError, StoreError, UnrecognizedFileError
from sdg_core.execution.checkpoint import Checkpointer, index_turns
from sdg_core.execution.context import OnRowGroup, RunContext
from sdg_core.execution.loop import RowGroupRun
from sdg_core.execution.replay import open_journal
from sdg_core.execution.run_history import in_history
from sdg_core.execution.summary import RunCounter, RunSummary
from sdg_core.execution.work_queue import on_lease_error
from sdg_core.generators.samplers.group_sampler import measure_acceptance
from sdg_core.ledger.claims import Claims
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.leases import LeaseKeeper
from sdg_core.models.pool import ModelPool, open_models_of
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import chosen_row_groups
from sdg_core.seeds.readers import Seeds
from sdg_core.store.atomic import ensure_writable
from sdg_core.store.cleanup import remove_stale_temp_files
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_group_state import RowGroupStatus
from sdg_core.store.versions import Version
from sdg_core.system.former_names import takes_former_names

_LOG = logging.getLogger(__name__)


@takes_former_names(begun_by="created_by_run")
async def agenerate(
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
    """Complete row groups (default: all); complete ones are adopted, and nothing is generated twice.

    resume: see `sdg_core.store.versions`; default the config's. settings: replaces the config's `run` block.
    on_event: called with each event of the run. on_row_group: called in a thread for every row group of the run once
    its file is durable, including complete ones (`adopted`); if it raises, the run ends with CallbackError.
    created_by_run: owner of the version that `never` starts; the runs of a backfill pass its id. Default: run_id.
    Everything that can be checked is checked before anything is written or any model is called. Raises SdgError.
    """
    dataset = opened(dataset)
    settings = settings or dataset.plan.config.run
    plan = dataset.plan.with_settings(settings)
    indices = chosen_row_groups(plan.row_groups, row_groups)
    mode = resume or settings.resume
    run_id = run_id or uuid.uuid4().hex
    version = choose_version(
        dataset.layout, plan, mode=mode, created_by_run=created_by_run or run_id
    )
    before = scan_version(dataset, version.layout)
    work = _plan_work(before, indices)
    await _check_constraints(version, plan, dataset.seeds)
    counter = RunCounter(on_event)
    lacks = any(status.remaining for status in work)
    async with open_models_of(
        plan,
        env=dataset.env,
        needed=lacks,
        on_notice=lambda message: counter(Notice(message)),
    ) as models:
        if lacks:
            await models.check()
        ensure_writable(dataset.layout.directory)
        with open_ledger_for(dataset.layout.root, env=dataset.env) as ledger:
            version = _started(dataset, version, plan, counter)
            models.spending.keep_to(budget_of(dataset, version, plan, before, ledger))
            context = RunContext(
                plan,
                version.layout,
                dataset.seeds,
                models,
                settings,
                counter,
                run_id,
                on_row_group=on_row_group,
                takes_samples=not version.is_forced,
            )
            place = {
                "dataset": dataset.name,
                "version": version.layout.name,
                "run_id": run_id,
            }
            checkpointer = Checkpointer(
                version.layout, plan, before, turns=index_turns(ledger, **place)
            )
            with (
                in_history(ledger, **place, resume=mode, counter=counter),
                _checkpoint_of_failure(checkpointer, models),
            ):
                async with checkpointer.periodically(
                    sleep=context.sleep, observer=counter
                ):
                    earlier = carry_sources(dataset.layout, version)
                    await _run(context, work, ledger, earlier)
            statuses = await checkpointer.write_in_turn(
                models.spending, sleep=context.sleep
            )
    remaining = sum(len(statuses[index].remaining) for index in indices)
    summary = counter.summary(version.layout, run_id=run_id, remaining=remaining)
    return _with_costs(summary, dataset, statuses, models)


def _with_costs(
    summary: RunSummary,
    dataset: Dataset,
    statuses: Sequence[RowGroupStatus],
    models: ModelPool,
) -> RunSummary:
    """The summary with what the run and the dataset have cost."""
    footers = [status.footer for status in statuses if status.footer is not None]
    try:
        spending = spending_of(dataset, summary.version, footers)
    except (LedgerError, StoreError) as error:
        # no failure of a run whose data is there
        _LOG.warning("the cost of the dataset could not be determined: %s", error)
        spending = DatasetSpending()
    return replace(
        summary,
        cost=models.spending.cost,
        spending=spending,
        simulated=dataset.plan.simulated,
    )


def _started(
    dataset: Dataset, version: Version, plan: DatasetPlan, counter: RunCounter
) -> Version:
    """The version, made if it is not there; says what people should know of it."""
    version = create_or_resume(dataset.layout, version, plan)
    adopt_estimate(dataset.layout, version.layout)
    remove_stale_temp_files(dataset.layout, version.layout)
    for message in (
        *notices(version, plan),
        *ledger_notices(dataset.layout.root, env=dataset.env),
    ):
        counter(Notice(message))
    return version


@contextmanager
def _checkpoint_of_failure(
    checkpointer: Checkpointer, models: ModelPool
) -> Iterator[None]:
    """Take a checkpoint if the block fails."""
    try:
        yield
    except BaseException:
        # The files are the truth, and the reason for stopping matters more.
        with suppress(StoreError):
            checkpointer.write(models.spending)
        raise


async def _check_constraints(
    version: Version, plan: DatasetPlan, seeds: Seeds | None
) -> None:
    """Raise ConstraintError for what no draw satisfies, before there is a version of it."""
    if version.metadata is None:
        await asyncio.to_thread(measure_acceptance, plan, seeds)


async def _run(
    context: RunContext,
    work: Sequence[RowGroupStatus],
    ledger: Ledger,
    earlier: Sequence[VersionLayout],
) -> None:
    """The run itself, with its journal and its claims."""
    plan = context.plan
    version = context.version
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()
    on_error = on_lease_error(loop, lost=lost, observer=context.observer)
    claims = Claims(
        ledger, dataset=plan.config.name, version=version.name, run_id=context.run_id
    )
    async with open_journal(
        ledger, plan, version, work, run_id=context.run_id
    ) as journal:
        carry = None
        if earlier:
            from sdg_core.execution.carry_over import CarryOver

            carry = CarryOver(plan, earlier, journal=journal)
        with LeaseKeeper(claims, on_error=on_error, strict=bool(plan.models)) as held:
            context = replace(
                context, journal=journal, carry=carry, claims=held, lost_claims=lost
            )
            await RowGroupRun(context).run(work)


def _plan_work(
    statuses: Sequence[RowGroupStatus], indices: Sequence[int]
) -> list[RowGroupStatus]:
    """The statuses of the chosen row groups. Raises UnrecognizedFileError before anything is touched."""
    work = [statuses[index] for index in indices]
    for item in work:
        if item.foreign:
            raise UnrecognizedFileError(
                str(item.reason),
                remedy="move it out of this directory, then run again; nothing was changed",
            )
    return work
