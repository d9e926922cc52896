"""How versions and runs are listed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from sdg_core.cli.output import print_json
from sdg_core.cli.tables import stdout
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import RunRecord, VersionInfo
    from sdg_core.api.pipelines import Prunable


def prunable(found: "Prunable", *, as_json: bool) -> None:
    """What may go. As JSON it is the versions."""
    if as_json:
        print_json([version.to_dict() for version in found.versions])
    elif found:
        if found.versions:
            stdout().print(version_table(found.versions))
        total = found.size + sum(version.size for version in found.versions)
        stdout().print(f"{how_much(found)}, {human_size(total)} in total")
    else:
        stdout().print("nothing to remove: no old versions")


def how_much(found: "Prunable") -> str:
    """`1 old version`, `2 old versions and 3 directories of checkpoints`."""
    count = len(found.versions)
    parts = []
    if count or not found.checkpoints:
        parts.append(counted(count, "old version"))
    if found.checkpoints:
        directories = counted(len(found.checkpoints), "directory")
        parts.append(f"{directories} of checkpoints")
    return " and ".join(parts)


def version_table(versions: "Sequence[VersionInfo]") -> Table:
    """One line per version."""
    table = Table(
        "version",
        "changed",
        "records",
        "row groups",
        "size",
        "",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for version in versions:
        marks = {
            "current": version.current,
            "this config": version.matches,
            "sealed": version.sealed,
            "simulated": version.simulated,
            "forced": version.forced,
            "metadata.json unreadable": version.fault is not None,
        }
        records = f"{version.records:,}" if version.records is not None else "?"
        words = [word for word, holds in marks.items() if holds]
        table.add_row(
            version.name,
            version.updated or "?",
            records,
            f"{version.row_groups:,}",
            human_size(version.size),
            ", ".join(words),
        )
    return table


def run_table(runs: "Sequence[RunRecord]") -> Table:
    """One line per run."""
    headings = (
        "run",
        "version",
        "resume",
        "outcome",
        "generated",
        "replayed",
        "failed",
        "adopted",
    )
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for run in runs:
        started = datetime.fromtimestamp(run.started_at, UTC).isoformat(
            timespec="seconds"
        )
        table.add_row(
            started,
            run.version,
            run.resume,
            run.outcome or "not ended",
            f"{run.generated:,}",
            f"{run.replayed:,}",
            f"{run.failed:,}",
            f"{run.adopted:,}",
        )
    return table


def human_size(count: int) -> str:
    """Bytes as people say them."""
    value = float(count)
    unit = "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
