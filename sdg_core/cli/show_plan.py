"""What `sdg plan` prints."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from sdg_core.api import ColumnPlan, RunPlan, format_ranges
from sdg_core.cli.output import print_json
from sdg_core.cli.show import STYLES
from sdg_core.cli.tables import stdout, two_columns
from sdg_core.counts import counted

_ACTIONS = {
    "start": "a first run",
    "resume": "goes on",
    "new version": "a new version alongside the old one",
    "forced version": "a new version, everything regenerated",
}


def run_plan(plan: RunPlan, *, as_json: bool) -> None:
    """What a run would do."""
    if as_json:
        print_json(plan.to_dict())
        return
    if plan.refused is not None:
        stdout().print(
            f"a run would be refused: {plan.refused.message}", soft_wrap=True
        )
        if plan.refused.remedy:
            stdout().print(f"  -> {plan.refused.remedy}", soft_wrap=True)
        return
    stdout().print(_where_and_why(plan))
    if plan.nothing_to_do:
        stdout().print("nothing to do: all row groups are complete")
        return
    if plan.columns:
        stdout().print(_columns(plan))
    for line in _requests(plan):
        stdout().print(f"requests: {line}", soft_wrap=True)
    if plan.candidates > 1:
        stdout().print(
            f"up to {plan.candidates} times as many, if candidates are rejected",
            soft_wrap=True,
        )


def _where_and_why(plan: RunPlan) -> Table:
    table = two_columns()
    table.add_row("dataset", plan.dataset)
    table.add_row("version", f"{plan.version}: {_ACTIONS[plan.action]}")
    table.add_row("directory", plan.directory)
    for reason in plan.reasons:
        table.add_row("", reason)
    for number, line in enumerate(plan.drift):
        heading = "" if number else "changed"
        table.add_row(heading, line)
    for state, keys in plan.states.items():
        if keys:
            listing = format_ranges([int(key) for key in keys])
            line = f"{counted(len(keys), 'row group')}: {listing}"
            table.add_row(Text(state.value, STYLES[state]), line)
    if not plan.nothing_to_do:
        table.add_row("records", f"{plan.records:,} to generate")
    for number, line in enumerate(plan.held):
        heading = "" if number else "at work"
        table.add_row(heading, line)
    return table


def _requests(plan: RunPlan) -> Iterator[str]:
    for alias, count in plan.requests.items():
        asking = [column for column in plan.columns if alias in column.models]
        may_skip = any(column.skippable for column in asking)
        fewer = ", fewer if cells are skipped" if may_skip else ""
        yield f"{alias}: {count:,}{fewer}; corrections and retries are extra"
    for column in plan.columns:
        if column.column_type == "custom" and column.models and column.to_make:
            yield (
                f"column {column.column}: the number of requests its function sends to "
                f"{', '.join(column.models)} is unknown"
            )
    if not any(column.models and column.to_make for column in plan.columns):
        yield "none"


def _columns(plan: RunPlan) -> Table:
    table = Table(
        "column",
        "kind",
        "to make",
        "reused",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for column in plan.columns:
        models = f" ({', '.join(column.models)})" if column.models else ""
        most = "up to " if column.skippable and column.to_make else ""
        table.add_row(
            column.column,
            column.column_type + models,
            f"{most}{column.to_make:,}",
            _reused(column),
        )
    return table


def _reused(column: ColumnPlan) -> str:
    parts = []
    if column.journaled:
        parts.append(f"{column.journaled:,} from the journal")
    for name, count in column.carried.items():
        parts.append(f"{count:,} from version {name}")
    return ", ".join(parts) or "-"
