"""How the partitions of a pipeline look as row groups, so that it is finished in the same steps as a dataset."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import pyarrow as pa

from sdg_core.counts import counted
from sdg_core.dataset.generated_version import GeneratedVersion
from sdg_core.dataset.spending import DatasetSpending
from sdg_core.errors import ConfigError, IncompleteError, LedgerError
from sdg_core.pipelines.handle import OpenPipeline, PartitionStatus, partitions_of, scan
from sdg_core.pipelines.rejected import selection_of
from sdg_core.pipelines.spending import footers_of, spending_of_pipeline
from sdg_core.pipelines.store import PartitionFooter, SourceEntry, SourcesLayout
from sdg_core.plan.checks.processors import check_processor_types, check_processors
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.graph import build_graph
from sdg_core.plan.row_groups import RowGroup, plan_row_groups
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus
from sdg_core.store.row_groups import (
    Footer,
    SelectionCounts,
    damage_errors,
    read_parquet_metadata,
)


class GeneratedPipeline(GeneratedVersion):
    """A pipeline that has data: its partitions look like row groups whose records are their rows."""

    def __init__(self, pipeline: OpenPipeline) -> None:
        super().__init__(pipeline.as_dataset())
        self._pipeline = pipeline
        self._sources = pipeline.layout.version(self.layout.name)

    @cached_property
    def partitions(self) -> list[PartitionStatus]:
        """The state of every partition."""
        return scan(self._pipeline, self._sources, partitions_of(self._pipeline))

    @cached_property
    def plan(self) -> DatasetPlan:
        """The plan of a dataset that has these rows."""
        return _plan_for(self.dataset.plan, self._sources, self.partitions)

    @property
    def finished_plan(self) -> DatasetPlan:
        """With as many records as the sealed version: sources that came later are not in it, and that is no fault."""
        records = max(self.metadata.target_num_records, 1)
        return replace(self.plan, row_groups=plan_row_groups(records, 1))

    @cached_property
    def row_groups(self) -> list[RowGroupStatus]:
        """Partitions that have a file."""
        return as_row_groups(self.partitions)

    def check_plan(self) -> None:
        """Raise ConfigError for processors that cannot work on the rows; what functions made of them is known by now."""
        config = self.plan.config
        columns = frozenset(self.plan.schema.names)
        types = {field.name: field.type for field in self.plan.schema}
        # Columns that were to be dropped are not there any more.
        dropped: set[str] = set()
        for processor in config.processors:
            dropped.update(getattr(processor, "column_names", ()))
        found = [
            *check_processors(config, columns, droppable=columns | dropped),
            *check_processor_types(config, types),
        ]
        if found:
            parsed = self._pipeline.plan.parsed
            problems = [parsed.problem(path, message) for path, message in found]
            raise ConfigError(parsed.source, problems)

    def check_complete(self, *, allow_missing: bool) -> None:
        """Raise IncompleteError unless every partition is there and, unless `allow_missing`, every source complete."""
        check_complete(self.partitions, allow_missing=allow_missing)

    def spending(self) -> DatasetSpending | None:
        """What files and journal say of all its versions."""
        try:
            return spending_of_pipeline(
                self._pipeline, self._sources, footers_of(self.partitions)
            )
        except LedgerError:
            return None

    def selection(self) -> SelectionCounts | None:
        """As the accounts of sources say."""
        entries: list[SourceEntry] = []
        for status in self.partitions:
            if status.footer is not None:
                entries += status.footer.sources
        return selection_of(entries)


def as_row_groups(statuses: Sequence[PartitionStatus]) -> list[RowGroupStatus]:
    """Partitions that have a file, as row groups whose records are their rows."""
    found = []
    start = 0
    for status in statuses:
        if status.footer is not None:
            group = RowGroup(status.partition.index, start, status.footer.num_rows)
            footer = _as_row_group(status.footer, group)
            found.append(RowGroupStatus(group, RowGroupState.COMPLETE, footer=footer))
            start += group.size
    return found


def _as_row_group(footer: PartitionFooter, group: RowGroup) -> Footer:
    return Footer(
        schema_version=footer.schema_version,
        dataset=footer.dataset,
        config_hash=footer.config_hash,
        column_hashes=dict(footer.column_hashes),
        row_group=group.index,
        start=group.start,
        size=group.size,
        missing=[],
        resized=False,
        usage=footer.usage,
        simulated=footer.simulated,
        created_at=footer.created_at,
        run_id=footer.run_id,
        carried=footer.carried,
    )


def check_complete(statuses: Sequence[PartitionStatus], *, allow_missing: bool) -> None:
    """Raise IncompleteError unless every partition is there and, unless `allow_missing`, every source complete."""
    wrong = [
        status for status in statuses if status.state in ("missing", "corrupt", "stale")
    ]
    remedy = "generate again; `sdg retry` retries sources that were given up"
    if not wrong and not allow_missing:
        wrong = [status for status in statuses if status.state in ("partial", "failed")]
        remedy += ", and --allow-missing leaves out what failed"
    if wrong:
        partitions = counted(len(statuses), "partition", "are")
        states = [f"{status.partition.key} ({status.state})" for status in wrong[:10]]
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise IncompleteError(
            f"{len(wrong)} of {partitions} not complete: {', '.join(states)}{more}",
            remedy=remedy,
        )
    footers = [status.footer for status in statuses if status.footer is not None]
    if not any(footer.num_rows for footer in footers):
        if not statuses:
            raise IncompleteError(
                "there are no sources yet", remedy="generate once there are sources"
            )
        raise IncompleteError(
            "no source has produced a row",
            remedy="check what was filtered: `sdg status FILE`",
        )


def _schema(layout: SourcesLayout, statuses: Sequence[PartitionStatus]) -> pa.Schema:
    """The columns of all partitions together."""
    schemas = []
    for status in statuses:
        if status.footer is not None and status.footer.num_rows:
            path = layout.row_group(status.partition.index)
            with damage_errors(path):
                schemas.append(
                    read_parquet_metadata(path)
                    .schema.to_arrow_schema()
                    .remove_metadata()
                )
    return (
        pa.unify_schemas(schemas, promote_options="permissive")
        if schemas
        else pa.schema([])
    )


def _plan_for(
    plan: DatasetPlan, layout: SourcesLayout, statuses: Sequence[PartitionStatus]
) -> DatasetPlan:
    schema = _schema(layout, statuses)
    footers = [status.footer for status in statuses if status.footer is not None]
    rows = max(sum(footer.num_rows for footer in footers), 1)
    columns = [column for column in plan.config.columns if column.name in schema.names]
    config = plan.config.model_copy(update={"columns": tuple(columns)})
    groups = tuple(RowGroup(number, number, 1) for number in range(rows))
    made = {column.name for column in columns}
    seeds = [name for name in schema.names if name not in made]
    return replace(
        plan,
        config=config,
        graph=build_graph(config),
        schema=schema,
        dropped=frozenset(),
        row_groups=groups,
        seed_columns=tuple(seeds),
    )
