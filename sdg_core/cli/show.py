"""What commands print: results on stdout, for people, or as JSON."""

from collections.abc import Mapping

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sdg_core.api import Dataset, RunSummary
from sdg_core.execution.preview import Preview
from sdg_core.plan.row_groups import format_ranges
from sdg_core.processing.run import ProcessingResult
from sdg_core.store.metadata import UsageByModel
from sdg_core.store.state import RowGroupState
from sdg_core.store.status import DatasetStatus

_STYLES: Mapping[RowGroupState, str] = {
    RowGroupState.MISSING: "dim",
    RowGroupState.PARTIAL: "yellow",
    RowGroupState.COMPLETE: "green",
    RowGroupState.CORRUPT: "red",
    RowGroupState.STALE: "cyan",
}


def plan(dataset: Dataset) -> None:
    """The outcome of `sdg validate`."""
    compiled, console = dataset.plan, _console()
    console.print(f"[green]ok[/] {escape(dataset.loaded.source)}", highlight=False, soft_wrap=True)
    table = _table()
    groups = compiled.row_groups
    table.add_row("dataset", dataset.name)
    table.add_row(
        "records", f"{compiled.num_records:,} in {len(groups):,} row groups of {compiled.config.row_group_size:,}"
    )
    table.add_row("fingerprint", compiled.fingerprint.config_hash)
    table.add_row("directory", str(dataset.layout.version(compiled.fingerprint.version).directory))
    for alias, (model, provider) in compiled.models.items():
        table.add_row("model", f"{alias}: {model.model} at {provider.endpoint or 'simulated (no network)'}")
    console.print(table)
    columns = Table("column", "type", "from", box=None, pad_edge=False, header_style="bold")
    generated = {column.name: column for column in compiled.config.columns}
    for field in compiled.schema:
        kind = generated[field.name].column_type if field.name in generated else "seed data"
        columns.add_row(field.name, str(field.type), kind + (" (dropped)" if field.name in compiled.dropped else ""))
    console.print(columns)


def preview(result: Preview, *, as_json: bool) -> None:
    """The outcome of `sdg preview`."""
    records = result.table.to_pylist()
    if as_json:
        _print_json(records)
    else:
        console = _console()
        for number, record in enumerate(records):
            console.rule(f"record {number}", align="left", style="dim")
            table = _table()
            for name, value in record.items():
                table.add_row(name, Text(str(value)))
            console.print(table)
    for failure in result.failures:
        Console(stderr=True).print(
            f"record {failure.record} failed, column {failure.column}: {failure.message}", markup=False, highlight=False
        )


def run_summary(summary: RunSummary) -> None:
    """The outcome of `sdg generate`."""
    console = _console()
    if not summary.written and not summary.lacking:
        console.print(f"nothing to do: all {summary.adopted:,} row groups are complete", highlight=False)
    else:
        console.print(
            f"{summary.generated:,} records generated, {summary.failed:,} failed; {summary.written:,} row groups written, "
            f"{summary.adopted:,} were complete",
            highlight=False,
        )
    console.print(f"in {summary.version.row_groups}", highlight=False, soft_wrap=True)
    if summary.lacking:
        console.print(
            f"[yellow]{summary.lacking:,} records are lacking; run again to retry them[/]"
            + (f" (first failure: {escape(summary.first_failure)})" if summary.first_failure else ""),
            highlight=False,
            soft_wrap=True,
        )


def status(current: DatasetStatus, *, as_json: bool) -> None:
    """The outcome of `sdg status`."""
    if as_json:
        _print_json(current.to_dict())
        return
    console = _console()
    table = _table()
    table.add_row("dataset", current.dataset + (" (simulated replies)" if current.simulated else ""))
    table.add_row("directory", current.directory + ("" if current.exists else " (no data yet)"))
    table.add_row("versions", ", ".join(current.versions) or "none")
    table.add_row("records", f"{current.records:,} of {current.target_num_records:,}")
    for state, keys in current.states.items():
        if keys:
            listing = format_ranges([int(key) for key in keys])
            table.add_row(f"[{_STYLES[state]}]{state.value}[/]", f"{len(keys):,} row groups: {listing}")
    if current.failed:
        table.add_row("failures", f"{current.failed:,}")
        for message, count in current.failure_messages:
            table.add_row("", Text(f"{count:,} x {message}"))
    for line in _usage_lines(current.usage):
        table.add_row("usage", line)
    table.add_row("sealed", "yes" if current.sealed else "no")
    console.print(table)


def processed(result: ProcessingResult) -> None:
    """The outcome of `sdg process`."""
    console = _console()
    what = "already processed" if result.already_done else "processed and sealed"
    console.print(f"{what}: {result.num_rows:,} rows", highlight=False)
    for path in result.outputs:
        console.print(f"  {path}", highlight=False, soft_wrap=True)


def _usage_lines(usage: UsageByModel) -> list[str]:
    return [
        f"{alias}: {counts.get('requests', 0):,} requests ({counts.get('retries', 0):,} retries), "
        f"{counts.get('prompt_tokens', 0):,} prompt and {counts.get('completion_tokens', 0):,} completion tokens"
        for alias, counts in usage.items()
    ]


def _table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _console() -> Console:
    return Console()


def _print_json(value: object) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(
        orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()
    )
