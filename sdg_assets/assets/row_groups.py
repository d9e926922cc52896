"""`<dataset>/row_groups`: the partitioned asset. One partition is one row group is one parquet file.

A materialization is recorded the moment a row group's file is durable, one event each, so a crash loses none. The output is
optional on purpose: a returned or yielded MaterializeResult would claim every partition of the run's range at once.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import dagster as dg

from sdg_assets.assets.run_config import GenerateConfig, offers
from sdg_assets.assets.run_worker import exit_with_run_worker
from sdg_assets.assets.sealed_guard import RUN_CONFIG, ending_of, refuse, refuse_sealed
from sdg_assets.assets.spec import DatasetSpec, load_spec
from sdg_assets.checks.asset_checks import row_groups_check
from sdg_assets.recording.columns import column_table, planned_schema
from sdg_assets.recording.inert import without_pictures
from sdg_assets.recording.recorder import Recorder
from sdg_assets.resources import store_of_run
from sdg_core import api
from sdg_core.api import RowGroupFinished, format_ranges, plan_row_groups
from sdg_core.errors import PlanError, SdgError

BACKFILL_TAG = "dagster/backfill"
ROOT_RUN_TAG = "dagster/root_run_id"


def partitions_of(spec: DatasetSpec) -> dg.StaticPartitionsDefinition:
    """One key per row group."""
    groups = plan_row_groups(spec.num_records, spec.config.row_group_size)
    return dg.StaticPartitionsDefinition([group.key for group in groups])


def _backfill_policy(spec: DatasetSpec) -> dg.BackfillPolicy:
    """Slices of at most `max_row_groups_per_run`. A dataset that fits into one run keeps the policy of a single run, which
    `dagster asset materialize --partition-range` demands."""
    if spec.ref.num_row_groups <= spec.max_row_groups_per_run:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=spec.max_row_groups_per_run)


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
        backfill_policy=_backfill_policy(spec),
        output_required=False,
        dagster_type=cast(dg.DagsterType, dg.Nothing),
        code_version=spec.code_version,
        deps=spec.upstream,
        check_specs=[row_groups_check(spec)],
        description=f"Row groups of {spec.name}. {without_pictures(spec.config.description or '')}".strip(),
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
    def row_groups(context: dg.AssetExecutionContext, config: GenerateConfig) -> Iterator[Any]:
        config.check(context)
        resume = config.resume_mode()
        recorder: Recorder | None = None
        try:
            dataset = api.open_dataset(spec.path, root=store_of_run(context).root_of(spec))
            refuse_sealed(context, dataset, resume=resume)
            exit_with_run_worker(context)
            takers = consumers(context)
            chosen = _chosen(context, config, dataset, takers)
            recorder = Recorder(context, spec=spec, plan=dataset.plan, keep=bool(takers))
            with recorder:
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
            touched = recorder is not None and recorder.has_made
            raise ending_of(context, error, file=spec.path, touched=touched) from None
        except KeyboardInterrupt as interrupt:
            raise dg.DagsterExecutionInterruptedError(str(interrupt)) from None
        context.log.info(
            f"{summary.generated} records generated, {summary.failed} failed, {summary.dropped} dropped by select, "
            f"{summary.adopted} row groups adopted, "
            f"{summary.carried} cells carried over, {summary.replayed} taken from the journal, "
            f"{summary.remaining} records remaining; in {summary.version.row_groups}"
        )
        yield from _outcome(recorder, released=bool(takers))

    return row_groups


def consumers(context: dg.AssetExecutionContext) -> list[str]:
    """What takes the output of this step in the same run: assets right downstream, and checks that are not the step's own."""
    layer = context.job_def.asset_layer
    graph = layer.asset_graph
    selected = context.run.asset_selection or layer.selected_asset_keys
    assets = selected & graph.get(context.asset_key).child_keys
    checks = graph.get_check_keys_for_assets({context.asset_key}) - context.assets_def.check_keys
    chosen = context.run.asset_check_selection
    if chosen is not None:
        checks &= chosen
    return [*sorted(key.to_user_string() for key in assets), *sorted(f"check {key.name}" for key in checks)]


def beginner_of(run: dg.DagsterRun) -> str:
    """Whose version it is that `resume: never` begins: the whole backfill's, or the run's, which retries go on in."""
    return run.tags.get(BACKFILL_TAG) or run.tags.get(ROOT_RUN_TAG) or run.run_id


def _chosen(
    context: dg.AssetExecutionContext,
    config: GenerateConfig,
    dataset: api.Dataset,
    takers: Sequence[str],
) -> Sequence[int]:
    """The row groups to work at. Cancels the run for a subset that cannot be."""
    partitions = [int(key) for key in context.partition_keys]
    try:
        chosen = config.row_groups(partitions, count=len(dataset.plan.row_groups))
        if takers and len(chosen) < len(partitions):
            # The output that lets those steps run makes Dagster record every partition of the run.
            raise PlanError(
                f"run config, subset: {config.subset!r} leaves out row groups, but this run also makes {', '.join(takers)} "
                "from all of them",
                remedy="leave subset out, or make the row groups in a run of their own; nothing was generated",
            )
    except PlanError as error:
        refuse(context, f"Run rejected: {error}", kind=RUN_CONFIG, file=None)
    return chosen


def _nothing_made(empty: Sequence[RowGroupFinished]) -> str:
    """Why a run fails although it came to its end."""
    groups = format_ranges(sorted(event.group.index for event in empty))
    first = next((event.first_failure for event in empty if event.first_failure is not None), "unknown")
    return (
        f"no record could be made of row groups {groups}; the first failure: {first}\n"
        "  -> fix the cause and materialize them again; what was made of other row groups is recorded"
    )


def _outcome(recorder: Recorder, *, released: bool) -> Iterator[Any]:
    """What a step yields whose run came to its end. Raises Failure if there is a row group without any record."""
    yield from recorder.events()
    yield recorder.verdict.result()
    if recorder.empty:
        raise dg.Failure(description=_nothing_made(recorder.empty), allow_retries=False)
    if released:
        yield from _release(recorder)


def _release(recorder: Recorder) -> Iterator[dg.Output[None] | dg.DagsterEvent]:
    """Let the assets downstream of this one run in the same run; without an output Dagster would skip them.

    The output makes Dagster record every partition of the run once more, with a data version of its own making, so what is
    true of each file is recorded after it. Only runs that make both pay for this.
    """
    yield dg.Output(None)
    recorder.repeat()
    yield from recorder.events()
