"""The question before a dataset file from outside the project runs code, starts a process, or sends a variable.

A terminal asks once per content and remembers the answer in `<state>/sdg-dagster/trusted`; a pipe shows the block and goes on;
`--untrusted` refuses, wherever the file lies.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sdg_core import api
from sdg_core.cli.app import is_untrusted
from sdg_core.cli.output import printable
from sdg_core.errors import RefusedError

if TYPE_CHECKING:
    from sdg_core.api.pipelines import OpenPipeline


def ask_before_running(file: Path, *, root: str | None) -> None:
    """Show what a foreign file is about to do. Raises RefusedError if that is not wanted."""
    if is_untrusted() or not api.is_own_file(file):
        _ask(file, api.effects_of_file(file, root=root))


def ask_before_processing(file: Path, *, root: str | None) -> None:
    """The same for what post-generation does of it: reading evaluation sets."""
    if is_untrusted() or not api.is_own_file(file):
        _ask(file, api.effects_of_file(file, root=root).of_processing)


def _ask(file: Path, effects: "api.Effects") -> None:
    if not effects.lines:
        return
    lines = [printable(line).replace("\n", "\\n") for line in effects.lines]
    block = "\n".join(f"  {line}" for line in lines)
    if is_untrusted():
        raise RefusedError(
            f"{file} is not allowed to do this (--untrusted):\n{block}",
            remedy="review the file, then omit the option",
        )
    if _is_remembered(effects.digest):
        return
    typer.echo(f"{printable(str(file))} is outside this project. It\n{block}", err=True)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if not typer.confirm("Trust this content, now and in later runs?", err=True):
        raise RefusedError(
            "nothing was run",
            remedy="to refuse such files without a question, use --untrusted",
        )
    _remember(effects.digest)


def look_at(
    file: Path, *, root: str | None, num_records: int | None = None
) -> "api.Dataset":
    """A dataset of which no code is run, and for which no connection is opened."""
    return api.open_dataset(
        file, root=root, num_records=num_records, offline=True, untrusted=is_untrusted()
    )


def look_at_pipeline(file: Path, *, root: str | None) -> "OpenPipeline":
    """The same of a pipeline; sources that need code or a connection are those that a run found last."""
    return api.open_pipeline(file, root=root, offline=True, untrusted=is_untrusted())


def _directory() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    folder = Path(state) if state else Path.home() / ".local" / "state"
    return folder / "sdg-dagster" / "trusted"


def _is_remembered(digest: str) -> bool:
    try:
        return (_directory() / digest).is_file()
    except (OSError, RuntimeError):
        return False


def _remember(digest: str) -> None:
    with suppress(OSError, RuntimeError):  # then the question comes again
        _directory().mkdir(parents=True, exist_ok=True)
        (_directory() / digest).touch()
