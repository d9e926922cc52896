"""Discovery: what files there are now becomes partitions of the pipelines' assets; and what is not made yet is asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from sdg_assets.assets.pipeline import PipelineRef, partitions_name
from sdg_assets.automation.activity import keys_at_work
from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_assets.reconcile.jobs import op_of
from sdg_assets.resources import store_of_location, store_of_run
from sdg_assets.wording import in_dagster
from sdg_core.api import contiguous_ranges, pipelines, row_group_key
from sdg_core.errors import SdgError

NAME = "discover_sources"


def build_discovery_job(refs: Sequence[PipelineRef], *, name: str = NAME) -> dg.JobDefinition:
    """The job `discover_sources`, for where no daemon runs: adds partitions, makes nothing."""

    @dg.op(name=op_of(name), description="Looks for sources and adds the partitions of new ones.")
    def discover(context: dg.OpExecutionContext) -> None:
        store = store_of_run(context)
        for ref in refs:
            try:
                found = pipelines.discover(pipelines.open_pipeline(ref.path, root=store.root_of(ref)))
            except SdgError as error:
                raise dg.Failure(description=in_dagster(error), allow_retries=False) from None
            known = set(context.instance.get_dynamic_partitions(partitions_name(ref.name)))
            new = [partition.key for partition in found if partition.key not in known]
            if new:
                context.instance.add_dynamic_partitions(partitions_name(ref.name), new)
            context.log.info(f"{ref.name}: {len(new)} new partitions, {len(found)} in all")

    @dg.job(name=name, description="Looks for the sources of every pipeline and adds partitions for new ones.")
    def discover_sources() -> None:
        discover()

    return discover_sources


def build_discovery_sensor(refs: Sequence[PipelineRef], *, name: str = NAME) -> dg.SensorDefinition:
    """The sensor `discover_sources`: adds partitions and asks for those that are missing, partial or changed."""

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.assets(*(ref.sources_key for ref in refs)),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Looks for sources, adds partitions for new ones, and requests what is missing, partial or changed, at "
        "most max_partitions_per_run at once, while no other run works on the pipeline.",
    )
    def discover_sources(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        assert context.repository_def is not None
        store = store_of_location(context.repository_def, context.instance)
        busy = keys_at_work(context.instance, context.repository_def)
        tick = datetime.now(UTC).isoformat(timespec="seconds")
        additions: list[dg.AddDynamicPartitionsRequest] = []
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        for ref in refs:
            known = set(context.instance.get_dynamic_partitions(partitions_name(ref.name)))
            try:
                new, wanted = _look(ref, store.root_of(ref), known)
            except SdgError as error:
                reasons.append(f"{ref.name}: {error}")
                continue
            if new:
                partitions = dg.DynamicPartitionsDefinition(name=partitions_name(ref.name))
                additions.append(partitions.build_add_request(new))
            if ref.sources_key in busy:
                reasons.append(f"{ref.name}: a run is queued or in progress")
            elif wanted:
                requests += _requests(ref, wanted, tick=tick)
            else:
                reasons.append(f"{ref.name}: every source is complete or given up")
        skip = None if requests or additions else dg.SkipReason("\n".join(reasons))
        return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=additions, skip_reason=skip)

    return discover_sources


def _look(ref: PipelineRef, root: str | None, known: set[str]) -> tuple[list[str], list[int]]:
    """Keys of partitions that Dagster does not know, and the numbers of those to be made; none of a sealed pipeline."""
    pipeline = pipelines.open_pipeline(ref.path, root=root)
    new = [partition.key for partition in pipelines.discover(pipeline) if partition.key not in known]
    if pipelines.seal(pipeline) is not None:
        return new, []
    statuses = pipelines.partition_statuses(pipeline)
    return new, [status.partition.index for status in statuses if not status.is_settled]


def _requests(ref: PipelineRef, wanted: Sequence[int], *, tick: str) -> list[dg.RunRequest]:
    """One request per range of partitions."""
    capped = wanted[: ref.max_partitions_per_run]
    return [
        dg.RunRequest(
            run_key=f"{ref.name}:{tick}:{first}-{last}",
            asset_selection=[ref.sources_key],
            tags={RANGE_START: row_group_key(first), RANGE_END: row_group_key(last)},
        )
        for first, last in contiguous_ranges(capped)
    ]
