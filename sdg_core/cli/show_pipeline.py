"""What commands print of pipelines."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from sdg_core.api import format_ranges
from sdg_core.api.pipelines import (
    OpenPipeline,
    PipelinePreview,
    PipelineRunPlan,
    PipelineStatus,
    PipelineSummary,
    sources_notice,
    stage_label,
)
from sdg_core.cli.output import print_json, say
from sdg_core.cli.show_money import (
    run_costs,
    selection_lines,
    usage_lines,
    used_and_paid,
)
from sdg_core.cli.show_versions import run_table
from sdg_core.cli.tables import print_values, stdout, two_columns
from sdg_core.counts import all_of, counted

_MAX_SHOWN = 5
_STYLES = {
    "missing": "dim",
    "partial": "yellow",
    "complete": "green",
    "failed": "red",
    "corrupt": "red",
    "stale": "cyan",
}


def validated(pipeline: OpenPipeline, *, as_json: bool) -> None:
    """The outcome of `sdg validate`."""
    compiled = pipeline.plan
    directory = str(pipeline.layout.version(compiled.fingerprint.version).directory)
    if as_json:
        return print_json(
            {
                "ok": True,
                "file": compiled.parsed.source,
                "pipeline": pipeline.name,
                "sources": len(pipeline.sources),
                "sources_current": pipeline.is_current,
                "stages": [stage.label for stage in compiled.stages],
                "config_hash": compiled.fingerprint.config_hash,
                "directory": directory,
            }
        )
    console = stdout()
    console.print(
        Text.assemble(("ok", "green"), f" {compiled.parsed.source}"), soft_wrap=True
    )
    table = two_columns()
    table.add_row("pipeline", pipeline.name)
    table.add_row(
        "sources", f"{len(pipeline.sources):,} ({compiled.config.sources.reader})"
    )
    for plan in compiled.stages:
        what: str = plan.stage.stage
        if plan.columns is not None:
            names = [column.name for column in plan.columns.config.columns]
            what = f"{what}: {', '.join(names)}"
        table.add_row(plan.label, what)
    _add_sources_notice(pipeline, table)
    table.add_row("fingerprint", compiled.fingerprint.config_hash)
    table.add_row("directory", directory)
    console.print(table)


def _add_sources_notice(pipeline: OpenPipeline, table: Table) -> None:
    notice = sources_notice(pipeline)
    if notice is not None:
        table.add_row(Text("notice", "yellow"), notice)


def preview(result: PipelinePreview, *, as_json: bool, full: bool) -> None:
    """The outcome of `sdg preview`. full: long values as they are."""
    cut: dict[str, Any] = {"longest": None} if full else {}
    if as_json:
        print_json(result.table.to_pylist())
    else:
        console = stdout()
        for number, lines in enumerate(result.shown(**cut)):
            console.print(f"--- row {number}", style="dim")
            print_values(console, lines)
        for what, lines in result.shown_failures(**cut):
            if lines:
                console.print(f"--- failed: {what}", style="dim", soft_wrap=True)
                print_values(console, lines)
        for line in usage_lines(result.usage):
            console.print(f"usage: {line}", soft_wrap=True)
        if not result.table.num_rows and not result.failures:
            console.print(
                "no rows: there are no sources yet, or the stages filter out every task"
            )
    for what, _ in result.shown_failures():
        say(f"failed: {what}", err=True)


def summary(result: PipelineSummary, *, following: str | None, as_json: bool) -> None:
    """The outcome of `sdg generate`. following: arguments of the next command; None after some sources of several."""
    if as_json:
        failures = [
            {"source": locator, **vars(failure), "stage": stage_label(failure.stage)}
            for locator, failure in result.failures
        ]
        place = {
            "version": result.version.name,
            "directory": str(result.version.directory),
        }
        return print_json(
            {
                **vars(result),
                **place,
                "failures": failures,
                "spending": result.spending.to_dict(),
            }
        )
    console = stdout()
    console.print(_what_was_made(result), soft_wrap=True)
    table = two_columns()
    table.add_row("rows", f"{result.rows:,}")
    for state, count in sorted(result.states.items()):
        table.add_row(Text(state, _STYLES[state]), counted(count, "source"))
    for reason, count in sorted(result.filtered.items()):
        table.add_row("filtered", f"{count:,} x {reason}")
    if result.replayed:
        table.add_row(
            "replayed",
            f"{counted(result.replayed, 'reply')} replayed from the journal, not paid for again",
        )
    for locator, failure in result.failures[:_MAX_SHOWN]:
        where = f"{locator}, task {failure.task or 'all'}, {stage_label(failure.stage)}"
        table.add_row(
            "failure", f"{where}, attempt {failure.attempts}: {failure.message}"
        )
    if len(result.failures) > _MAX_SHOWN:
        table.add_row(
            "",
            f"and {len(result.failures) - _MAX_SHOWN:,} more; see `sdg status --json`",
        )
    console.print(table)
    for line in run_costs(result):
        console.print(line, soft_wrap=True)
    console.print(f"in {result.version.row_groups}", soft_wrap=True)
    for text in _what_to_do(result, following=following):
        console.print(text, soft_wrap=True)


def _what_was_made(result: PipelineSummary) -> str:
    if not result.made and not result.removed:
        if not result.adopted:
            return "nothing to do: there are no sources yet"
        if not result.remaining:
            return f"nothing to do: {all_of(result.adopted, 'source', 'are')} complete"
    return f"{counted(result.made, 'source')} made, {result.adopted:,} adopted, {result.removed:,} removed"


def _what_to_do(result: PipelineSummary, *, following: str | None) -> Iterator[Text]:
    partial = result.states.get("partial", 0)
    failed = result.states.get("failed", 0)
    if partial:
        yield Text(
            f"{counted(partial, 'source')} partial; run again to retry what failed",
            "yellow",
        )
    if failed:
        yield Text(
            f"{counted(failed, 'source')} given up; `sdg retry` retries them", "red"
        )
    if following is not None and not result.remaining:
        yield Text(f"next: sdg process {following}")


def status(current: PipelineStatus, *, as_json: bool) -> None:
    """The outcome of `sdg status`."""
    data = current.to_dict()
    if as_json:
        print_json(data)
        return
    console = stdout()
    table = two_columns()
    simulated = " (simulated replies)" if data["simulated"] else ""
    no_data = "" if data["exists"] else " (no data yet)"
    table.add_row("pipeline", data["pipeline"] + simulated)
    table.add_row("directory", data["directory"] + no_data)
    if data["other_place"] is not None:
        table.add_row(
            Text("notice", "yellow"),
            f"{data['other_place']} holds data; to use it: --root {Path(data['other_place']).parent}",
        )
    _add_sources_notice(current.pipeline, table)
    table.add_row("versions", ", ".join(data["versions"]) or "none")
    table.add_row("rows", f"{data['records']['actual']:,}")
    for state, found in data["states"].items():
        if found["count"]:
            listing = format_ranges([int(key) for key in found["keys"]])
            line = f"{counted(found['count'], 'partition')}: {listing}"
            table.add_row(Text(state, _STYLES[state]), line)
    for state, found in data["sources"].items():
        if found["count"]:
            table.add_row("sources", f"{found['count']:,} {state}")
    for reason, count in data["filtered"].items():
        table.add_row("filtered", f"{count:,} x {reason}")
    _troubles(data, table)
    for name, line in used_and_paid(current):
        table.add_row(name, line)
    _add_selection(current, table)
    sealed = "yes" if data["sealed"] else "no"
    table.add_row("sealed", sealed)
    console.print(table)
    if current.runs:
        console.print()
        console.print(run_table(current.runs))


def _troubles(data: Mapping[str, Any], table: Table) -> None:
    for failure in data["failures"]["tasks"][:_MAX_SHOWN]:
        where = (
            f"{failure['source']}, task {failure['task'] or 'all'}, {failure['stage']}"
        )
        table.add_row(
            "failure", f"{where}, attempt {failure['attempts']}: {failure['message']}"
        )
    for fault in data["faults"]:
        table.add_row("", fault)


def _add_selection(current: PipelineStatus, table: Table) -> None:
    if current.selection is not None:
        for name, line in selection_lines(
            current.selection, current.rejected_cost, unit="task"
        ):
            table.add_row(name, line)


def run_plan(found: PipelineRunPlan, *, as_json: bool) -> None:
    """The outcome of `sdg plan`."""
    if as_json:
        print_json(found.to_dict())
        return
    console = stdout()
    if found.refused is not None:
        console.print(f"refused: {found.refused}", soft_wrap=True)
        return
    table = two_columns()
    notice = f" ({found.notice})" if found.notice else ""
    table.add_row("version", found.version + notice)
    table.add_row("adopted", counted(found.adopted, "partition"))
    sources = counted(sum(len(keys) for keys in found.to_make.values()), "source")
    partitions = counted(len(found.to_make), "partition")
    table.add_row("to make", f"{sources} in {partitions}")
    for key, names in [*found.to_make.items()][:_MAX_SHOWN]:
        more = (
            f" and {len(names) - _MAX_SHOWN:,} more" if len(names) > _MAX_SHOWN else ""
        )
        table.add_row("", f"{key}: {', '.join(names[:_MAX_SHOWN])}{more}")
    if len(found.to_make) > _MAX_SHOWN:
        table.add_row(
            "", f"and {len(found.to_make) - _MAX_SHOWN:,} more; see `sdg plan --json`"
        )
    for key, names in found.removed.items():
        table.add_row("removed", f"{key}: {', '.join(names)}")
    console.print(table)
