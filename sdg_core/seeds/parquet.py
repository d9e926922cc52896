"""Parquet files, read lazily: only the row groups that hold the rows asked for, in chunks of bounded size.

A chunk is a stretch of a row group. Decoded chunks are kept up to a number of bytes, and the place reached in the current row
group is kept open, so that reading on in order decodes every row once. Rows in random order decode each row group they touch
up to the last of them; data that fits the cache is decoded once all the same.
"""

import weakref
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.seeds.base import FrameCache, Rows, gather, take
from sdg_core.seeds.columns import frame_of
from sdg_core.seeds.files import SeedFile
from sdg_core.seeds.parquet_batches import decoded
from sdg_core.seeds.tables import UNREADABLE, FileReader
from sdg_core.seeds.time_bounds import bounds, check_number, check_times, is_bounded

CHUNK_ROWS = 16_384
CHUNK_BYTES = 8 * 2**20
MAX_BYTES = 2 * 2**30
"""Of one decoded chunk."""
MAX_ROWS = 2**36
"""Of one file: a footer of a few bytes may claim any number, and each chunk has an entry in memory."""


class ChunkCache(FrameCache):
    """Decoded chunks, and the one place where decoding can go on; shared by the files of a source."""

    cursor: "_Cursor | None" = None


class ParquetReader(FileReader):
    """One parquet file. `rows_decoded` counts the rows that have been decoded so far."""

    def __init__(self, file: SeedFile, *, cache: ChunkCache | None = None) -> None:
        super().__init__(file)
        self._cache = cache or ChunkCache()
        self.rows_decoded = 0

    @property
    def arrow_schema(self) -> pa.Schema:
        """The file's own schema."""
        return self._footer[1]

    @property
    def num_rows(self) -> int:
        """Number of rows, from the footer."""
        return int(self._footer[0].num_rows)

    def check_values(self) -> None:
        """Look at the bounds of columns of times: in the footer, else by reading these columns."""
        source = f"seed file {self.file.name}"
        bounded = [field for field in self.arrow_schema if is_bounded(field.type)]
        names = [
            field.name for field in bounded if not self._check_footer(field, source)
        ]
        if not names:
            return
        with self.reading(), self.file.open() as file:
            for table in decoded(file, rows=CHUNK_ROWS, columns=names):
                for name, values in zip(table.schema.names, table.columns, strict=True):
                    check_times(name, values.combine_chunks(), source=source)

    def _check_footer(self, field: pa.Field, source: str) -> bool:
        """Whether the footer knows the bounds of a column. Raises SeedError if they are out of what can be kept."""
        # parquet has no seconds, and holds Arrow's milliseconds of a date as days
        is_converted = (
            pa.types.is_date64(field.type) or getattr(field.type, "unit", None) == "s"
        )
        if bounds(field.type) is None or is_converted:
            return False
        metadata = self._footer[0]
        columns = [
            metadata.schema.column(place) for place in range(metadata.num_columns)
        ]
        places = [
            place for place, column in enumerate(columns) if column.path == field.name
        ]
        if len(places) != 1:
            return False
        if columns[places[0]].physical_type not in ("INT32", "INT64"):
            return False
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(places[0]).statistics
            if statistics is None or not statistics.has_min_max:
                return False
            for number in (statistics.min_raw, statistics.max_raw):
                check_number(field.name, number, data_type=field.type, source=source)
        return True

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows, from the chunks that hold them."""
        starts = self._chunks[:, 0]
        return gather(
            rows, starts, lambda chunk, wanted: take(self._chunk(chunk), wanted)
        )

    @cached_property
    def _footer(self) -> tuple[pq.FileMetaData, pa.Schema]:
        with self.reading(), self.file.open() as source:
            opened = pq.ParquetFile(source)
            metadata = opened.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        counted = sum(group.num_rows for group in groups)
        if metadata.num_rows != counted or counted > MAX_ROWS:
            claimed = (
                f"its footer says {metadata.num_rows:,} rows, but its row groups have {counted:,} "
                f"(at most {MAX_ROWS:,})"
            )
            raise self.file.unreadable(ValueError(claimed))
        return metadata, opened.schema_arrow

    @cached_property
    def _chunks(self) -> Rows:
        """Per chunk: its first row, its row group, its number of rows."""
        chunks = []
        first = 0
        for group in range(self._footer[0].num_row_groups):
            facts = self._footer[0].row_group(group)
            width = max(1, facts.total_byte_size // max(1, facts.num_rows))
            most = max(1, min(CHUNK_ROWS, CHUNK_BYTES // width))
            # Chunks of one size: a small last one would often be passed over, and cost another pass when it is wanted.
            count = max(1, -(-facts.num_rows // most))
            size = max(1, -(-facts.num_rows // count))
            for start in range(0, facts.num_rows, size):
                chunks.append((first + start, group, min(size, facts.num_rows - start)))
            first += facts.num_rows
        return np.array(chunks, dtype=np.int64).reshape(-1, 3)

    def _chunk(self, chunk: int) -> pl.DataFrame:
        frame = self._cache.get((id(self), chunk))
        return frame if frame is not None else self._decode(chunk)

    def _decode(self, chunk: int) -> pl.DataFrame:
        """Decode up to a chunk: on from the current place if that is before it in the same row group."""
        group = int(self._chunks[chunk, 1])
        cursor = self._cache.cursor
        try:
            if cursor is None or not cursor.leads_to(self, group, chunk):
                first = int(np.flatnonzero(self._chunks[:, 1] == group)[0])
                cursor = self._cache.cursor = _Cursor(
                    self, group, first, sizes=self._chunks[first:, 2].tolist()
                )
            while True:
                place, frame = cursor.next()
                self.rows_decoded += frame.height
                self._cache.put((id(self), place), frame)
                if place == chunk:
                    return frame
        except (*UNREADABLE, StopIteration) as error:
            self._cache.cursor = None
            raise self.file.unreadable(error) from error


class _Cursor:
    """A row group being decoded, chunk by chunk."""

    def __init__(
        self, reader: ParquetReader, group: int, first: int, *, sizes: list[int]
    ) -> None:
        self._reader = reader
        self._group = group
        self._next = first
        self._sizes = iter(sizes)
        file = reader.file.open()
        weakref.finalize(self, file.close)
        self._tables = decoded(file, rows=sizes[0], row_groups=[group])
        self._left: list[pl.DataFrame] = []

    def leads_to(self, reader: ParquetReader, group: int, chunk: int) -> bool:
        return self._reader is reader and self._group == group and self._next <= chunk

    def next(self) -> tuple[int, pl.DataFrame]:
        """The next chunk and its number; batches may be smaller than that. Raises ValueError for one of too many bytes."""
        size = next(self._sizes)
        while sum(frame.height for frame in self._left) < size:
            self._left.append(frame_of(next(self._tables)))
            if sum(frame.estimated_size() for frame in self._left) > MAX_BYTES:
                raise ValueError(
                    f"{size:,} of its rows take more than {MAX_BYTES // 2**30} GiB"
                )
        whole = pl.concat(self._left) if len(self._left) > 1 else self._left[0]
        self._left = [whole.slice(size)] if whole.height > size else []
        place = self._next
        self._next = self._next + 1
        return place, self._reader.conformed(whole.slice(0, size))
