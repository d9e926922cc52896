"""The bar of a run on a terminal."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sdg_core.api import Event, Notice, RunStarted, SourcesProgress
from sdg_core.cli.output import printable
from sdg_core.cli.progress import Counts, announce, rate_text
from sdg_core.counts import counted


def progress_bar() -> Progress:
    """A bar on stderr for one task, whose fields are `unit`, `parts`, `spent` and `failures`."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[parts]}"),
        TextColumn("{task.fields[spent]}"),
        TextColumn("[red]{task.fields[failures]}"),
        console=Console(stderr=True, emoji=False),
    )


class _Rate(ProgressColumn):
    """Records or sources per second, or minute."""

    def render(self, task: Task) -> Text:
        """The text of the column."""
        speed = task.finished_speed or task.speed
        rate = rate_text(speed) if speed else "-/s"
        return Text(rate, style="cyan")


class Bar:
    """Shows the events of a run as one bar, and notices above it."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress
        self._counts = Counts()
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        """Show an event."""
        counts = self._counts
        counts.add(event)
        if isinstance(event, Notice):
            self._progress.console.print(
                printable(event.message), highlight=False, markup=False
            )
        elif isinstance(event, RunStarted):
            announce(
                event,
                lambda text: self._progress.console.print(
                    text, highlight=False, markup=False
                ),
            )
            if event.records:
                self._task = self._begin(event.records, "records")
        elif isinstance(event, SourcesProgress) and self._task is None:
            self._task = self._begin(event.sources, "sources")
        if self._task is None:
            return
        if counts.sources is None:
            completed = counts.settled + counts.completed_by_others
            parts = f"{counts.groups_done:,}/{counted(counts.groups, 'row group')}"
        else:
            completed = counts.sources.settled
            parts = (
                counted(counts.sources.tasks, "task") if counts.sources.tasks else ""
            )
        self._progress.update(
            self._task,
            completed=completed,
            parts=parts,
            spent=counts.spent,
            failures=counts.failures,
        )

    def _begin(self, total: int, unit: str) -> TaskID:
        return self._progress.add_task(
            self._name, total=total, unit=unit, parts="", spent="", failures=""
        )
