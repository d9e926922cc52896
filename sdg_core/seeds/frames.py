"""`seed_type: df`: a data frame that was passed in Python. Its content is its digest, whichever library holds it."""

from typing import Any

import pyarrow as pa

from sdg_core.errors import SeedError
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.tables import TableReader, table_digest


def open_frame(frame: Any) -> SeedReader:
    """A reader of a frame of polars, pandas, Arrow, or anything else that hands over Arrow data. Raises SeedError."""
    if frame is None:
        raise SeedError(
            "the seed data is a data frame (seed_type: df), which can only be passed in Python",
            remedy="open_dataset({..., 'seed_config': frame}), or write the frame to a parquet file and use its path",
        )
    try:
        table = _as_table(frame).replace_schema_metadata(None)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SeedError(
            f"the data frame of the seed data cannot be read: {str(error).splitlines()[0]}",
            remedy="give each column one type",
        ) from error
    return TableReader(table, digest=table_digest(table))


def _as_table(frame: Any) -> pa.Table:
    if callable(getattr(frame, "collect", None)):  # a lazy frame
        frame = frame.collect()
    if type(frame).__module__.partition(".")[0] == "pandas":
        named = any(name is not None for name in frame.index.names)
        return pa.Table.from_pandas(frame, preserve_index=named)
    return pa.table(frame)
