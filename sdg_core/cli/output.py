"""Where results go, and their plain forms: tables of names and values, JSON.

Text is shown as it is: paths and data may hold brackets and colons that rich would take for markup or emoji.
"""

import orjson
import typer
from rich.console import Console
from rich.table import Table

_WIDE = 10_000


def two_columns() -> Table:
    """A table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def stdout() -> Console:
    """Where results go: stdout, unstyled."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:  # a program or a file reads on: values stay on one line
        console.width = _WIDE
    return console


def print_json(value: object) -> None:
    """A value as JSON on stdout."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str))
