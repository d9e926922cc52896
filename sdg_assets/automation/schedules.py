"""The schedule of a dataset: at each tick it asks for the row groups that are missing, partial, corrupt or stale."""

from collections.abc import Iterator

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef
from sdg_assets.assets.spec import DatasetSpec
from sdg_assets.automation.activity import keys_at_work
from sdg_assets.automation.incomplete import find_incomplete, range_requests, ranges_of
from sdg_assets.resources import store_of_location

Requests = Iterator[dg.RunRequest | dg.SkipReason]


def build_schedule(spec: DatasetSpec) -> dg.ScheduleDefinition:
    """A schedule on `spec.schedule`, stopped until someone starts it unless that says otherwise."""
    when = spec.schedule
    assert when is not None
    status = dg.DefaultScheduleStatus.RUNNING if when.running else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=f"{spec.name}_schedule",
        cron_schedule=when.cron,
        execution_timezone=when.timezone,
        default_status=status,
        target=dg.AssetSelection.assets(spec.row_groups_key),
        description=f"Generates what {spec.name} lacks.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Requests:
        store = store_of_location(context.repository_def, context.instance)
        assert context.repository_def is not None
        if spec.row_groups_key in keys_at_work(context.instance, context.repository_def):
            yield dg.SkipReason(f"{spec.name}: a run is queued or in progress")
            return
        tick = context.scheduled_execution_time.isoformat()
        yield from request_lacking(spec.ref, root=store.root_of(spec), tick=tick)

    return schedule


def request_lacking(dataset: DatasetRef, *, root: str | None, tick: str) -> Requests:
    """Run requests for contiguous ranges of row groups that are not complete, or why there is nothing to ask for."""
    remaining = find_incomplete(dataset, root=root)
    if isinstance(remaining, str):
        yield dg.SkipReason(remaining)
        return
    yield from range_requests(dataset, ranges_of(dataset, remaining.records), tick=tick)
