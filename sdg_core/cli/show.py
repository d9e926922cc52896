"""What commands print: results on stdout, for people, or as JSON.

Text is shown as it is: paths and data may hold brackets and colons that rich would take for markup or emoji.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from sdg_core.api import RowGroupState, format_ranges, prompt_notices
from sdg_core.cli.output import print_json, say
from sdg_core.cli.show_money import (
    selection_lines,
    usage_lines,
    used_and_paid,
)
from sdg_core.cli.show_versions import run_table, version_table
from sdg_core.cli.tables import print_values, stdout, two_columns
from sdg_core.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_core.api import (
        Acceptance,
        Dataset,
        DatasetPlan,
        DatasetStatus,
        ModelProvider,
        Preview,
    )

_RARE = 0.03
"""Below this share of accepted draws, a record may find none within its attempts."""
_TYPE_CHARACTERS = 60
_MAX_COLUMNS = 1_000
"""The last ones are shown: seed columns come first, and may be any number."""
MAX_LENGTH = 300
"""Characters of a value that a preview shows."""
STYLES: Mapping[RowGroupState, str] = {
    RowGroupState.MISSING: "dim",
    RowGroupState.PARTIAL: "yellow",
    RowGroupState.COMPLETE: "green",
    RowGroupState.CORRUPT: "red",
    RowGroupState.STALE: "cyan",
}


def plan(
    dataset: "Dataset",
    *,
    acceptances: "Iterable[Acceptance]",
    notices: "Iterable[str]" = (),
    as_json: bool,
) -> None:
    """The outcome of `sdg validate`. acceptances: how often draws satisfy the constraints. notices: what was not checked."""
    if as_json:
        return print_json(_plan_as_data(dataset, acceptances, notices))
    compiled = dataset.plan
    console = stdout()
    console.print(
        Text.assemble(("ok", "green"), f" {dataset.loaded.source}"), soft_wrap=True
    )
    table = two_columns()
    groups = compiled.row_groups
    table.add_row("dataset", dataset.name)
    sizes = f"{counted(len(groups), 'row group')} of {compiled.config.row_group_size:,}"
    table.add_row("records", f"{compiled.num_records:,} in {sizes}")
    if compiled.seed_repeats is not None:
        table.add_row("seed rows", compiled.seed_repeats)
    table.add_row("fingerprint", compiled.fingerprint.config_hash)
    version = dataset.layout.version(compiled.fingerprint.version)
    table.add_row("directory", str(version.directory))
    for alias, (model, provider) in compiled.models.items():
        table.add_row("model", f"{alias}: {model.model} at {_place(provider)}")
    for alias, tools in compiled.tools.configs.items():
        allowed = ", ".join(tools.allow_tools) if tools.allow_tools else "every tool"
        table.add_row("tools", f"{alias}: {allowed} of {', '.join(tools.providers)}")
    for measured in acceptances:
        table.add_row("constraint", _acceptance_text(measured))
    if compiled.selection is not None:
        table.add_row("select", compiled.selection)
    found = prompt_notices(compiled.config, names=compiled.schema.names)
    for notice in (*compiled.seed_notices, *found, *notices):
        table.add_row(Text("notice", "yellow"), notice)
    console.print(table)
    columns = Table(
        "column", "type", "from", box=None, pad_edge=False, header_style="bold"
    )
    shown = [*compiled.schema][-_MAX_COLUMNS:]
    left_out = len(compiled.schema) - len(shown)
    if left_out:
        columns.add_row(f"({left_out:,} more; --json lists all)", "", "")
    for field in shown:
        kind = _made_by(compiled, field.name)
        dropped = " (dropped)" if field.name in compiled.dropped else ""
        columns.add_row(field.name, _type_text(field.type), kind + dropped)
    console.print(columns)


def _type_text(kind: "pa.DataType") -> str:
    """An Arrow type in a few words; `validate --json` writes all of it."""
    written = str(kind)
    if len(written) <= _TYPE_CHARACTERS:
        return written
    if written.startswith(("list<", "large_list<")):
        return f"list of {_type_text(kind.value_type)}"
    if written.startswith("struct<"):
        return f"struct of {counted(kind.num_fields, 'field')}"
    return written


def _acceptance_text(measured: "Acceptance") -> str:
    text = (
        f"{', '.join(measured.constraints)}: {measured.rate:.2%} of draws are accepted"
    )
    if measured.failing:
        records = counted(measured.records, "record")
        return f"{text}; {measured.failing:,} of {records} will find no accepted draw and fail"
    if measured.rate < _RARE:
        return f"{text}; this rate is low, and records may fail"
    return text


def _made_by(plan: "DatasetPlan", column: str) -> str:
    """The kind of what makes a column."""
    maker = plan.graph.producers.get(column, column)
    for made in plan.config.columns:
        if made.name == maker:
            return made.column_type
    return "seed data"


def _plan_as_data(
    dataset: "Dataset", acceptances: "Iterable[Acceptance]", notices: "Iterable[str]"
) -> dict[str, Any]:
    plan = dataset.plan
    models = {
        alias: {"model": model.model, "provider": provider.name}
        for alias, (model, provider) in plan.models.items()
    }
    columns = []
    for field in plan.schema:
        columns.append(
            {
                "name": field.name,
                "type": str(field.type),
                "made_by": _made_by(plan, field.name),
                "dropped": field.name in plan.dropped,
            }
        )
    constraints = []
    for found in acceptances:
        constraints.append(
            {
                "constraints": list(found.constraints),
                "rate": found.rate,
                "records": found.records,
                "failing": found.failing,
            }
        )
    version = dataset.layout.version(plan.fingerprint.version)
    return {
        "ok": True,
        "file": dataset.loaded.source,
        "seed_data_checked": True,
        "dataset": dataset.name,
        "records": plan.num_records,
        "row_groups": len(plan.row_groups),
        "row_group_size": plan.config.row_group_size,
        "config_hash": plan.fingerprint.config_hash,
        "directory": str(version.directory),
        "models": models,
        "columns": columns,
        "constraints": constraints,
        "notices": [*prompt_notices(plan.config, names=plan.schema.names), *notices],
    }


def preview(result: "Preview", *, as_json: bool, full: bool) -> None:
    """The outcome of `sdg preview`. full: long values as they are."""
    if as_json:
        print_json(result.table.to_pylist())
    else:
        console = stdout()
        longest = None if full else MAX_LENGTH
        for number, lines in result.shown(longest=longest):
            console.print(f"--- record {number}", style="dim")
            print_values(console, lines)
        for failure in result.failures:
            if prompt := result.shown_prompt(
                failure.record, failure.column, longest=longest
            ):
                console.print(f"--- record {failure.record}, which failed", style="dim")
                print_values(console, [(failure.column, "(failed)"), *prompt])
        for line in usage_lines(result.usage):
            console.print(f"usage: {line}", soft_wrap=True)
    for failure in result.failures:
        say(
            f"record {failure.record} failed, column {failure.column}: {failure.message}",
            err=True,
        )


def status(current: "DatasetStatus", *, as_json: bool) -> None:
    """The outcome of `sdg status`."""
    if as_json:
        print_json(current.to_dict())
        return
    console = stdout()
    table = two_columns()
    simulated = " (simulated replies)" if current.simulated else ""
    no_data = "" if current.exists else " (no data yet)"
    table.add_row("dataset", current.dataset + simulated)
    table.add_row("directory", current.directory + no_data)
    if current.other_place is not None:
        table.add_row(
            Text("notice", "yellow"),
            f"{current.other_place} holds data; to use it: --root {Path(current.other_place).parent}",
        )
    table.add_row("versions", ", ".join(current.versions) or "none")
    table.add_row("records", current.records_text)
    for state, keys in current.states.items():
        if keys:
            listing = format_ranges([int(key) for key in keys])
            line = f"{counted(len(keys), 'row group')}: {listing}"
            table.add_row(Text(state.value, STYLES[state]), line)
    if current.waiting:
        listing = format_ranges([int(key) for key in current.waiting])
        count = sum(current.waiting.values())
        waiting = counted(count, "record", "wait")
        table.add_row(
            "waiting", f"{waiting} for deferred replies, in row groups {listing}"
        )
    for name, line in _troubles_and_costs(current):
        table.add_row(name, line)
    sealed = "yes" if current.sealed else "no"
    if current.sealed and current.post_generation_state == "started":
        sealed = "yes (processing started but did not finish)"
    table.add_row("sealed", sealed)
    for name, count in current.removed_by_processor.items():
        kept = current.kept_by_processor.get(name, 0)
        table.add_row("removed", f"{name}: {count:,} removed, {kept:,} kept")
    console.print(table)
    _print_history(current)


def _print_history(current: "DatasetStatus") -> None:
    """The versions, where there are several, and the runs."""
    console = stdout()
    if len(current.version_details) > 1:
        console.print()
        console.print(version_table(current.version_details))
    if current.runs:
        console.print()
        console.print(run_table(current.runs))


def _troubles_and_costs(current: "DatasetStatus") -> Iterator[tuple[str, str]]:
    for fault in current.faults:
        yield "", fault
    if current.failed:
        yield "failures", f"{current.failed:,}"
        for reason in current.failure_counts:
            yield "", f"{reason.count:,} x {reason.column}: {reason.example}"
    yield from used_and_paid(current)
    if current.selection is not None:
        yield from selection_lines(
            current.selection, current.rejected_cost, unit="record"
        )


def _place(provider: "ModelProvider") -> str:
    nowhere = (
        "custom client"
        if provider.provider_type == "custom"
        else "simulated (no network)"
    )
    return provider.endpoint or nowhere
