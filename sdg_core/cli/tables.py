"""Results for people: tables of names and values.

Text is shown as it is: paths and data may hold brackets and colons that rich would take for markup or emoji.
"""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from sdg_core.cli.output import printable

_WIDE = 10_000


class _SafeConsole(Console):
    """A console on which the text of models, servers and files is text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments, made safe."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def print_values(console: Console, lines: Iterable[tuple[str, str]]) -> None:
    """Names and values, which may have many lines and be long: folded on a terminal, as they are elsewhere."""
    rows = list(lines)
    if console.is_terminal:
        table = two_columns()
        for name, value in rows:
            table.add_row(name, value)
        return console.print(table)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        for line in value.split("\n"):
            console.print(Text(f"{name:{width}} {line}"), soft_wrap=True)
            name = ""


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
