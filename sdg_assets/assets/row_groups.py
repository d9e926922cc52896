"""`<dataset>/row_groups`: the partitioned asset. One partition is one row group is one parquet file.

A materialization is recorded the moment a row group's file is durable, one event each, so a crash loses none. The output is
optional on purpose: a returned or yielded MaterializeResult would claim every partition of the run's range at once.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import dagster as dg

from sdg_assets.assets.run_config import GenerateConfig, offers
from sdg_assets.assets.run_worker import exit_with_run_worker
from sdg_assets.assets.sealed_guard import refuse_sealed
from sdg_assets.assets.spec import DatasetSpec, load_spec
from sdg_assets.checks.asset_checks import row_groups_check
from sdg_assets.recording.columns import column_table, planned_schema
from sdg_assets.recording.recorder import Recorder
from sdg_assets.resources import StoreResource
from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.api import RowGroupFinished, format_ranges, plan_row_groups
from sdg_core.errors import PlanError, SdgError

BACKFILL_TAG, ROOT_RUN_TAG = "dagster/backfill", "dagster/root_run_id"


def partitions_of(spec: DatasetSpec) -> dg.StaticPartitionsDefinition:
    """One key per row group."""
    groups = plan_row_groups(spec.num_records, spec.config.row_group_size)
    return dg.StaticPartitionsDefinition([group.key for group in groups])


def row_group_partitions(file: str | Path) -> dg.StaticPartitionsDefinition:
    """The partitions of a dataset's row groups, for assets of your own beside them.

    file: the dataset file. Raises ConfigError, or PlanError if it does not say how many records.
    """
    return partitions_of(load_spec(Path(file).resolve()))


def build_row_groups(spec: DatasetSpec) -> dg.AssetsDefinition:
    """The asset that generates a dataset's row groups."""

    @dg.asset(
        key=spec.row_groups_key,
        partitions_def=partitions_of(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        dagster_type=cast(dg.DagsterType, dg.Nothing),
        code_version=spec.code_version,
        deps=spec.upstream,
        check_specs=[row_groups_check(spec)],
        description=f"Row groups of {spec.name}. {spec.config.description or ''}".strip(),
        kinds=spec.kinds or {"parquet", "polars"},
        pool=spec.pool,
        metadata={
            **spec.ref.to_metadata(),
            "dagster/column_schema": planned_schema(spec.config),
            "columns": column_table(spec.config),
        },
        **spec.asset_attributes,
    )
    @offers(spec.config.run)
    def row_groups(context: dg.AssetExecutionContext, config: GenerateConfig, store: StoreResource) -> Iterator[Any]:
        resume = config.resume_mode()
        try:
            dataset = api.open_dataset(spec.path, root=store.root_of(spec))
            refuse_sealed(context, dataset, resume=resume)
            exit_with_run_worker(context)
            children = selected_children(context)
            chosen = _chosen(context, config, dataset, children)
            with Recorder(context, spec=spec, plan=dataset.plan, keep=bool(children)) as recorder:
                summary = api.generate(
                    dataset,
                    row_groups=chosen,
                    resume=resume,
                    settings=config.settings(dataset.plan.config.run),
                    on_event=recorder,
                    run_id=context.run.run_id,
                    begun_by=beginner_of(context.run),
                )
        except SdgError as error:
            raise dg.Failure(description=in_dagster(error), allow_retries=False) from None
        except KeyboardInterrupt as interrupt:
            raise dg.DagsterExecutionInterruptedError(str(interrupt)) from None
        context.log.info(
            f"{summary.generated} records generated, {summary.failed} failed, {summary.adopted} row groups adopted, "
            f"{summary.carried} cells carried over, {summary.replayed} taken from the journal, "
            f"{summary.remaining} records remaining; in {summary.version.row_groups}"
        )
        yield from recorder.events()
        yield recorder.verdict.result()
        if recorder.empty:
            raise dg.Failure(description=_nothing_made(recorder.empty), allow_retries=False)
        if children:
            yield from _release(recorder)

    return row_groups


def selected_children(context: dg.AssetExecutionContext) -> frozenset[dg.AssetKey]:
    """Assets right downstream that the same run is to make."""
    asset_layer = context.job_def.asset_layer
    selected = context.run.asset_selection or asset_layer.selected_asset_keys
    return frozenset(selected & asset_layer.asset_graph.get(context.asset_key).child_keys)


def beginner_of(run: dg.DagsterRun) -> str:
    """Whose version it is that `resume: never` begins: the whole backfill's, or the run's, which retries go on in."""
    return run.tags.get(BACKFILL_TAG) or run.tags.get(ROOT_RUN_TAG) or run.run_id


def _chosen(
    context: dg.AssetExecutionContext,
    config: GenerateConfig,
    dataset: api.Dataset,
    children: Collection[dg.AssetKey],
) -> Sequence[int]:
    """The row groups to work at. Raises PlanError for a subset that cannot be."""
    partitions = [int(key) for key in context.partition_keys]
    chosen = config.row_groups(partitions, count=len(dataset.plan.row_groups))
    if children and len(chosen) < len(partitions):
        # The output that lets the assets downstream run makes Dagster record every partition of the run.
        names = ", ".join(sorted(key.to_user_string() for key in children))
        raise PlanError(
            f"run config, subset: {config.subset!r} leaves out row groups, but this run also makes {names} from all of them",
            remedy="leave subset out, or make the row groups in a run of their own; nothing was generated",
        )
    return chosen


def _nothing_made(empty: Sequence[RowGroupFinished]) -> str:
    """Why a run fails although it came to its end."""
    groups = format_ranges(sorted(event.group.index for event in empty))
    first = next((event.first_failure for event in empty if event.first_failure is not None), "unknown")
    return (
        f"no record could be made of row groups {groups}; the first failure: {first}\n"
        "  -> fix the cause and materialize them again; what was made of other row groups is recorded"
    )


def _release(recorder: Recorder) -> Iterator[dg.Output[None] | dg.DagsterEvent]:
    """Let the assets downstream of this one run in the same run; without an output Dagster would skip them.

    The output makes Dagster record every partition of the run once more, with a data version of its own making, so what is
    true of each file is recorded after it. Only runs that make both pay for this.
    """
    yield dg.Output(None)
    recorder.repeat()
    yield from recorder.events()
