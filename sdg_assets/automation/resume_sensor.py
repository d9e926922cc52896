"""The sensor `resume_row_groups`: asks for what is missing, partial, corrupt or stale in every dataset of the code location.

How it asks is shared with the sensor of pipelines (`discover_sources`)."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef, Ref
from sdg_assets.automation.activity import keys_at_work, stopped
from sdg_assets.automation.backoff import (
    BackoffState,
    DuePartitions,
    dump_cursor,
    load_cursor,
    select_due,
)
from sdg_assets.automation.discovery import Discovered
from sdg_assets.automation.incomplete import find_incomplete, range_requests, ranges_of
from sdg_assets.automation.parts import claim, refs_for
from sdg_assets.opened.base import Opened
from sdg_assets.resources import StoreResource, store_of_location
from sdg_core import api
from sdg_core.counts import counted

REQUESTED_BY_TAG = "sdg/requested_by"
NAME = "resume_row_groups"


def build_resume_sensor(
    name: str = NAME, *, keys: Sequence[dg.AssetKey] | None = None
) -> dg.SensorDefinition:
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
        "max_row_groups_per_run, while no other run works on the dataset. "
        "A row group without progress is requested at growing intervals, and no longer after eight "
        "attempts; reset the cursor to start over. A run that a user terminated is not restarted.",
    )
    def resume(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        assert context.repository_def is not None
        found = refs_for(NAME, context.repository_def, keys)
        datasets = [ref for ref in found if isinstance(ref, DatasetRef)]
        return resume_refs(context, datasets, requested_by=NAME)

    return resume


resume_row_groups = build_resume_sensor()


def resume_refs(
    context: dg.SensorEvaluationContext,
    refs: Sequence[Ref],
    *,
    requested_by: str,
    seen: Mapping[str, Discovered] = MappingProxyType({}),
    at_most: Callable[[Ref], int | None] = lambda ref: None,
) -> dg.SensorResult:
    """The requests of one tick. seen: what this tick has found of pipelines, by label. at_most: partitions of a tick."""
    repository = context.repository_def
    instance = context.instance
    assert repository is not None

    def known(ref: Ref) -> set[str]:
        keys = set(ref.known_partitions(instance))
        if ref.label in seen:
            keys.update(seen[ref.label].new)
        return keys

    def opened(ref: Ref) -> Opened | None:
        return seen[ref.label].opened if ref.label in seen else None

    files = {ref.partitioned_key: ref.path for ref in refs}
    return resume_all(
        refs,
        store=store_of_location(repository, instance),
        cursor=context.cursor,
        known=known,
        opened=opened,
        busy=keys_at_work(instance, repository),
        held=stopped(instance, files),
        now=datetime.now(UTC),
        log=context.log.info,
        requested_by=requested_by,
        at_most=at_most,
    )


def resume_all(
    refs: Sequence[Ref],
    *,
    store: StoreResource,
    cursor: str | None,
    known: Callable[[Ref], Collection[str]],
    opened: Callable[[Ref], Opened | None] = lambda ref: None,
    busy: frozenset[dg.AssetKey],
    now: datetime,
    held: Mapping[dg.AssetKey, str] = MappingProxyType({}),
    log: Callable[[str], object] = lambda reason: None,
    requested_by: str = NAME,
    at_most: Callable[[Ref], int | None] = lambda ref: None,
) -> dg.SensorResult:
    """The requests of one tick. known: keys of the partitions that Dagster has. opened: what the tick has opened already.
    busy: assets that an unfinished run or backfill works on. held: those that nothing is asked for until a person acts, and why.
    log: takes what is not asked for, and why, at a tick that asks for something."""
    before = load_cursor(cursor)
    after: dict[str, BackoffState] = {}
    requests: list[dg.RunRequest] = []
    reasons: list[str] = []
    for ref in refs:
        after[ref.label] = before.get(ref.label, BackoffState())
        if ref.partitioned_key in busy:
            reasons.append(f"{ref.label}: a run is queued or in progress")
            continue
        if ref.partitioned_key in held:
            reasons.append(held[ref.partitioned_key])
            continue
        found = find_incomplete(
            ref, root=store.root_of(ref), known=known(ref), opened=opened(ref)
        )
        if isinstance(found, str):
            reasons.append(found)
            continue
        due = select_due(found, after[ref.label], now=now, at_most=at_most(ref))
        after[ref.label] = due.attempts
        requests += range_requests(
            ref,
            ranges_of(ref, due.requested),
            tick=now.isoformat(timespec="seconds"),
            tags={REQUESTED_BY_TAG: requested_by},
        )
        reasons += _left_alone(ref, due)
    if requests:
        for reason in reasons:
            log(reason)
    skip = (
        None
        if requests
        else dg.SkipReason("\n".join(reasons) or "there are no datasets")
    )
    return dg.SensorResult(
        run_requests=requests, skip_reason=skip, cursor=dump_cursor(after)
    )


def _left_alone(ref: Ref, due: DuePartitions) -> Iterator[str]:
    """Why some incomplete partitions were not asked for."""
    if due.next_at is not None:
        when = datetime.fromtimestamp(due.next_at, UTC).isoformat(timespec="minutes")
        yield (
            f"{ref.label}: {ref.PARTITIONS} {api.format_ranges(due.waiting)} made no progress; "
            f"next request at {when}"
        )
    if due.given_up:
        yield (
            f"{ref.label}: {ref.PARTITIONS} {api.format_ranges(due.given_up)} made no progress in "
            f"{counted(due.attempts.groups[due.given_up[0]].count, 'run')} and are no longer requested; "
            "check their failures, then materialize them yourself or reset this sensor's cursor"
        )
