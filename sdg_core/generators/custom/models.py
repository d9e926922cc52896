"""The models in the hands of a custom function: `models["alias"].generate(prompt)`, from a thread or from the event loop.

Requests go through the same endpoints as those of model columns, so limits, retries and usage are the same.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from sdg_core.config.columns import CustomColumn
from sdg_core.config.models import InferenceParameters, ModelConfig
from sdg_core.generators.models.chat import drawn_parameters
from sdg_core.generators.models.conversation import UnusableResponseError, incomplete
from sdg_core.models.endpoint import ModelEndpoint, RequestFailedError
from sdg_core.models.pool import ModelPool
from sdg_core.models.types import ChatRequest, ChatResponse, Message
from sdg_core.models.usage import Usage
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.sampling.rng import RandomSource

Response = tuple[Any, list[dict[str, str]]]


class CustomFunctionModel:
    """One model, for one call of a custom function. `loop` is where requests are made; `parameters` are the model's, drawn."""

    def __init__(
        self,
        endpoint: ModelEndpoint,
        model: ModelConfig,
        *,
        parameters: InferenceParameters,
        seed: int,
        loop: asyncio.AbstractEventLoop,
        count: Callable[[Usage], None],
    ) -> None:
        self._endpoint = endpoint
        self._model = model
        self._parameters = parameters
        self._seed = seed
        self._loop = loop
        self._count = count

    def generate(
        self,
        prompt: str,
        *,
        system_prompt: str | None = None,
        parser: Callable[[str], Any] = str,
    ) -> Response:
        """Ask from a function that is not async. Returns the parsed reply and the messages."""
        if _running_loop() is not None:
            raise RuntimeError(
                "generate() would block; in an async function write: await models[...].agenerate(...)"
            )
        request = self._request(prompt, system_prompt)
        reply = asyncio.run_coroutine_threadsafe(
            self._ask(request), self._loop
        ).result()
        return _parsed(request, reply, parser)

    async def agenerate(
        self,
        prompt: str,
        *,
        system_prompt: str | None = None,
        parser: Callable[[str], Any] = str,
    ) -> Response:
        """Call the model from an async function."""
        request = self._request(prompt, system_prompt)
        if _running_loop() is self._loop:
            reply = await self._ask(request)
        else:
            reply = await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(self._ask(request), self._loop)
            )
        return _parsed(request, reply, parser)

    def _request(self, prompt: str, system_prompt: str | None) -> ChatRequest:
        messages: tuple[Message, ...] = (Message("user", prompt),)
        if system_prompt is not None:
            messages = (Message("system", system_prompt), *messages)
        return ChatRequest(
            self._model.model, messages, self._parameters, seed=self._seed
        )

    async def _ask(self, request: ChatRequest) -> ChatResponse:
        try:
            reply = await self._endpoint.chat(request)
        except RequestFailedError as error:
            self._count(error.usage)
            raise
        self._count(reply.usage)
        cut = incomplete(reply)
        if cut is not None:
            raise UnusableResponseError(cut)
        return reply


class CustomFunctionModels(Mapping[str, CustomFunctionModel]):
    """The models that a column declares, for one call; `usage_by_alias` is what they have used, by alias."""

    def __init__(
        self,
        plan: DatasetPlan,
        column: CustomColumn,
        pool: ModelPool,
        *,
        record: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.usage_by_alias: dict[str, Usage] = {}
        self._column = column
        self._models: dict[str, CustomFunctionModel] = {}
        for alias in column.model_aliases or ():
            model, provider = plan.models[alias]
            seed = (
                _seed(plan, column, record)
                if provider.provider_type == "simulated"
                else 0
            )
            random = RandomSource(plan.config.seed)
            self._models[alias] = CustomFunctionModel(
                pool[alias],
                model,
                parameters=drawn_parameters(
                    model, random, column=f"{column.name}/{alias}", record=record
                ),
                seed=seed,
                loop=loop,
                count=self._counter(alias),
            )

    def __getitem__(self, alias: str) -> CustomFunctionModel:
        try:
            return self._models[alias]
        except KeyError:
            declared = ", ".join(map(repr, self._models)) or "none"
            message = f"model {alias!r} is not among model_aliases of column {self._column.name!r} ({declared})"
            raise KeyError(message) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def _counter(self, alias: str) -> Callable[[Usage], None]:
        def count(usage: Usage) -> None:
            self.usage_by_alias[alias] = self.usage_by_alias.get(alias, Usage()) + usage

        return count


def _seed(plan: DatasetPlan, column: CustomColumn, record: int) -> int:
    words = RandomSource(plan.config.seed).words(
        column.name, np.array([record], dtype=np.int64)
    )
    return int(words[0, 0])


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _parsed(
    request: ChatRequest, reply: ChatResponse, parser: Callable[[str], Any]
) -> Response:
    trace = [
        {"role": message.role, "content": message.text} for message in request.messages
    ]
    trace.append({"role": "assistant", "content": reply.text})
    return parser(reply.text), trace
