"""Discovery: what sources there are now becomes partitions of the pipelines' assets; and what is not made yet is asked for."""

from collections.abc import Sequence

import dagster as dg

from sdg_assets.assets.catalog import PipelineRef
from sdg_assets.automation.discovery import Discovered, bring_up_to_date, discover
from sdg_assets.automation.parts import claim, refs_for
from sdg_assets.automation.resume_sensor import resume_refs
from sdg_assets.reconcile.jobs import op_of
from sdg_assets.reconcile.location_job import location_job, refs_at_run
from sdg_assets.resources import store_of_location, store_of_run
from sdg_assets.wording import in_dagster
from sdg_core.counts import counted
from sdg_core.errors import SdgError

NAME = "discover_sources"


def build_discovery_job(
    refs: Sequence[PipelineRef], *, name: str = NAME, own: bool = False
) -> dg.JobDefinition:
    """The job `discover_sources`, for where no daemon runs: adds partitions, makes nothing. own: of these and no others."""

    @dg.op(
        name=op_of(name),
        description="Looks for sources and adds the partitions of new ones.",
    )
    def look(context: dg.OpExecutionContext) -> None:
        store = store_of_run(context)
        faults = []
        for ref in refs_at_run(context, refs, own=own):
            if not isinstance(ref, PipelineRef):
                continue
            try:
                found = bring_up_to_date(context.instance, ref, root=store.root_of(ref))
            # one whose sources cannot be found does not keep the others from theirs
            except SdgError as error:
                faults.append(f"{ref.label}: {in_dagster(error)}")
                context.log.error(faults[-1])
                continue
            new = counted(len(found.new), "new partition")
            context.log.info(f"{ref.label}: {new}, {found.total} in all")
        if faults:
            raise dg.Failure("; ".join(faults), allow_retries=False)

    described = (
        "Looks for the sources of every pipeline and adds partitions for new ones."
    )
    return location_job(look, name=name, description=described)


def build_discovery_sensor(
    name: str = NAME, *, keys: Sequence[dg.AssetKey] | None = None
) -> dg.SensorDefinition:
    """The sensor `discover_sources`: adds partitions and asks for those that are missing, partial or changed. keys: the assets of
    sources that it looks after; without it those that no other one names."""

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.from_string('key:"*/sources"')
        if keys is None
        else dg.AssetSelection.assets(*keys),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        metadata=claim(NAME, keys),
        description="Looks for sources, adds partitions for new ones, and requests what is missing, partial or changed, at "
        "most max_partitions_per_run at once, while no other run works on the pipeline. "
        "A partition without progress is requested at growing intervals, and no longer after eight "
        "attempts; reset the cursor to start over. A run that a user terminated is not restarted.",
    )
    def discover_sources(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        assert context.repository_def is not None
        store = store_of_location(context.repository_def, context.instance)
        seen: dict[str, Discovered] = {}
        additions: list[
            dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest
        ] = []
        found: list[PipelineRef] = []
        reasons: list[str] = []
        for ref in refs_for(NAME, context.repository_def, keys):
            if not isinstance(ref, PipelineRef):
                continue
            try:
                new = discover(context.instance, ref, root=store.root_of(ref))
            except SdgError as error:
                reasons.append(f"{ref.label}: {in_dagster(error)}")
                continue
            found.append(ref)
            seen[ref.label] = new
            if new.new:
                additions.append(ref.partitions_def.build_add_request(new.new))
            if new.empty:
                additions.append(ref.partitions_def.build_delete_request(new.empty))
        result = resume_refs(
            context,
            found,
            requested_by=NAME,
            seen=seen,
            at_most=lambda ref: ref.max_per_run,
        )
        skip = None
        if not result.run_requests and not additions:
            skip = dg.SkipReason(
                "\n".join(
                    [
                        *reasons,
                        (result.skip_reason and result.skip_reason.skip_message) or "",
                    ]
                ).strip()
            )
        return dg.SensorResult(
            run_requests=result.run_requests,
            dynamic_partitions_requests=additions,
            skip_reason=skip,
            cursor=result.cursor,
        )

    return discover_sources


discover_sources = build_discovery_sensor()
