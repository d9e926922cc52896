"""What `sdg push` is about to do, and the question whether it shall."""

import sys

import typer

from sdg_core.api import PushPlan
from sdg_core.cli.tables import stdout
from sdg_core.counts import counted
from sdg_core.errors import RefusedError

MAX_SHOWN = 20
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def confirmed(plan: PushPlan, *, private: bool, yes: bool) -> bool:
    """Show an upload and ask for it. Raises RefusedError where nobody can be asked."""
    console = stdout()
    visibility = "private" if private else "public"
    created = (
        f", which does not exist yet and will be {visibility}" if plan.creates else ""
    )
    console.print(f"to {plan.endpoint}/datasets/{plan.repo}{created}:", soft_wrap=True)
    for file in plan.files[:MAX_SHOWN]:
        console.print(f"  {file.name}  {_size(file.size)}", soft_wrap=True)
    if len(plan.files) > MAX_SHOWN:
        console.print(f"  and {counted(len(plan.files) - MAX_SHOWN, 'more file')}")
    for name in plan.stale[:MAX_SHOWN]:
        console.print(
            f"  {name}  is removed: it is no longer part of the dataset", soft_wrap=True
        )
    if len(plan.stale) > MAX_SHOWN:
        console.print(
            f"  and {counted(len(plan.stale) - MAX_SHOWN, 'more file', 'are')} removed"
        )
    files = counted(len(plan.files), "file")
    unchanged = counted(plan.unchanged, "file", "are")
    console.print(f"{files}, {_size(plan.size)}; {unchanged} up to date")
    if plan.simulated:
        console.print(
            "notice: replies are simulated; this is a rehearsal, not data to train on",
            style="yellow",
        )
    if plan.nothing_to_do:
        return False
    if yes:
        return True
    if not sys.stdin.isatty():
        raise RefusedError(
            "nothing was uploaded: no terminal to confirm on",
            remedy="use --yes to upload without confirmation",
        )
    return typer.confirm("Upload?")


def _size(count: int) -> str:
    size = float(count)
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
