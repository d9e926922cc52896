"""Vectors of a text, or of each text in a list."""

from collections.abc import Mapping
from typing import Any

import orjson

from sdg_core.config.columns import EmbeddingColumn
from sdg_core.counts import counted
from sdg_core.errors import CellError, ReplyDeferredError
from sdg_core.generators.base import Cell, CellFailedError, DeferredCell
from sdg_core.generators.models.chat import ModelBinding
from sdg_core.models.endpoint import RequestFailedError
from sdg_core.models.types import EmbeddingRequest
from sdg_core.models.usage import Usage
from sdg_core.plan.templates.render import plain_value


class EmbeddingGenerator:
    """The generator of one `embedding` column. The first vector of a run says how many numbers the others have."""

    def __init__(self, column: EmbeddingColumn, binding: ModelBinding) -> None:
        self._column = column
        self._binding = binding
        self._dimension: int | None = None

    async def generate(
        self, *, record: int, values: Mapping[str, Any]
    ) -> Cell | DeferredCell:
        """The vectors of one record. Raises CellError."""
        request = self.request(record=record, values=values)
        if request is None:
            return Cell({"embeddings": [], "num_embeddings": 0, "dimension": 0})
        alias = self._column.model_alias
        try:
            reply = await self._binding.endpoint.embed(request)
        except ReplyDeferredError:
            return DeferredCell()
        except RequestFailedError as error:
            usage_by_alias = error.usage_by_alias(alias)
            raise CellFailedError(
                error.message,
                kind=error.kind,
                attempts=error.attempts,
                usage_by_alias=usage_by_alias,
            ) from error
        vectors = [list(vector) for vector in reply.vectors]
        self._check_dimension(len(vectors[0]), reply.usage_by_alias(alias))
        made = {
            "embeddings": vectors,
            "num_embeddings": len(vectors),
            "dimension": len(vectors[0]),
        }
        return Cell(made, usage_by_alias=reply.usage_by_alias(alias))

    def _check_dimension(self, found: int, usage_by_alias: Mapping[str, Usage]) -> None:
        """Raise CellFailedError for vectors of another length than those of other records, which nothing could compare."""
        if self._dimension is None:
            self._dimension = found
        elif found != self._dimension:
            raise CellFailedError(
                f"the vectors have {counted(found, 'dimension')}, but those of other records have {self._dimension:,}",
                kind="malformed",
                attempts=1,
                usage_by_alias=usage_by_alias,
            )

    def request(
        self, *, record: int, values: Mapping[str, Any]
    ) -> EmbeddingRequest | None:
        """What a record's vectors are asked for with; None if there is no text. Raises CellError."""
        texts = texts_of(values[self._column.target_column])
        if not texts:
            return None
        return EmbeddingRequest(
            self._binding.model.model,
            texts,
            self._binding.parameters(self._column.name, record),
            seed=self._binding.seed(self._column.name, record),
        )


def texts_of(value: Any) -> tuple[str, ...]:
    """The texts in a value: its items if it is a list (also one written as JSON), else the value itself. Raises CellError."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            pass
    items = value if isinstance(value, list | tuple) else [value]
    texts = tuple(map(_text, items))
    if not all(text.strip() for text in texts):
        raise CellError("an empty text cannot be embedded")
    return texts


def _text(value: Any) -> str:
    if value is None:
        raise CellError("expected text, got null")
    plain = plain_value(value)
    return plain if isinstance(plain, str) else orjson.dumps(plain).decode()
