"""Where results go, and their plain forms: tables of names and values, JSON.

Text is shown as it is: paths and data may hold brackets and colons that rich would take for markup or emoji.
"""

import re
from collections.abc import Iterable

import orjson
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_WIDE = 10_000
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Text without anything that a terminal acts on (escape sequences, C1 codes, marks of direction); these are spelt out."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 row group`, `1,200 row groups`. For nouns whose plural ends in s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def say(text: str, *, err: bool = False) -> None:
    """A line in which names and messages of files, models and servers are text."""
    typer.echo(printable(text), err=err)


class _SafeConsole(Console):
    """A console on which the text of models, servers and files is text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments, made safe."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def print_values(console: Console, lines: Iterable[tuple[str, str]]) -> None:
    """Names and values, which may have many lines and be long: folded on a terminal, as they are elsewhere."""
    rows = list(lines)
    if console.is_terminal:
        table = two_columns()
        for name, value in rows:
            table.add_row(name, value)
        return console.print(table)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        first, *more = value.split("\n")
        text = "\n".join([f"{name.ljust(width)} {first}", *(f"{'':{width}} {line}" for line in more)])
        console.print(Text(text), soft_wrap=True)


def two_columns() -> Table:
    """A table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def stdout() -> Console:
    """Where results go: stdout, unstyled."""
    console = _SafeConsole(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:  # a program or a file reads on: values stay on one line
        console.width = _WIDE
    return console


def print_json(value: object) -> None:
    """A value as JSON on stdout."""
    typer.echo(printable(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()))
