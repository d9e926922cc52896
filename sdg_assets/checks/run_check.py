"""The check that every run of a partitioned asset evaluates: that its files are what the plan wants.

A run over a range yields one result for all of its files: Dagster takes no more than one per check and step.
"""

from typing import TYPE_CHECKING

import dagster as dg

from sdg_core.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_core.api import DatasetPlan, RowGroupFinished
    from sdg_core.api.pipelines import PartitionFinished


MATCH_PLAN = "row_groups_match_plan"
SOURCES_MATCH_PLAN = "sources_match_plan"
MAX_SHOWN_FAULTS = 10
MAX_SHOWN_PARTIAL = 20


def row_groups_check(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check of a dataset's row groups."""
    return dg.AssetCheckSpec(
        MATCH_PLAN,
        asset=key,
        description="The files of a run have the rows, the schema and the fingerprint that the plan requires. Warns of records "
        "that have no row.",
    )


def sources_check(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check of a pipeline's partitions."""
    return dg.AssetCheckSpec(
        SOURCES_MATCH_PLAN,
        asset=key,
        description="The files of a run have the fingerprint that the plan requires, and for each source and stage: tasks in = "
        "tasks handed on + filtered + failed + expanded. Warns of sources that are partial or given up.",
    )


class RunCheck:
    """Gathers what a run's files say of themselves into one result.

    name: of the check. unit: what partial files do not have, with the verb and the state that say so.
    remaining: the name of its metadata.
    """

    name: str
    unit: tuple[str, str, str]
    remaining: str
    partitions: str

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._files = self._rows = self._remaining = 0
        self._partial: list[str] = []

    def _look(self, key: str, *, rows: int, remaining: int) -> None:
        """Count a file."""
        self._files += 1
        self._rows += rows
        self._remaining += remaining
        if remaining:
            self._partial.append(key)

    def result(self) -> dg.AssetCheckResult:
        """The verdict over all files."""
        description = None
        severity = dg.AssetCheckSeverity.WARN
        if self._faults:
            description = "; ".join(self._faults[:MAX_SHOWN_FAULTS])
            severity = dg.AssetCheckSeverity.ERROR
        elif self._remaining:
            description = self._what_remains()
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=not self._faults and not self._remaining,
            severity=severity,
            description=description,
            metadata={
                self.partitions.replace(" ", "_"): self._files,
                "rows": self._rows,
                self.remaining: self._remaining,
                "faults": len(self._faults),
            },
        )

    def _what_remains(self) -> str:
        partial = ", ".join(sorted(self._partial)[:MAX_SHOWN_PARTIAL])
        if len(self._partial) > MAX_SHOWN_PARTIAL:
            partial += f" and {len(self._partial) - MAX_SHOWN_PARTIAL} more"
        noun, verb, state = self.unit
        what = f"{counted(self._remaining, noun, verb)} {state}"
        return f"{what}, in {self.partitions} {partial}: see `failures` on the page of each; materialize it to retry"


class RowGroupsCheck(RunCheck):
    """The verdict on row groups."""

    name = MATCH_PLAN
    unit = ("record", "have", "no row")
    remaining = "records_missing"
    partitions = "row groups"

    def __init__(self, plan: "DatasetPlan") -> None:
        super().__init__()
        self._plan = plan

    def add(self, event: "RowGroupFinished", schema: "pa.Schema") -> None:
        """Look at one finished file."""
        footer = event.footer
        group = event.group
        wanted = {
            "config_hash": (footer.config_hash, self._plan.fingerprint.config_hash),
            "start": (footer.start, group.start),
            "size": (footer.size, group.size),
        }
        for name, (found, expected) in wanted.items():
            if found != expected:
                self._faults.append(
                    f"row group {group.key}: {name} is {found}, not {expected}"
                )
        if not schema.remove_metadata().equals(self._plan.kept_schema):
            columns = ", ".join(map(str, schema))
            self._faults.append(f"row group {group.key}: its columns are {columns}")
        self._look(group.key, rows=footer.num_rows, remaining=len(footer.unfinished))


class SourcesCheck(RunCheck):
    """The verdict on partitions of sources."""

    name = SOURCES_MATCH_PLAN
    unit = ("source", "are", "partial or given up")
    remaining = "sources_remaining"
    partitions = "partitions"

    def __init__(self, config_hash: str) -> None:
        super().__init__()
        self._config_hash = config_hash

    def add(self, event: "PartitionFinished") -> None:
        """Look at one finished file."""
        footer = event.footer
        if footer.config_hash != self._config_hash:
            self._faults.append(
                f"partition {event.key}: config_hash is {footer.config_hash}, not {self._config_hash}"
            )
        for entry in footer.sources:
            for number, stage in enumerate(entry.stages):
                if not stage.is_balanced():
                    self._faults.append(
                        f"partition {event.key}, {entry.locator}, stage {number}: tasks do not add up"
                    )
        remaining = sum(entry.state != "complete" for entry in footer.sources)
        self._look(event.key, rows=footer.num_rows, remaining=remaining)
