"""What all columns written by a language model have in common: the request of one record, and the cell with its side columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sdg_core.config.columns import ChatColumn, ImageColumn
from sdg_core.config.distributions import Distribution, UniformDistribution
from sdg_core.config.models import InferenceParameters, ModelConfig
from sdg_core.errors import ModelError
from sdg_core.generators.base import Cell, CellFailedError, DeferredCell
from sdg_core.generators.models.conversation import Conversation, Done, Limits, converse
from sdg_core.generators.models.media import ImageStore, Media, media_parts
from sdg_core.models import structured
from sdg_core.models.endpoint import ModelEndpoint
from sdg_core.models.retry import error_kind
from sdg_core.models.types import (
    ChatRequest,
    ChatResponse,
    ImagePart,
    Message,
    Part,
    TextPart,
    Tool,
)
from sdg_core.models.usage import Usage
from sdg_core.plan.sampling.rng import RandomSource, RecordChoices, to_unit
from sdg_core.plan.templates.render import Template
from sdg_core.plan.types.replies import REASONING, TRACE

if TYPE_CHECKING:
    from sdg_core.models.mcp.toolbox import Toolbox


@dataclass(frozen=True)
class ModelBinding:
    """The model that a column asks. `random` are the record's own words, for what is drawn and for simulated replies.

    images: where the images of this dataset lie, if they are stored. toolbox: what the column's model may call.
    format_stops_tools: whether servers of this kind may call no tool when a request asks for a format as well.
    """

    model: ModelConfig
    endpoint: ModelEndpoint
    random: RandomSource
    limits: Limits
    simulated: bool = False
    format_stops_tools: bool = False
    images: ImageStore | None = None
    toolbox: "Toolbox | None" = None

    def seed(self, column: str, record: int, *, attempt: int = 0) -> int:
        """The random number of a cell, where replies depend on it; another one for each attempt."""
        if not self.simulated:
            return 0
        return int(
            self.random.words(
                column, np.array([record], dtype=np.int64), attempt=attempt
            )[0, 0]
        )

    def choices(
        self, template: Template, column: str, record: int, *, of: str = "prompt"
    ) -> RecordChoices | None:
        """What the filter `random` draws from in a template of the column; None where it does not draw."""
        if not template.chooses:
            return None
        return RecordChoices(self.random, f"{column}/{of}/random", record)

    def parameters(self, column: str, record: int) -> InferenceParameters:
        """The model's parameters, those that are distributions drawn for the record."""
        return drawn_parameters(self.model, self.random, column=column, record=record)


def drawn_parameters(
    model: ModelConfig, random: RandomSource, *, column: str, record: int
) -> InferenceParameters:
    """A model's parameters for a cell: those that are distributions are drawn by the record's own words."""
    given = model.inference_parameters
    drawn: dict[str, float] = {}
    for name in ("temperature", "top_p"):
        value = getattr(given, name)
        if isinstance(value, Distribution):
            words = random.words(f"{column}/{name}", np.array([record], dtype=np.int64))
            drawn[name] = _draw(value, float(to_unit(words)[0, 0]))
    return given.model_copy(update=drawn) if drawn else given


def _draw(distribution: Distribution, unit: float) -> float:
    if isinstance(distribution, UniformDistribution):
        low = distribution.params.low
        high = distribution.params.high
        return min(high, low + (high - low) * unit)
    values = distribution.params.values
    weights = distribution.params.weights or (1.0,) * len(values)
    cumulated = np.cumsum(weights)
    place = int(np.searchsorted(cumulated, unit * cumulated[-1], side="right"))
    return float(values[min(place, len(values) - 1)])


@dataclass(frozen=True)
class ResponseSpec:
    """What a kind of column wants of a reply.

    read: the value in a reply; raises ModelError or ValueError. instructions: added to the prompt. schema: of the reply.
    """

    read: Callable[[ChatResponse], structured.Extracted]
    instructions: str = ""
    schema: Mapping[str, Any] | None = None
    code_language: str | None = None


