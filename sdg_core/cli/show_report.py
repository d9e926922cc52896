"""What `sdg report` prints: where the page is, and the columns in a table."""

from rich.table import Table

from sdg_core.api import MadeReport, distinct, one_line_summary
from sdg_core.cli.output import print_json
from sdg_core.cli.tables import stdout


def report(made: MadeReport, *, as_json: bool) -> None:
    """The outcome of `sdg report`."""
    if as_json:
        print_json(made.report.to_dict())
        return
    console = stdout()
    facts = made.report.facts
    what = "finished dataset" if facts.source == "dataset" else "row groups so far"
    simulated = ", simulated replies" if facts.simulated else ""
    console.print(
        f"{facts.dataset}: {facts.records_text} ({what}{simulated})",
        soft_wrap=True,
    )
    table = Table(
        "column",
        "made by",
        "null",
        "distinct",
        "",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for column in made.report.columns:
        table.add_row(
            column.name,
            column.made_by or "",
            f"{column.nulls:,}",
            distinct(column),
            one_line_summary(column),
        )
    console.print(table)
    console.print(f"{made.path}", soft_wrap=True)
