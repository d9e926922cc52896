"""`<dataset>/row_groups`: one partition is one row group."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from sdg_assets.assets.partitioned import Maker, build_partitioned, creator_of
from sdg_assets.assets.run_config import GenerateConfig
from sdg_assets.assets.sealed_guard import RUN_CONFIG, refuse
from sdg_assets.assets.spec import DatasetSpec, load_spec
from sdg_assets.checks.run_check import row_groups_check
from sdg_assets.opened.dataset import OpenedDataset
from sdg_assets.recording.row_group_recorder import RowGroupRecorder
from sdg_assets.resources import store_of_run
from sdg_core import api
from sdg_core.counts import counted
from sdg_core.errors import PlanError

if TYPE_CHECKING:
    from sdg_core.api import ResumeMode


def row_group_partitions(file: str | Path) -> dg.StaticPartitionsDefinition:
    """The partitions of a dataset's row groups, for assets of your own beside them.

    file: the dataset file. Raises ConfigError, or PlanError if it does not say how many records.
    """
    return load_spec(Path(file).resolve()).ref.partitions_def


def build_row_groups(spec: DatasetSpec) -> dg.AssetsDefinition:
    """The asset that generates a dataset's row groups."""
    return build_partitioned(RowGroupMaker(spec))


class RowGroupMaker(Maker[DatasetSpec, GenerateConfig, OpenedDataset]):
    """Generates row groups."""

    config = GenerateConfig
    title = "Row groups of"
    kinds = frozenset({"parquet", "polars"})

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.check = row_groups_check(spec.partitioned_key)

    def open(
        self, context: dg.AssetExecutionContext, config: GenerateConfig
    ) -> OpenedDataset:
        """See the base class."""
        root = store_of_run(context).root_of(self.spec)
        return OpenedDataset(api.open_dataset(self.spec.path, root=root))

    def recorder(
        self, context: dg.AssetExecutionContext, opened: OpenedDataset, *, keep: bool
    ) -> RowGroupRecorder:
        """See the base class."""
        return RowGroupRecorder(
            context, spec=self.spec, plan=opened.dataset.plan, keep=keep
        )

    def chosen(
        self,
        context: dg.AssetExecutionContext,
        config: GenerateConfig,
        opened: OpenedDataset,
        takers: Sequence[str],
    ) -> Sequence[str]:
        """See the base class. Cancels the run for a subset that cannot be."""
        partitions = [int(key) for key in context.partition_keys]
        try:
            chosen = config.row_groups(
                partitions, count=len(opened.dataset.plan.row_groups)
            )
            if takers and len(chosen) < len(partitions):
                # The output that lets those steps run makes Dagster record every partition of the run.
                raise PlanError(
                    f"run config, subset: {config.subset!r} leaves out row groups, but this run also "
                    f"materializes {', '.join(takers)}, which needs all of them",
                    remedy="remove subset, or materialize the row groups in a separate run; nothing was generated",
                )
        except PlanError as error:
            refuse(context, f"Run rejected: {error}", kind=RUN_CONFIG, file=None)
        return [api.row_group_key(index) for index in chosen]

    def generate(
        self,
        context: dg.AssetExecutionContext,
        config: GenerateConfig,
        opened: OpenedDataset,
        *,
        partitions: Sequence[str],
        resume: "ResumeMode | None",
        recorder: RowGroupRecorder,
    ) -> str:
        """See the base class."""
        summary = api.generate(
            opened.dataset,
            row_groups=[int(key) for key in partitions],
            resume=resume,
            settings=config.settings(opened.dataset.plan.config.run),
            on_event=recorder,
            run_id=context.run.run_id,
            created_by_run=creator_of(context.run),
        )
        counts = {
            "dropped by select": summary.dropped,
            "row groups adopted": summary.adopted,
            "cells carried over": summary.carried,
            "replies taken from the journal": summary.replayed,
            "records remaining": summary.remaining,
            "of them waiting for replies": summary.waiting,
        }
        generated = counted(summary.generated, "record")
        more = "".join(f", {count} {what}" for what, count in counts.items() if count)
        where = summary.version.row_groups
        return f"{generated} generated, {summary.failed} failed{more}; in {where}"
