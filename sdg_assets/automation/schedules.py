"""The schedule of a dataset or pipeline: at each tick it asks for what is missing, partial, corrupt or stale.

A pipeline's looks for new sources first and adds their partitions."""

from collections.abc import Collection, Iterator

import dagster as dg

from sdg_assets.assets.catalog import PipelineRef, Ref
from sdg_assets.assets.spec import FileSpec
from sdg_assets.automation.activity import keys_at_work
from sdg_assets.automation.discovery import bring_up_to_date
from sdg_assets.automation.incomplete import find_incomplete, range_requests, ranges_of
from sdg_assets.opened.base import Opened
from sdg_assets.resources import store_of_location
from sdg_assets.wording import in_dagster
from sdg_core.errors import SdgError

Requests = Iterator[dg.RunRequest | dg.SkipReason]


def build_schedule(
    spec: FileSpec, *, with_prefix: bool = False
) -> dg.ScheduleDefinition:
    """A schedule on `spec.schedule`, stopped until someone starts it unless that says otherwise.

    with_prefix: its name begins with the key prefix, as another schedule is named after a dataset of this name.
    """
    when = spec.schedule
    assert when is not None
    status = (
        dg.DefaultScheduleStatus.RUNNING
        if when.running
        else dg.DefaultScheduleStatus.STOPPED
    )
    ref = spec.ref

    @dg.schedule(
        name=f"{ref.identifier if with_prefix else ref.name}_schedule",
        cron_schedule=when.cron,
        execution_timezone=when.timezone,
        default_status=status,
        target=dg.AssetSelection.assets(ref.partitioned_key),
        description=f"Generates what is missing of {ref.label}.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Requests:
        store = store_of_location(context.repository_def, context.instance)
        assert context.repository_def is not None
        if ref.partitioned_key in keys_at_work(
            context.instance, context.repository_def
        ):
            yield dg.SkipReason(f"{ref.label}: a run is queued or in progress")
            return
        tick = context.scheduled_execution_time.isoformat()
        root = store.root_of(ref)
        opened = None
        if isinstance(ref, PipelineRef):
            try:
                opened = bring_up_to_date(context.instance, ref, root=root).opened
            except SdgError as error:
                yield dg.SkipReason(f"{ref.label}: {in_dagster(error)}")
                return
        known = ref.known_partitions(context.instance)
        yield from request_incomplete(
            ref, root=root, tick=tick, known=known, opened=opened
        )

    return schedule


def request_incomplete(
    ref: Ref,
    *,
    root: str | None,
    tick: str,
    known: Collection[str],
    opened: Opened | None = None,
) -> Requests:
    """Run requests for contiguous ranges of partitions that are not complete, or why there is nothing to ask for."""
    found = find_incomplete(ref, root=root, known=known, opened=opened)
    if isinstance(found, str):
        yield dg.SkipReason(found)
        return
    yield from range_requests(ref, ranges_of(ref, found.remaining), tick=tick)
