"""Letting a model call tools until it answers. Only the requests go through the model's admission; calls hold no slot of it.

What a conversation has learnt from tools is kept when it is started afresh, so no call is made twice. A model that has used up
its turns is told so, and may then only answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sdg_core.models.endpoint import ModelEndpoint
from sdg_core.models.mcp.toolbox import Toolbox, refusal
from sdg_core.models.types import ChatRequest, ChatResponse, Message, ToolCall, Usage


@dataclass
class UsageTally:
    """What the requests of one cell have used so far: `usages` by alias, and how many were sent."""

    usages: dict[str, Usage] = field(default_factory=dict)
    requests: int = 0

    def add(self, usages: dict[str, Usage], *, requests: int) -> None:
        """Count one more request, its retries included."""
        self.requests += requests
        for alias, usage in usages.items():
            self.usages[alias] = self.usages.get(alias, Usage()) + usage


@dataclass
class ToolSession:
    """The calls of one cell: turns taken, and what was said until the last of them."""

    toolbox: Toolbox | None = None
    turns: int = 0
    said: tuple[Message, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether the turns are used up, and the model knows."""
        return self.toolbox is not None and self.turns > self.toolbox.max_turns

    def resumed(self, opening: ChatRequest) -> ChatRequest:
        """A fresh conversation that knows what tools have said."""
        return replace(opening, messages=self.said, tool_choice_none=self.closed) if self.said else opening

    async def ask(
        self, endpoint: ModelEndpoint, request: ChatRequest, *, alias: str, spent: UsageTally
    ) -> tuple[ChatRequest, ChatResponse]:
        """The reply that is no call of a tool, and the request that it answers. Raises ModelError."""
        while True:
            reply = await endpoint.chat(request)
            spent.add(reply.usages(alias), requests=reply.usage.requests)
            if not reply.tool_calls or self.toolbox is None or self.closed:
                return request, reply
            results = await self._answers(self.toolbox, reply.tool_calls)
            self.said = (*request.messages, assistant_message(reply), *results)
            request = replace(request, messages=self.said, tool_choice_none=self.closed)

    async def _answers(self, toolbox: Toolbox, calls: Sequence[ToolCall]) -> tuple[Message, ...]:
        self.turns += 1
        if not self.closed:
            return await toolbox.answer(calls)
        why = f"the {toolbox.max_turns} turns in which tools may be called are used up. Answer now, with what you know."
        return tuple(refusal(call, why) for call in calls)


def assistant_message(reply: ChatResponse) -> Message:
    """A reply as a message of the conversation."""
    return Message("assistant", reply.text, tool_calls=reply.tool_calls, reasoning=reply.reasoning, signed=reply.signed)