class ChatGenerator:
    """The generator of one column that a language model writes, whatever is wanted of the reply."""

    def __init__(
        self, column: ChatColumn, binding: ModelBinding, spec: ResponseSpec
    ) -> None:
        self._column = column
        self._binding = binding
        self._spec = spec
        self._prompt = Template(column.prompt)
        self._system = Template(column.system_prompt) if column.system_prompt else None
        self._format = self._format_prompt()

    async def generate(
        self, *, record: int, values: Mapping[str, Any]
    ) -> Cell | DeferredCell:
        """The cell of one record. Raises CellError (a prompt that cannot be rendered, a request that failed
        permanently)."""
        tools = await self._tools()
        messages = await self.prompt_in_loop(record=record, values=values)
        conversation = self._conversation(messages, record=record, tools=tools)
        outcome = await converse(
            conversation, self._binding.endpoint, self._binding.toolbox
        )
        if isinstance(outcome, DeferredCell):
            return outcome
        return self.cell(outcome)

    def conversation(
        self, *, record: int, values: Mapping[str, Any], tools: tuple[Tool, ...] = ()
    ) -> Conversation:
        """The conversation about a record, which builds its requests and reads its replies without waiting for anything.

        tools: what the model may call. Raises CellError.
        """
        messages = self.prompt(record=record, values=values)
        return self._conversation(messages, record=record, tools=tools)

    def _conversation(
        self, messages: tuple[Message, ...], *, record: int, tools: tuple[Tool, ...]
    ) -> Conversation:
        def request(attempt: int) -> ChatRequest:
            return self._request(messages, record=record, attempt=attempt, tools=tools)

        toolbox = self._binding.toolbox
        return Conversation(
            request,
            self._spec.read,
            alias=self._column.model_alias,
            limits=self._binding.limits,
            max_tool_turns=toolbox.max_turns if toolbox is not None else None,
            keep_truncated=self._column.on_truncated == "keep",
        )

    def cell(self, outcome: Done) -> Cell:
        """The cell that a conversation has come to."""
        return Cell(
            outcome.value,
            usage_by_alias=self._usages(outcome),
            side_columns=_side_cells(self._column, outcome),
        )

    def _usages(self, outcome: Done) -> Mapping[str, Usage]:
        """What the conversation used; a reply that was almost JSON is counted."""
        if not outcome.repaired:
            return outcome.usage_by_alias
        alias = outcome.reply.alias or self._column.model_alias
        return {
            **outcome.usage_by_alias,
            alias: outcome.usage_by_alias.get(alias, Usage()) + Usage(repaired=1),
        }

    def prompt(self, *, record: int, values: Mapping[str, Any]) -> tuple[Message, ...]:
        """The messages that open a record's conversations, a pure function of its values and number. Raises CellError."""
        text = self._prompt.render(
            values, self._choices(self._prompt, "prompt", record)
        )
        system = None
        if self._system is not None:
            system = self._system.render(
                values, self._choices(self._system, "system_prompt", record)
            )
        return self._messages(text, system, values)

    async def prompt_in_loop(
        self, *, record: int, values: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """`prompt` for an event loop, which goes on while a large template is rendered."""
        choices = self._choices(self._prompt, "prompt", record)
        text = await self._prompt.render_in_loop(values, choices)
        system = None
        if self._system is not None:
            choices = self._choices(self._system, "system_prompt", record)
            system = await self._system.render_in_loop(values, choices)
        return self._messages(text, system, values)

    def _choices(
        self, template: Template, of: str, record: int
    ) -> RecordChoices | None:
        return self._binding.choices(template, self._column.name, record, of=of)

    def _messages(
        self, text: str, system: str | None, values: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """The messages with rendered texts, what a reply should look like, and the record's media."""
        for addition in (self._spec.instructions, self._format):
            text = f"{text}\n\n{addition}" if addition else text
        content: str | tuple[Part, ...] = text
        media = media_of(self._column, values, self._binding.images)
        if media:
            content = (*media, TextPart(text)) if text else media
        question = Message("user", content)
        return (question,) if system is None else (Message("system", system), question)

    def _format_prompt(self) -> str:
        """The schema of the reply for the prompt. Where a model may call tools, that is all it hears of the schema, because
        servers that are given tools and a format at once let no tool be called (vllm-project/vllm#39929)."""
        if self._spec.schema is None:
            return ""
        spoken = (
            structured.schema_prompt
            if self._schema_to_send() is None
            else structured.description
        )
        return spoken(self._spec.schema)

    def _schema_to_send(self) -> Mapping[str, Any] | None:
        schema_in_prompt = (
            self._binding.toolbox is not None and self._binding.format_stops_tools
        )
        return None if schema_in_prompt else self._spec.schema

    async def _tools(self) -> tuple[Tool, ...]:
        """What the model may call. Raises CellFailedError if a server cannot be used."""
        if self._binding.toolbox is None:
            return ()
        try:
            return await self._binding.toolbox.tools()
        except ModelError as error:
            raise CellFailedError(error.message, kind=error_kind(error)) from error

    def _request(
        self,
        messages: tuple[Message, ...],
        *,
        record: int,
        attempt: int,
        tools: tuple[Tool, ...],
    ) -> ChatRequest:
        name = self._column.name
        schema_name = name
        if any(tool.name == name for tool in tools):
            schema_name = f"{name}_reply"
        return ChatRequest(
            self._binding.model.model,
            messages,
            self._binding.parameters(name, record),
            seed=self._binding.seed(name, record, attempt=attempt),
            response_schema=self._schema_to_send(),
            schema_name=schema_name,
            tools=tools,
            code_language=self._spec.code_language,
        )


def media_of(
    column: ChatColumn | ImageColumn,
    values: Mapping[str, Any],
    images: ImageStore | None,
) -> tuple[Media, ...]:
    """The media that go with a record's prompt. Raises CellError."""
    media: list[Media] = []
    for context in column.multi_modal_context or ():
        media += media_parts(context, values[context.column_name], images)
    return tuple(media)


def _side_cells(column: ChatColumn, done: Done) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    if column.with_trace != "none":
        messages = (
            done.messages if column.with_trace == "all_messages" else done.messages[-1:]
        )
        cells[f"{column.name}{TRACE}"] = [_traced(message) for message in messages]
    if column.extract_reasoning_content:
        cells[f"{column.name}{REASONING}"] = done.reply.reasoning
    return cells


def _traced(message: Message) -> dict[str, Any]:
    """A message as traces show it; media by what they are, because their data would be there a second time."""
    content = message.content
    parts = (TextPart(content),) if isinstance(content, str) else content
    calls = []
    for call in message.tool_calls:
        function = {"name": call.name, "arguments": call.arguments}
        calls.append({"id": call.id, "type": "function", "function": function})
    return {
        "role": message.role,
        "content": [_block(part) for part in parts],
        "reasoning_content": message.reasoning,
        "tool_calls": calls,
        "tool_call_id": message.tool_call_id,
    }


def message_text(message: Message) -> str:
    """A message as people read it; media by what they are."""
    if isinstance(message.content, str):
        return message.content
    texts = []
    for block in map(_block, message.content):
        if block["type"] == "text":
            texts.append(block["text"])
        else:
            texts.append(f"[{block['type']}: {block['text']}]")
    return "\n".join(texts)


def _block(part: Part) -> dict[str, str]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    kind = type(part).__name__.removesuffix("Part").lower()
    if isinstance(part, ImagePart):
        kind = "image"
    if part.url is not None:
        return {"type": kind, "text": part.url}
    size = len(part.data or "")
    return {"type": kind, "text": f"{part.media_type}, {size} characters of base64"}
