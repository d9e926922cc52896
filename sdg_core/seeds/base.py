"""What a seed reader is; the public base classes of custom readers.

A reader is addressed by absolute row numbers and knows nothing of records, order or wrap-around: that is arithmetic
(`sdg_core.seeds.addressing`). Where one item (a file, say) gives several rows, row numbers count the rows, never the items, so
that a record's row does not depend on how records are cut into row groups.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Generic, TypeVar, final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.counts import counted
from sdg_core.errors import SeedError
from sdg_core.plan.types.arrow_values import array_of
from sdg_core.seeds.columns import conform, empty_frame, frame_of
from sdg_core.seeds.time_bounds import check_times, is_bounded

Rows = NDArray[np.int64]
Item = TypeVar("Item")
CACHE_BYTES = 128 * 2**20


class SeedReader(ABC):
    """Rows of seed data with a schema, a length and a digest of their content.

    A custom reader gets its `params` as keyword arguments, and `base` (the directory of the dataset file) and `root` (the
    storage root) if its constructor takes them. It raises SeedError for any problem with its data.
    """

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns."""

    @property
    @abstractmethod
    def num_rows(self) -> int:
        """Number of rows."""

    @abstractmethod
    def digest(self) -> str:
        """A content digest, `sha256:<hex>`; equal content gives an equal digest, wherever it is stored."""

    def files(self) -> Mapping[str, str]:
        """The digest of each file by name, for messages; empty if the data does not come from files."""
        return {}

    @abstractmethod
    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows with these absolute numbers, in this order, including repeats; at least one, all within range."""

    def check_values(self) -> None:
        """Raise SeedError for values that cannot be stored, before anything is paid for. The default checks nothing."""
        return

    def notices(self) -> tuple[str, ...]:
        """Notices on how the data was read, such as a renamed column."""
        return ()

    def check_unchanged(self) -> None:
        """Raise SeedError if the data has changed since the reader was created. Called after every read; must be
        cheap."""
        return

    @final
    def read(self, rows: Rows) -> pl.DataFrame:
        """The rows with these numbers, with the types of `schema`. Raises SeedError for a number out of range."""
        if len(rows) == 0:
            return empty_frame(self.schema)
        outside = rows[(rows < 0) | (rows >= self.num_rows)]
        if len(outside):
            raise SeedError(
                f"seed row {outside[0]} does not exist: the seed data has {counted(self.num_rows, 'row')}"
            )
        fetched = self.fetch(rows)
        if not isinstance(fetched, pl.DataFrame):
            raise SeedError(
                f"{type(self).__name__}: fetch must return a polars DataFrame, not a {type(fetched).__name__}"
            )
        frame = conform(fetched, self._types, source=type(self).__name__)
        for field in self.schema:
            if is_bounded(field.type):
                check_times(
                    field.name, frame[field.name].to_arrow(), source="seed data"
                )
        if frame.height != len(rows):
            raise SeedError(
                f"{type(self).__name__} returned {counted(frame.height, 'seed row')}, and {len(rows):,} were requested"
            )
        return frame

    @cached_property
    def _types(self) -> pl.Schema:
        return empty_frame(self.schema).schema


class ItemReader(SeedReader, Generic[Item]):
    """Seed data made of items (files, documents) that each give any number of rows.

    A subclass defines the items and the rows of each. Every item is counted once when the data is opened: by
    expanding it, unless `count` is overridden with a faster way.
    """

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """All items, always in the same order. Called once."""

    @abstractmethod
    def expand(self, item: Item) -> Iterable[Mapping[str, Any]]:
        """The rows of one item; missing columns are null."""

    def count(self, item: Item) -> int:
        """The number of rows that `expand` gives."""
        return self._expanded(item).height

    def describe(self, item: Item) -> str:
        """The name of an item in messages."""
        return str(item)

    @property
    def num_rows(self) -> int:
        """Total number of rows over all items."""
        return self._starts[-1]

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows, each item expanded at most once."""
        return gather(rows, np.array(self._starts[:-1]), self._take)

    @cached_property
    def _all_items(self) -> Sequence[Item]:
        return self.items()

    @cached_property
    def _starts(self) -> list[int]:
        """The first row of each item, and the number of rows."""
        counts = [self.count(item) for item in self._all_items]
        return list(accumulate(counts, initial=0))

    @cached_property
    def _cache(self) -> "FrameCache":
        return FrameCache()

    def _take(self, place: int, rows: Rows) -> pl.DataFrame:
        frame = self._cache.get(place)
        if frame is None:
            item = self._all_items[place]
            expected = self._starts[place + 1] - self._starts[place]
            frame = self._expanded(item)
            if frame.height != expected:
                raise SeedError(
                    f"seed item {self.describe(item)} gives {counted(frame.height, 'row')}; "
                    f"it gave {expected} when it was opened",
                    remedy="it changed while it was being read, or its reader is not deterministic",
                )
            self._cache.put(place, frame)
        return take(frame, rows)

    def _expanded(self, item: Item) -> pl.DataFrame:
        rows = [dict(row) for row in self.expand(item)]
        where = f"seed item {self.describe(item)}"
        names: set[str] = set()
        for row in rows:
            names.update(row)
        unknown = sorted(names - set(self.schema.names))
        if unknown:
            raise SeedError(
                f"{where} has columns {unknown} that the reader's schema lacks"
            )
        try:
            columns = []
            for field in self.schema:
                values = [row.get(field.name) for row in rows]
                columns.append(array_of(values, field.type))
            return frame_of(pa.table(columns, schema=self.schema))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise SeedError(
                f"{where} does not fit the reader's schema: {error}"
            ) from error


class FrameCache:
    """The frames used last, up to a number of bytes; the newest stays whatever its size."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._frames: OrderedDict[Hashable, tuple[pl.DataFrame, int]] = OrderedDict()

    def get(self, key: Hashable) -> pl.DataFrame | None:
        """The frame, which now counts as used last, or None."""
        if key not in self._frames:
            return None
        self._frames.move_to_end(key)
        return self._frames[key][0]

    def put(self, key: Hashable, frame: pl.DataFrame) -> None:
        """Keep a frame, and let go of those used longest ago."""
        size = int(frame.estimated_size())
        self._bytes += size - self._frames.pop(key, (frame, 0))[1]
        self._frames[key] = (frame, size)
        while self._bytes > self._limit and len(self._frames) > 1:
            self._bytes -= self._frames.popitem(last=False)[1][1]


def gather(
    rows: Rows, starts: Rows, read_part: Callable[[int, Rows], pl.DataFrame]
) -> pl.DataFrame:
    """Rows of parts that lie end to end, in the order asked for.

    starts: the first row of each part. read_part: gives rows of a part, counted from its start, ascending; it is called at most
    once per part, parts ascending.
    """
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    parts = np.searchsorted(starts, ordered, side="right") - 1
    cuts = np.flatnonzero(np.diff(parts)) + 1
    pieces = [
        read_part(int(chosen[0]), wanted - starts[chosen[0]])
        for chosen, wanted in zip(
            np.split(parts, cuts), np.split(ordered, cuts), strict=True
        )
    ]
    frame = pieces[0] if len(pieces) == 1 else pl.concat(pieces)
    if bool((np.diff(order) == 1).all()):
        return frame
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return frame[places]


def take(frame: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """Rows of a frame; a view where they are contiguous."""
    if (
        len(rows)
        and rows[-1] - rows[0] == len(rows) - 1
        and bool((np.diff(rows) == 1).all())
    ):
        return frame.slice(int(rows[0]), len(rows))
    return frame[rows]
