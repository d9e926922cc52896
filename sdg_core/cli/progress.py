"""Progress of a run: a bar on a terminal, log lines elsewhere. Both go to stderr, results go to stdout."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from sdg_core.api import CellStarted, Event, Notice, Observer, RecordsSettled, RowGroupFinished, RunStarted, money_text
from sdg_core.cli.output import counted, printable

LINE_INTERVAL = 2.0
"""Seconds between log lines."""
WAITING_INTERVAL = 5.0
"""Seconds between the lines of a command that makes a few records; one that is faster prints none."""


@contextmanager
def waiting(name: str, *, records: int) -> Iterator[Observer]:
    """An observer that shows how far a few records are while the block lasts, and what is waited for."""
    console = Console(stderr=True, emoji=False)
    state = _Waiting(records)
    if console.is_terminal:
        with console.status(name) as spinner:
            state.show = lambda text: spinner.update(f"{name}: {text}")
            yield state
        return
    done = threading.Event()

    def report() -> None:
        while not done.wait(WAITING_INTERVAL):
            sys.stderr.write(f"{name}: {state.text()}\n")
            sys.stderr.flush()

    reporter = threading.Thread(target=report, name="sdg-progress", daemon=True)
    reporter.start()
    try:
        yield state
    finally:
        done.set()
        reporter.join()


class _Waiting:
    """What is known of a few records that are being made."""

    def __init__(self, records: int) -> None:
        self._records = records
        self._began = time.monotonic()
        self._settled = 0
        self._asking: CellStarted | None = None
        self.show: Callable[[str], None] = lambda text: None

    def __call__(self, event: Event) -> None:
        if isinstance(event, CellStarted):
            self._asking = event
        elif isinstance(event, RecordsSettled):
            self._settled += event.made + event.failed
        self.show(self.text())

    def text(self) -> str:
        parts = [f"{self._settled:,} of {self._records:,} records"]
        if self._asking is not None:
            parts.append(f"asking for {self._asking.column} of record {self._asking.record}")
        return ", ".join([*parts, f"{time.monotonic() - self._began:,.0f} s"])


@contextmanager
def watching(name: str) -> Iterator[Observer]:
    """An observer that shows a run while the block lasts."""
    console = Console(stderr=True, emoji=False)
    if not console.is_terminal:
        yield _Lines(name, clock=time.monotonic)
        return
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} records"),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[groups]}"),
        TextColumn("{task.fields[spent]}"),
        TextColumn("[red]{task.fields[failures]}"),
        console=console,
    )
    with progress:
        yield _Bar(name, progress)


def rate_text(per_second: float) -> str:
    """Records in the unit that has digits to show: per second, minute or hour."""
    for rate, unit in ((per_second, "s"), (per_second * 60, "min")):
        if rate >= 9.5 or (rate >= 1 and unit == "s"):
            return f"{rate:,.0f}/{unit}"
        if rate >= 1:
            return f"{rate:.1f}/{unit}"
    return f"{per_second * 3600:.1f}/h"


class _Rate(ProgressColumn):
    """Records per second, or minute."""

    def render(self, task: Task) -> Text:
        """The text of the column."""
        speed = task.finished_speed or task.speed
        return Text(rate_text(speed) if speed else "-/s", style="cyan")


class _Counts:
    """What both displays keep count of."""

    def __init__(self) -> None:
        self.records = self.made = self.failed = self.elsewhere = self.groups = self.groups_done = 0
        self.dropped = self.waiting = 0
        self.spent = ""

    def add(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.records = event.records
                self.groups = event.row_groups
            case RecordsSettled():
                self.made += event.made
                self.failed += event.failed
                self.elsewhere += event.elsewhere
                self.dropped += event.dropped
                self.waiting += event.waiting
                self.spent = _spent(event)
            case RowGroupFinished(adopted=False):
                self.groups_done += 1
            case _:
                pass

    @property
    def settled(self) -> int:
        """Records that this run need not do anything about."""
        return self.made + self.failed + self.dropped + self.waiting

    @property
    def failures(self) -> str:
        counts = {"failed": self.failed, "without a candidate that was kept": self.dropped}
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _spent(event: RecordsSettled) -> str:
    """What the run has cost so far, and how many requests it sent again."""
    would = "would cost " if event.simulated else ""
    money = [f"{would}{money_text(amount)} {currency}" for currency, amount in event.cost.items()]
    if not event.retries:
        return ", ".join(money)
    noun = "retry" if event.retries == 1 else "retries"
    return ", ".join([*money, f"{event.retries:,} {noun}"])


class _Bar:
    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress
        self._counts = _Counts()
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        counts = self._counts
        counts.add(event)
        if isinstance(event, Notice):
            self._progress.console.print(printable(event.message), highlight=False, markup=False)
        elif isinstance(event, RunStarted):
            _announce(event, lambda text: self._progress.console.print(text, highlight=False, markup=False))
            if event.records:
                self._task = self._progress.add_task(self._name, total=event.records, groups="", spent="", failures="")
        if self._task is not None:
            self._progress.update(
                self._task,
                completed=counts.settled + counts.elsewhere,
                groups=f"{counts.groups_done:,}/{counts.groups:,} row groups",
                spent=counts.spent,
                failures=counts.failures,
            )


class _Lines:
    def __init__(self, name: str, *, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._counts = _Counts()
        self._began = self._last = clock()

    def __call__(self, event: Event) -> None:
        self._counts.add(event)
        if isinstance(event, Notice):
            self._print(event.message)
        elif isinstance(event, RunStarted):
            _announce(event, self._print)
        elif self._clock() - self._last >= LINE_INTERVAL:
            counts = self._counts
            now = self._clock()
            self._last = now
            done = counts.settled
            rate = done / (now - self._began)
            left = (counts.records - counts.elsewhere - done) / rate if rate else 0
            parts = [
                f"{done:,} of {counts.records - counts.elsewhere:,} records",
                f"{counts.groups_done:,} of {counts.groups:,} row groups",
                rate_text(rate),
                f"{left:,.0f} s left",
                counts.spent,
                counts.failures,
            ]
            self._print(", ".join(part for part in parts if part))

    def _print(self, text: str) -> None:
        sys.stderr.write(f"{self._name}: {printable(text)}\n")
        sys.stderr.flush()


def _announce(event: RunStarted, show: Callable[[str], None]) -> None:
    if event.complete:
        verb = "is" if event.complete == 1 else "are"
        show(f"{counted(event.complete, 'row group')} {verb} complete already")
    if event.records:
        row_groups = counted(event.row_groups, "row group")
        show(f"generating {counted(event.records, 'record')} in {row_groups}, version {event.version}")
