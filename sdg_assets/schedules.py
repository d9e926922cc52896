"""The schedule of a dataset: at each tick it asks for the row groups that are missing, partial, corrupt or stale."""

from collections.abc import Iterator

import dagster as dg

from sdg_assets.resources import StoreResource
from sdg_assets.spec import DatasetSpec
from sdg_core import api
from sdg_core.errors import SdgError
from sdg_core.plan.row_groups import contiguous_ranges, row_group_key
from sdg_core.store.state import RowGroupState

Requests = Iterator[dg.RunRequest | dg.SkipReason]


def build_schedule(spec: DatasetSpec) -> dg.ScheduleDefinition:
    """A schedule on `spec.schedule`, stopped until someone starts it."""
    assert spec.schedule is not None

    @dg.schedule(
        name=f"{spec.name}_schedule",
        cron_schedule=spec.schedule,
        target=dg.AssetSelection.assets(spec.row_groups_key),
        description=f"Generates what {spec.name} lacks.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, store: StoreResource) -> Requests:
        tick = context.scheduled_execution_time.isoformat()
        yield from request_lacking(spec, root=str(store.root_path()), tick=tick)

    return schedule


def request_lacking(spec: DatasetSpec, *, root: str, tick: str) -> Requests:
    """Run requests for contiguous ranges of row groups that are not complete, or why there is nothing to ask for."""
    try:
        dataset = api.open_dataset(spec.path, root=root)
        if (sealed := api.seal_of(dataset)) is not None:
            yield dg.SkipReason(f"{spec.name} is sealed: version {sealed.layout.name} has been post-processed")
            return
        statuses = api.row_group_statuses(dataset)
    except SdgError as error:
        yield dg.SkipReason(str(error))
        return
    lacking = [status.group.index for status in statuses if status.state is not RowGroupState.COMPLETE]
    if not lacking:
        yield dg.SkipReason(f"all {len(statuses)} row groups of {spec.name} are complete")
    for first, last in contiguous_ranges(lacking, at_most=spec.max_row_groups_per_run):
        yield dg.RunRequest(
            run_key=f"{spec.name}:{tick}:{first}-{last}",
            asset_selection=[spec.row_groups_key],
            tags={
                "dagster/asset_partition_range_start": row_group_key(first),
                "dagster/asset_partition_range_end": row_group_key(last),
            },
        )
