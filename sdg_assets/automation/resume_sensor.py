"""The sensor `resume_row_groups`: asks for what is missing, partial, corrupt or stale in every dataset of the code location."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef, datasets_of, selected_keys
from sdg_assets.automation.backoff import BackoffState, Choice, choose, dump_cursor, load_cursor
from sdg_assets.automation.incomplete import find_incomplete, range_requests, ranges_of
from sdg_assets.dagster_private import unfinished_backfills
from sdg_assets.resources import StoreResource
from sdg_core.api import format_ranges

REQUESTED_BY_TAG = "sdg/requested_by"
NAME = "resume_row_groups"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    name=NAME,
    asset_selection=dg.AssetSelection.from_string('key:"*/row_groups"'),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests row groups that are missing, partial, corrupt or stale, in contiguous ranges of at most "
    "max_row_groups_per_run, while no other run works on the dataset. A row group that gains nothing is asked for less and "
    "less often, and after eight times no more; resetting the cursor starts over.",
)
def resume_row_groups(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Ask for what the datasets lack, or say of each why nothing is asked for."""
    assert context.repository_def is not None
    return resume_all(
        datasets_of(context.repository_def),
        store=store,
        cursor=context.cursor,
        busy=keys_at_work(context.instance, context.repository_def),
        now=datetime.now(UTC),
    )


def resume_all(
    datasets: Sequence[DatasetRef],
    *,
    store: StoreResource,
    cursor: str | None,
    busy: frozenset[dg.AssetKey],
    now: datetime,
) -> dg.SensorResult:
    """The requests of one tick. busy: row-group assets that an unfinished run or backfill works on."""
    before = load_cursor(cursor)
    after: dict[str, BackoffState] = {}
    requests: list[dg.RunRequest] = []
    reasons: list[str] = []
    for dataset in datasets:
        remembered = before.get(dataset.name, BackoffState())
        if dataset.row_groups_key in busy:
            after[dataset.name] = remembered
            reasons.append(f"{dataset.name}: a run is queued or in progress")
            continue
        remaining = find_incomplete(dataset, root=store.root_of(dataset))
        if isinstance(remaining, str):
            after[dataset.name] = remembered
            reasons.append(remaining)
            continue
        choice = choose(remaining, remembered, now=now)
        after[dataset.name] = choice.attempts
        requests += range_requests(
            dataset,
            ranges_of(dataset, choice.requested),
            tick=now.isoformat(timespec="seconds"),
            tags={REQUESTED_BY_TAG: NAME},
        )
        reasons += _left_alone(dataset, choice)
    skip = None if requests else dg.SkipReason("\n".join(reasons) or "there are no datasets")
    return dg.SensorResult(run_requests=requests, skip_reason=skip, cursor=dump_cursor(after))


def keys_at_work(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> frozenset[dg.AssetKey]:
    """Assets that a queued or running run, or a backfill that still makes runs, aims at."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    return frozenset(key for run in runs for key in selected_keys(run, repository)) | frozenset(_in_backfills(instance))


def _in_backfills(instance: dg.DagsterInstance) -> Iterator[dg.AssetKey]:
    for backfill in unfinished_backfills(instance):
        yield from backfill.asset_selection or ()


def _left_alone(dataset: DatasetRef, choice: Choice) -> Iterator[str]:
    """Why some incomplete row groups were not asked for."""
    if choice.waiting:
        soonest = min(choice.attempts.groups[index].next_at for index in choice.waiting)
        when = datetime.fromtimestamp(soonest, UTC).isoformat(timespec="minutes")
        yield f"{dataset.name}: row groups {format_ranges(choice.waiting)} gained nothing; asked for again from {when}"
    if choice.given_up:
        yield (
            f"{dataset.name}: row groups {format_ranges(choice.given_up)} gained nothing in "
            f"{choice.attempts.groups[choice.given_up[0]].count} runs and are not asked for any more; see their failures, then "
            "materialize them by hand or reset this sensor's cursor"
        )
