"""What options of several commands mean together."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Any

from sdg_core.api import Shard, parse_row_groups


def run_changes(**given: StrEnum | int | None) -> dict[str, Any]:
    """The run settings that options replace, as a file would say them."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, StrEnum):
            changes[name] = value.value
        elif value is not None:
            changes[name] = value
    return changes


def chosen_row_groups(
    count: int, *, row_groups: str | None, shard: str | None
) -> tuple[int, ...] | None:
    """The row groups that `--row-groups` and `--shard` choose of `count`: a slice of those listed. None: all, by default.

    Raises PlanError.
    """
    listed = parse_row_groups(row_groups, count) if row_groups is not None else None
    if shard is None:
        return listed
    everything = listed if listed is not None else tuple(range(count))
    return tuple(Shard.parse(shard).of(everything))


def named_again(file: Path, root: str | None, *, num_records: int | None = None) -> str:
    """The arguments by which the next command finds the same data."""
    arguments = [str(file)]
    if root is not None:
        arguments += ["--root", root]
    if num_records is not None:
        arguments += ["--num-records", str(num_records)]
    return shlex.join(arguments)
