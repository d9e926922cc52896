"""Cells written by a language model: render the prompt, ask, keep the text."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sdg_core.config.columns import LlmTextColumn
from sdg_core.config.models import ModelConfig
from sdg_core.generators.base import Cell, FailedCellError
from sdg_core.generators.render import Template
from sdg_core.models.endpoint import FailedRequestError, ModelEndpoint
from sdg_core.models.types import ChatRequest, Message
from sdg_core.plan.rng import RandomSource


class LlmTextGenerator:
    """The generator of one `llm-text` column."""

    def __init__(
        self, column: LlmTextColumn, *, model: ModelConfig, endpoint: ModelEndpoint, random: RandomSource | None
    ) -> None:
        """`random` is the record's own source, where the replies depend on it (simulated ones do)."""
        self._column, self._model, self._endpoint, self._random = column, model, endpoint, random
        self._prompt = Template(column.prompt)
        self._system = Template(column.system_prompt) if column.system_prompt is not None else None

    async def generate(self, *, record: int, values: Mapping[str, Any]) -> Cell:
        """The reply for one record. Raises CellError (a prompt that cannot be rendered, a request that failed for good)."""
        request = self.request(record=record, values=values)
        try:
            reply = await self._endpoint.chat(request)
        except FailedRequestError as error:
            raise FailedCellError(error.message, kind=error.kind, attempts=error.attempts, usage=error.usage) from error
        return Cell(reply.text, reply.usage)

    def request(self, *, record: int, values: Mapping[str, Any]) -> ChatRequest:
        """The request of one record, a pure function of its values. Raises CellError."""
        messages: tuple[Message, ...] = (Message("user", self._prompt.render(values)),)
        if self._system is not None:
            messages = (Message("system", self._system.render(values)), *messages)
        seed = 0
        if self._random is not None:
            seed = int(self._random.words(self._column.name, np.array([record], dtype=np.int64))[0, 0])
        return ChatRequest(self._model.model, messages, self._model.inference_parameters, seed=seed)
