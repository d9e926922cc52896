"""A finished dataset with its images inside: `processed/dataset_with_pictures/`, of datasets that have images.

`processed/dataset/` names images by their paths, which stay small and say nothing to other programs. Here each is a struct of
`bytes` and `path`, the form of the Hugging Face feature `Image` (https://huggingface.co/docs/datasets/image_load), which the
schema's metadata names, so that `datasets.load_dataset` and the Hub's viewer show images.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa

from sdg_core.config.columns import ImageColumn
from sdg_core.errors import SdgError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.images import ImageFiles
from sdg_core.store.layout import VersionLayout

ROWS_PER_BATCH = 50
ROWS_PER_PART = 1_000
"""Images are large: so many rows are in memory, and in one file."""
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_FEATURE = {"_type": "List", "feature": {"_type": "Image"}}


def image_columns(plan: DatasetPlan) -> tuple[str, ...]:
    """The columns of images that the finished dataset has."""
    made = {
        column.name for column in plan.config.columns if isinstance(column, ImageColumn)
    }
    return tuple(name for name in plan.kept_schema.names if name in made)


class WithImages:
    """Rows of a finished dataset, with its images in the place of their paths."""

    def __init__(
        self, version: VersionLayout, columns: Sequence[str], schema: pa.Schema
    ) -> None:
        self._images = ImageFiles(version)
        self._columns = frozenset(columns)
        fields = []
        for field in schema:
            if field.name in columns:
                field = field.with_type(pa.list_(_IMAGE))
            fields.append(field)
        features = {"info": {"features": dict.fromkeys(columns, _FEATURE)}}
        self.schema = pa.schema(
            fields, metadata={b"huggingface": orjson.dumps(features)}
        )

    def batches(self, table: pa.Table) -> Iterator[pa.Table]:
        """The rows, a few at a time. Raises SdgError if an image is gone, StoreError."""
        for start in range(0, table.num_rows, ROWS_PER_BATCH):
            rows = table.slice(start, ROWS_PER_BATCH)
            yield pa.table(
                [self._column(rows, field) for field in self.schema], schema=self.schema
            )

    def _column(self, rows: pa.Table, field: pa.Field) -> pa.Array | pa.ChunkedArray:
        column = rows.column(field.name)
        if field.name not in self._columns:
            return column
        cells: list[list[dict[str, Any]] | None] = []
        for paths in column.to_pylist():
            cells.append(
                None if paths is None else [self._image(path) for path in paths]
            )
        return pa.array(cells, type=field.type)

    def _image(self, path: str) -> dict[str, Any]:
        """An image by its path; where a pipeline made it, the cell holds it as base64."""
        content = self._images.read(path)
        if content is not None:
            return {"bytes": content, "path": path}
        try:
            return {"bytes": base64.b64decode(path, validate=True), "path": None}
        except binascii.Error:
            raise SdgError(
                f"the image {path} no longer exists",
                remedy="restore the file, or remove its row group and generate it again",
            ) from None
