"""A run from beginning to end: choose the version, check everything, then make what is lacking."""

import uuid
from collections.abc import Sequence
from contextlib import suppress

from sdg_core.config.run import ResumeMode, RunSettings
from sdg_core.errors import ForeignFileError, StoreError
from sdg_core.execution.context import RunContext, open_journal
from sdg_core.execution.dataset import Dataset, scan_version
from sdg_core.execution.events import Notice, Observer
from sdg_core.execution.run import RowGroupRun
from sdg_core.execution.summary import RunSummary, Tally
from sdg_core.models.pool import open_models
from sdg_core.plan.row_groups import chosen_row_groups
from sdg_core.store.atomic import ensure_writable
from sdg_core.store.leftovers import clean_leftovers
from sdg_core.store.state import RowGroupStatus, scan_row_groups
from sdg_core.store.versions import Version, choose_version, create_or_resume, notices, record_progress


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


def _plan_work(dataset: Dataset, version: Version, indices: Sequence[int]) -> list[RowGroupStatus]:
    """The statuses of the chosen row groups. Raises ForeignFileError before anything is touched."""
    statuses = scan_version(dataset, version.layout)
    work = [statuses[index] for index in indices]
    for item in work:
        if item.foreign:
            raise ForeignFileError(
                str(item.reason), remedy="move it out of this directory, then run again; nothing was changed"
            )
    return work
