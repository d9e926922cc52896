"""Progress of a run: a bar on a terminal, log lines elsewhere. Both go to stderr, results go to stdout."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sdg_core.api import (
    CellStarted,
    Event,
    Notice,
    Observer,
    RecordsSettled,
    RowGroupFinished,
    RunStarted,
    SourcesProgress,
    money_text,
)
from sdg_core.cli.output import printable
from sdg_core.counts import counted

LINE_INTERVAL = 2.0
"""Seconds between log lines."""
WAITING_INTERVAL = 5.0
"""Seconds between the lines of a command that makes a few records; one that is faster prints none."""


@contextmanager
def waiting(name: str, *, records: int) -> Iterator[Observer]:
    """An observer that shows how far a few records are while the block lasts, and what is waited for."""
    state = _Waiting(records)
    if _on_terminal():
        from rich.console import Console
        from rich.markup import escape

        with Console(stderr=True, emoji=False).status(name) as spinner:
            state.show = lambda text: spinner.update(escape(f"{name}: {text}"))
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
        self._notice: str | None = None
        self.show: Callable[[str], None] = lambda text: None

    def __call__(self, event: Event) -> None:
        if isinstance(event, CellStarted):
            self._asking = event
        elif isinstance(event, RecordsSettled):
            self._settled += event.made + event.failed
            self._notice = None
        elif isinstance(event, Notice):
            self._notice = printable(event.message)
        self.show(self.text())

    def text(self) -> str:
        parts = [f"{self._settled:,} of {counted(self._records, 'record')}"]
        if self._asking is not None:
            parts.append(
                f"generating {self._asking.column} of record {self._asking.record}"
            )
        if self._notice is not None:
            parts.append(self._notice)
        return ", ".join([*parts, f"{time.monotonic() - self._began:,.0f} s"])


@contextmanager
def watching(name: str) -> Iterator[Observer]:
    """An observer that shows a run while the block lasts."""
    if not _on_terminal():
        yield _Lines(name, clock=time.monotonic)
        return
    from sdg_core.cli.progress_bar import Bar, progress_bar

    with progress_bar() as progress:
        yield Bar(name, progress)


def _on_terminal() -> bool:
    """Whether stderr is a terminal; asked before rich is imported, which takes longer than a small run."""
    return sys.stderr.isatty() and os.environ.get("TTY_COMPATIBLE") != "0"


def rate_text(per_second: float) -> str:
    """Records in the unit that has digits to show: per second, minute or hour."""
    for rate, unit in ((per_second, "s"), (per_second * 60, "min")):
        if rate >= 9.5 or (rate >= 1 and unit == "s"):
            return f"{rate:,.0f}/{unit}"
        if rate >= 1:
            return f"{rate:.1f}/{unit}"
    return f"{per_second * 3600:.1f}/h"


class Counts:
    """What both displays keep count of."""

    def __init__(self) -> None:
        self.records = self.made = self.failed = self.completed_by_others = (
            self.groups
        ) = self.groups_done = 0
        self.dropped = self.waiting = 0
        self.spent = ""
        self.sources: SourcesProgress | None = None

    def add(self, event: Event) -> None:
        """Count an event."""
        match event:
            case RunStarted():
                self.records = event.records
                self.groups = event.row_groups
            case RecordsSettled():
                self.made += event.made
                self.failed += event.failed
                self.completed_by_others += event.completed_by_others
                self.dropped += event.dropped
                self.waiting += event.waiting
                self.spent = _spent(event)
            case RowGroupFinished(adopted=False):
                self.groups_done += 1
            case SourcesProgress():
                self.sources = event
                self.failed = event.failed
                self.spent = _spent(event)
            case _:
                pass

    @property
    def settled(self) -> int:
        """Records that this run need not do anything about."""
        return self.made + self.failed + self.dropped + self.waiting

    @property
    def failures(self) -> str:
        """Records without a row so far; empty if there are none."""
        counts = []
        if self.failed:
            counts.append(f"{self.failed:,} failed")
        if self.dropped:
            counts.append(f"{self.dropped:,} with no candidate kept")
        return ", ".join(counts)


def _spent(event: RecordsSettled | SourcesProgress) -> str:
    """What the run has cost so far, and how many requests it sent again."""
    would = "would cost " if event.simulated else ""
    money = [
        f"{would}{money_text(amount)} {currency}"
        for currency, amount in event.cost.items()
    ]
    if not event.retries:
        return ", ".join(money)
    return ", ".join([*money, counted(event.retries, "retry")])


class _Lines:
    def __init__(self, name: str, *, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._counts = Counts()
        self._began = self._last = clock()

    def __call__(self, event: Event) -> None:
        self._counts.add(event)
        if isinstance(event, Notice):
            self._print(event.message)
        elif isinstance(event, RunStarted):
            announce(event, self._print)
        elif self._clock() - self._last >= LINE_INTERVAL:
            self._last = self._clock()
            parts = [
                *self._done(self._last - self._began),
                self._counts.spent,
                self._counts.failures,
            ]
            self._print(", ".join(part for part in parts if part))

    def _done(self, seconds: float) -> list[str]:
        """How much is done after so many seconds, and how long the rest may take."""
        counts = self._counts
        if counts.sources is not None:
            return _sources_done(counts.sources, seconds)
        records = counts.records - counts.completed_by_others
        rate = counts.settled / seconds
        left = (records - counts.settled) / rate if rate else 0
        return [
            f"{counts.settled:,} of {counted(records, 'record')}",
            f"{counts.groups_done:,} of {counted(counts.groups, 'row group')}",
            rate_text(rate),
            f"{left:,.0f} s left",
        ]

    def _print(self, text: str) -> None:
        sys.stderr.write(f"{self._name}: {printable(text)}\n")
        sys.stderr.flush()


def _sources_done(event: SourcesProgress, seconds: float) -> list[str]:
    """The same of a pipeline. Nobody knows how much a source will come to, so the time left is a guess by sources."""
    parts = [f"{event.settled:,} of {counted(event.sources, 'source')}"]
    if event.tasks:
        parts += [counted(event.tasks, "task"), rate_text(event.tasks / seconds)]
    if event.settled:
        left = (event.sources - event.settled) * seconds / event.settled
        parts.append(f"about {left:,.0f} s left")
    return parts


def announce(event: RunStarted, show: Callable[[str], None]) -> None:
    """Show what a run is about to do."""
    if event.complete:
        show(f"{counted(event.complete, 'row group', 'are')} already complete")
    if event.records:
        row_groups = counted(event.row_groups, "row group")
        show(
            f"generating {counted(event.records, 'record')} in {row_groups}, version {event.version}"
        )
