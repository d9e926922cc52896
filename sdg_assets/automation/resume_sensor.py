"""The sensor `resume_row_groups`: asks for what is missing, partial, corrupt or stale in every dataset of the code location."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef
from sdg_assets.automation.activity import keys_at_work, stopped
from sdg_assets.automation.backoff import BackoffState, Choice, choose, dump_cursor, load_cursor
from sdg_assets.automation.incomplete import find_incomplete, range_requests, ranges_of
from sdg_assets.automation.parts import claim, datasets_for
from sdg_assets.resources import StoreResource, store_of_location
from sdg_core.api import format_ranges

REQUESTED_BY_TAG = "sdg/requested_by"
NAME = "resume_row_groups"


def build_resume_sensor(name: str = NAME, *, keys: Sequence[dg.AssetKey] | None = None) -> dg.SensorDefinition:
    """The sensor `resume_row_groups`. keys: the row groups that it looks after; without it those that no other one names."""

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.from_string('key:"*/row_groups"')
        if keys is None
        else dg.AssetSelection.assets(*keys),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        metadata=claim(NAME, keys),
        description="Requests row groups that are missing, partial, corrupt or stale, in contiguous ranges of at most "
        "max_row_groups_per_run, while no other run works on the dataset. A row group that gains nothing is asked for less and "
        "less often, and after eight times no more; resetting the cursor starts over. What a person terminated stays so.",
    )
    def resume(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        repository = context.repository_def
        assert repository is not None
        datasets = datasets_for(NAME, repository, keys)
        files = {dataset.row_groups_key: dataset.path for dataset in datasets}
        return resume_all(
            datasets,
            store=store_of_location(repository, context.instance),
            cursor=context.cursor,
            busy=keys_at_work(context.instance, repository),
            held=stopped(context.instance, files),
            now=datetime.now(UTC),
            log=context.log.info,
        )

    return resume


resume_row_groups = build_resume_sensor()


def resume_all(
    datasets: Sequence[DatasetRef],
    *,
    store: StoreResource,
    cursor: str | None,
    busy: frozenset[dg.AssetKey],
    now: datetime,
    held: Mapping[dg.AssetKey, str] = MappingProxyType({}),
    log: Callable[[str], object] = lambda reason: None,
) -> dg.SensorResult:
    """The requests of one tick. busy: row-group assets that an unfinished run or backfill works on. held: those that nothing is
    asked for until a person acts, and why. log: takes what is not asked for, and why, at a tick that asks for something."""
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
        if dataset.row_groups_key in held:
            after[dataset.name] = remembered
            reasons.append(held[dataset.row_groups_key])
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
    if requests:
        for reason in reasons:
            log(reason)
    skip = None if requests else dg.SkipReason("\n".join(reasons) or "there are no datasets")
    return dg.SensorResult(run_requests=requests, skip_reason=skip, cursor=dump_cursor(after))


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
