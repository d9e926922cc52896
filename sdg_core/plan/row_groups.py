"""Splitting records into row groups. Key, file name and record range are pure functions of the index."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from sdg_core.errors import PlanError

KEY_WIDTH = 5
MAX_ROW_GROUPS = 10**KEY_WIDTH
_Item = TypeVar("_Item")


@dataclass(frozen=True, order=True)
class RowGroup:
    """The records `[start, start + size)`; one parquet file and one Dagster partition."""

    index: int
    start: int
    size: int

    @property
    def key(self) -> str:
        """The Dagster partition key, `00000` and up."""
        return row_group_key(self.index)

    @property
    def stop(self) -> int:
        """One past the last record index."""
        return self.start + self.size


def row_group_key(index: int) -> str:
    """The fixed-width key of a row group."""
    return f"{index:0{KEY_WIDTH}d}"


def row_group_count(num_records: int, row_group_size: int) -> int:
    """The number of row groups for `num_records` records."""
    return -(-num_records // row_group_size)


def plan_row_groups(num_records: int, row_group_size: int) -> tuple[RowGroup, ...]:
    """All row groups; only the last one may be smaller. Raises PlanError for fewer than 1 record or more than 100,000
    row groups."""
    if num_records < 1:
        raise PlanError(f"num_records is {num_records}", remedy="use at least 1 record")
    count = row_group_count(num_records, row_group_size)
    if count > MAX_ROW_GROUPS:
        raise PlanError(too_many_row_groups(num_records, row_group_size))
    row_groups = []
    for index in range(count):
        first = index * row_group_size
        size = min(row_group_size, num_records - first)
        row_groups.append(RowGroup(index, first, size))
    return tuple(row_groups)


def too_many_row_groups(num_records: int, row_group_size: int) -> str:
    """The message for a plan above the limit, with a size that fits."""
    count = row_group_count(num_records, row_group_size)
    fits = -(-num_records // MAX_ROW_GROUPS)
    return f"{count:,} row groups of {row_group_size}, at most {MAX_ROW_GROUPS:,}; use row_group_size {fits} or more"


def parse_row_groups(text: str, count: int) -> tuple[int, ...]:
    """Parse text such as `0-9,12` into ascending indices without repeats. Raises PlanError for bad syntax or indices
    outside the plan."""
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise PlanError(
                f"row groups {text!r}: cannot read {part!r}",
                remedy="write indices and ranges, as in 0-9,12",
            )
        first = int(match[1])
        last = int(match[2] or match[1])
        if first > last:
            raise PlanError(f"row groups {text!r}: range {part.strip()!r} is reversed")
        if last >= count:
            raise PlanError(
                f"row groups {text!r}: row group {last} does not exist",
                remedy=f"this dataset has 0 to {count - 1}",
            )
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen))


@dataclass(frozen=True)
class Shard:
    """One of `count` slices of the row groups of a dataset, or of the partitions of a pipeline; `index` counts from 0.

    A slice takes every `count`-th item. Unlike blocks, strided slices stay the same when the dataset grows, and work
    left after an interruption is spread over all of them. Slices do not overlap, and together they cover everything.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        """Raise PlanError for a slice that does not exist."""
        if self.count < 1:
            raise PlanError(
                f"shard {str(self)!r}: a count below 1 leaves no slices",
                remedy="use a count of at least 1",
            )
        if not 0 <= self.index < self.count:
            slices = (
                f"0/{self.count} to {self.count - 1}/{self.count}"
                if self.count > 1
                else "0/1 alone"
            )
            raise PlanError(
                f"shard {str(self)!r}: slice {self.index} does not exist",
                remedy=f"slices count from 0: there are {slices}",
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, items: Sequence[_Item]) -> list[_Item]:
        """This slice of the given row groups or partitions, in order; empty if there are fewer items than slices."""
        return list(items[self.index :: self.count])

    @classmethod
    def parse(cls, text: str) -> Self:
        """`3/8`, the fourth of eight slices. Raises PlanError for other text and for a slice that does not exist."""
        match = re.fullmatch(r"\s*([0-9]{1,18})\s*/\s*([0-9]{1,18})\s*", text)
        if match is None:
            raise PlanError(
                f"shard {text!r} cannot be read",
                remedy="write INDEX/COUNT, as in 3/8; if it contains variables, check that they are set",
            )
        return cls(int(match[1]), int(match[2]))


def contiguous_ranges(
    indices: Iterable[int], *, at_most: int | None = None
) -> list[tuple[int, int]]:
    """Indices as inclusive `(first, last)` ranges, each of at most `at_most` indices."""
    ranges: list[tuple[int, int]] = []
    for index in sorted(set(indices)):
        if (
            ranges
            and index == ranges[-1][1] + 1
            and (at_most is None or index - ranges[-1][0] < at_most)
        ):
            ranges[-1] = (ranges[-1][0], index)
        else:
            ranges.append((index, index))
    return ranges


def format_ranges(indices: Sequence[int]) -> str:
    """Indices as short text, such as `0-9, 12`."""
    ranges = []
    for first, last in contiguous_ranges(indices):
        ranges.append(str(first) if first == last else f"{first}-{last}")
    return ", ".join(ranges) or "none"


def chosen_row_groups(
    groups: Sequence[RowGroup], wanted: Sequence[int] | None
) -> list[int]:
    """The indices of the wanted row groups in order, each once; all of them by default. Raises PlanError for one that is none."""
    if wanted is None:
        return [group.index for group in groups]
    outside = [index for index in wanted if not 0 <= index < len(groups)]
    if outside:
        raise PlanError(
            f"row groups {format_ranges(outside)} do not exist",
            remedy=f"this dataset has 0 to {len(groups) - 1}",
        )
    return sorted(set(wanted))
