"""The upstream asset `python_docs/passages`: real input for the demo, taken from the Python that runs it."""

import hashlib
import io
import platform
from collections import Counter
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from sdg_assets.defs.python_docs.collect import Passage, collect_passages, to_table
from sdg_assets.resources import StoreResource
from sdg_core.api import StorePath, write_atomic

_PREVIEW_ROWS = 5


@dg.asset(
    key=["python_docs", "passages"],
    group_name="python_docs",
    kinds={"python", "parquet"},
    description="Documentation that the running Python carries: help() topics, and docstrings of the standard library's public "
    "functions, classes and methods. Sorted; the same Python gives the same bytes.",
)
def passages(store: StoreResource) -> dg.MaterializeResult[None]:
    """Collect the passages and write `<root>/python_docs/passages.parquet`."""
    found = collect_passages()
    table = to_table(found)
    path = passages_path(store.root_path(Path(__file__)))
    content = parquet_bytes(table)
    write_atomic(path, content)
    columns = [dg.TableColumn(field.name, str(field.type)) for field in table.schema]
    kinds = Counter(passage.kind for passage in found)
    counts = {f"passages/{kind}": count for kind, count in sorted(kinds.items())}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(hashlib.sha256(content).hexdigest()),
        metadata={
            "dagster/row_count": table.num_rows,
            "dagster/uri": path.resolve().as_uri(),
            "dagster/column_schema": dg.TableSchema(columns=columns),
            **counts,
            "python_version": platform.python_version(),
            "preview": dg.MetadataValue.md(preview(found)),
        },
    )


def passages_path(root: StorePath) -> StorePath:
    """Where the passages lie below the storage root."""
    return root / "python_docs" / "passages.parquet"


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a parquet file; equal tables give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def preview(found: list[Passage]) -> str:
    """A few passages, spread over the whole, as a Markdown table."""
    step = max(1, len(found) // _PREVIEW_ROWS)
    rows = [
        f"| {p.module} | {p.name} | {p.kind} | {_cell(p.signature)} | {_cell(p.text)} |"
        for p in found[::step][:_PREVIEW_ROWS]
    ]
    return "\n".join(
        ["| module | name | kind | signature | text |", "|---|---|---|---|---|", *rows]
    )


def _cell(text: str) -> str:
    line = " ".join(text.split())
    if len(line) > 80:
        line = f"{line[:77]}..."
    return line.replace("|", "\\|")
