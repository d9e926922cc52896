"""The partitioned asset: `<dataset>/row_groups` or `<pipeline>/sources`. One partition is one parquet file.

A materialization is recorded the moment a file is durable, one event each, so a crash loses none. The output is optional on
purpose: a returned or yielded MaterializeResult would claim every partition of the run's range at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

import dagster as dg

from sdg_assets.assets.run_config import RunConfig, offering
from sdg_assets.assets.run_worker import exit_with_run_worker
from sdg_assets.assets.sealed_guard import WAITING, ending_of, refuse, refuse_sealed
from sdg_assets.assets.spec import FileSpec
from sdg_assets.opened.base import Opened
from sdg_assets.recording.inert import without_images
from sdg_assets.recording.recorder import Recorder
from sdg_core.errors import SdgError

if TYPE_CHECKING:
    from sdg_core.api import ResumeMode

BACKFILL_TAG = "dagster/backfill"
ROOT_RUN_TAG = "dagster/root_run_id"
Spec = TypeVar("Spec", bound=FileSpec)
Config = TypeVar("Config", bound=RunConfig)
Data = TypeVar("Data", bound=Opened)


class Maker(ABC, Generic[Spec, Config, Data]):
    """How the partitions of one kind are made in a run."""

    config: type[Config]
    check: dg.AssetCheckSpec
    title: ClassVar[str]
    kinds: ClassVar[frozenset[str]]

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @abstractmethod
    def open(self, context: dg.AssetExecutionContext, config: Config) -> Data:
        """Open the file. Raises SdgError."""

    @abstractmethod
    def recorder(
        self, context: dg.AssetExecutionContext, opened: Data, *, keep: bool
    ) -> Recorder[Any]:
        """What records materializations as files become durable."""

    def chosen(
        self,
        context: dg.AssetExecutionContext,
        config: Config,
        opened: Data,
        takers: Sequence[str],
    ) -> Sequence[str]:
        """Keys of the partitions to work at. takers: what takes the output in the same run."""
        return context.partition_keys

    @abstractmethod
    def generate(
        self,
        context: dg.AssetExecutionContext,
        config: Config,
        opened: Data,
        *,
        partitions: Sequence[str],
        resume: "ResumeMode | None",
        recorder: Any,
    ) -> str:
        """Make partitions; returns what the run came to, for its log. Raises SdgError."""


def build_partitioned(maker: Maker[Any, Any, Any]) -> dg.AssetsDefinition:
    """The asset that makes the partitions of a dataset or a pipeline."""
    spec = maker.spec

    def partitions(context: dg.AssetExecutionContext, config: Any) -> Iterator[Any]:
        config.check(context)
        resume = config.resume_mode()
        recorder: Recorder[Any] | None = None
        try:
            opened = maker.open(context, config)
            refuse_sealed(context, opened.dataset, resume=resume)
            exit_with_run_worker(context)
            takers = consumers(context)
            chosen = maker.chosen(context, config, opened, takers)
            recorder = maker.recorder(context, opened, keep=bool(takers))
            with recorder:
                said = maker.generate(
                    context,
                    config,
                    opened,
                    partitions=chosen,
                    resume=resume,
                    recorder=recorder,
                )
        except SdgError as error:
            touched = recorder is not None and recorder.has_made
            raise ending_of(context, error, file=spec.path, touched=touched) from None
        except KeyboardInterrupt as interrupt:
            raise dg.DagsterExecutionInterruptedError(str(interrupt)) from None
        context.log.info(said)
        yield from _outcome(context, recorder, released=bool(takers))

    partitions.__annotations__["config"] = offering(maker.config, spec.run)
    return dg.asset(
        key=spec.partitioned_key,
        partitions_def=spec.ref.partitions_def,
        backfill_policy=spec.backfill_policy,
        output_required=False,
        dagster_type=cast(dg.DagsterType, dg.Nothing),
        code_version=spec.code_version,
        deps=spec.upstream,
        check_specs=[maker.check],
        description=f"{maker.title} {spec.name}. {without_images(spec.description)}".strip(),
        kinds=set(spec.kinds or maker.kinds),
        pool=spec.pool,
        metadata={**spec.ref.to_metadata(), **spec.columns},
        **spec.asset_attributes,
    )(partitions)


def consumers(context: dg.AssetExecutionContext) -> list[str]:
    """What takes the output of this step in the same run: assets right downstream, and checks that are not the step's own."""
    layer = context.job_def.asset_layer
    graph = layer.asset_graph
    selected = context.run.asset_selection or layer.selected_asset_keys
    assets = selected & graph.get(context.asset_key).child_keys
    checks = (
        graph.get_check_keys_for_assets({context.asset_key})
        - context.assets_def.check_keys
    )
    chosen = context.run.asset_check_selection
    if chosen is not None:
        checks &= chosen
    names_of_assets = sorted(key.to_user_string() for key in assets)
    names_of_checks = sorted(f"check {key.name}" for key in checks)
    return [*names_of_assets, *names_of_checks]


def creator_of(run: dg.DagsterRun) -> str:
    """The run or backfill for which `resume: never` creates a version; retries of a run resume the version of the first."""
    return run.tags.get(BACKFILL_TAG) or run.tags.get(ROOT_RUN_TAG) or run.run_id


def _outcome(
    context: dg.AssetExecutionContext, recorder: Recorder[Any], *, released: bool
) -> Iterator[Any]:
    """What a step yields whose run came to its end. Raises Failure if there is a partition without anything made.

    Where only replies are awaited the run is canceled, so that no partition turns red and none is recorded without a file.
    """
    yield from recorder.events()
    yield recorder.check.result()
    waiting = recorder.still_waiting()
    if waiting is not None:
        refuse(context, waiting, kind=WAITING, file=None)
    if (nothing := recorder.nothing_made()) is not None:
        raise dg.Failure(description=nothing, allow_retries=False)
    if released:
        yield from _release(recorder)


def _release(recorder: Recorder[Any]) -> Iterator[dg.Output[None] | dg.DagsterEvent]:
    """Let the assets downstream of this one run in the same run; without an output Dagster would skip them.

    The output makes Dagster record every partition of the run once more, with a data version of its own making, so what is
    true of each file is recorded after it. Only runs that make both pay for this.
    """
    yield dg.Output(None)
    recorder.repeat()
    yield from recorder.events()
