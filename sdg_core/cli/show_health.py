"""What `sdg check-models` prints: how each model answered, and which tools there are."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from sdg_core.api import ModelHealth, ToolHealth
from sdg_core.cli.output import print_json, say
from sdg_core.cli.tables import stdout


def health(
    models: Sequence[ModelHealth], tools: Sequence[ToolHealth], *, as_json: bool
) -> None:
    """A table of each; errors below them, where there is room for them. Rows of tools have a `kind`."""
    if as_json:
        print_json([*map(asdict, models), *map(asdict, tools)])
        return
    console = stdout()
    if models:
        console.print(_models(models))
    else:
        console.print("no column of this dataset uses a model")
    if tools:
        console.print()
        console.print(_tools(tools))
    for model in models:
        named = None
        if model.answered_as:
            named = f"the server reports it as {model.answered_as!r}; it may accept any model name"
        _explain(model.alias, model.error, model.remedy, model.note, named)
    for tool in tools:
        _explain(tool.name, tool.error, tool.remedy)


def _models(rows: Sequence[ModelHealth]) -> Table:
    table = _table("alias", "model", "answered in", "structured output")
    for row in rows:
        table.add_row(row.alias, row.model, _seconds(row.latency), row.structured)
    return table


def _tools(rows: Sequence[ToolHealth]) -> Table:
    table = _table("tools of", "ready in", "how many", "names")
    for row in rows:
        what = (
            f"MCP provider {row.name}"
            if row.kind == "provider"
            else f"tool_alias {row.name}"
        )
        ready = _seconds(row.latency) if row.kind == "provider" or not row.ok else ""
        table.add_row(what, ready, str(len(row.tools)), ", ".join(row.tools))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _seconds(latency: float | None) -> str:
    return "failed" if latency is None else f"{latency:.2f} s"


def _explain(
    name: str, error: str | None, remedy: str | None, *notes: str | None
) -> None:
    if error is not None:
        say(f"{name}: {error}")
    if remedy:
        say(f"  -> {remedy}")
    for note in notes:
        if note is not None:
            say(f"{name}: {note}")
