"""The tools of a run: what each `tool_alias` lets a model call, and the calls themselves.

Invariant: nothing is called that is not allowed; every call that a model asks for has an answer, if only a refusal.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sdg_core.config.tools import ToolConfig
from sdg_core.errors import ModelError, PermanentModelError
from sdg_core.models.mcp.server import McpServer, ToolResult
from sdg_core.models.types import Message, Tool, ToolCall
from sdg_core.plan.names import did_you_mean


class Toolbox:
    """The tools of one `tool_alias`. `servers` by provider."""

    def __init__(self, config: ToolConfig, servers: Mapping[str, McpServer]) -> None:
        self.max_turns = config.max_tool_call_turns
        self._config = config
        self._servers = [servers[name] for name in config.providers]
        self._offers: Mapping[str, tuple[Tool, McpServer]] | None = None

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers."""
        return self._config.providers

    async def tools(self) -> tuple[Tool, ...]:
        """What the model may call. Raises PermanentModelError if a server cannot be used or does not offer what is allowed."""
        offers = await self._offered()
        return tuple(tool for tool, _ in offers.values())

    async def answer(self, calls: Sequence[ToolCall]) -> tuple[Message, ...]:
        """Make the calls of one reply, side by side. Raises ModelError if a server is lost."""
        answers = await asyncio.gather(
            *map(self._answer, calls), return_exceptions=True
        )
        told = [answer for answer in answers if isinstance(answer, Message)]
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return tuple(told)

    async def _answer(self, call: ToolCall) -> Message:
        offers = await self._offered()
        if call.name not in offers:
            return tool_rejection(
                call,
                f"no tool {call.name!r} is available{did_you_mean(call.name, offers)}",
            )
        arguments = _arguments(call)
        if arguments is None:
            return tool_rejection(
                call,
                "the arguments are not a JSON object; call again with one that fits the tool's schema",
            )
        result = await offers[call.name][1].call(
            call.name, arguments, timeout=self._config.timeout_sec
        )
        return _tool_result_message(call, result)

    async def _offered(self) -> Mapping[str, tuple[Tool, McpServer]]:
        if self._offers is None:
            tools_by_server = await asyncio.gather(
                *(server.tools() for server in self._servers)
            )
            offered = []
            for server, tools in zip(self._servers, tools_by_server, strict=True):
                offered += [(tool, server) for tool in tools]
            self._offers = self._allowed(offered)
        return self._offers

    def _allowed(
        self, offered: Sequence[tuple[Tool, McpServer]]
    ) -> dict[str, tuple[Tool, McpServer]]:
        """Raises PermanentModelError where the config asks for what is not offered, or is offered twice."""
        alias = self._config.tool_alias
        allow = self._config.allow_tools
        names = [tool.name for tool, _ in offered]
        unknown = [name for name in allow or () if name not in names]
        if unknown:
            raise PermanentModelError(
                f"tool_configs[{alias}]: no provider offers {', '.join(map(repr, unknown))}{did_you_mean(unknown[0], names)}",
                remedy="correct allow_tools; `sdg check-models` lists the tools",
            )
        offers: dict[str, list[tuple[Tool, McpServer]]] = {}
        for tool, server in offered:
            if allow is None or tool.name in allow:
                offers.setdefault(tool.name, []).append((tool, server))
        for name, same_name in offers.items():
            if len(same_name) > 1:
                servers = " and ".join(repr(server.name) for _, server in same_name)
                raise PermanentModelError(
                    f"tool_configs[{alias}]: tool {name!r} is offered by {servers}",
                    remedy="list the tools you need in allow_tools, or split the providers into two tool configs",
                )
        return {name: same_name[0] for name, same_name in offers.items()}


@dataclass(frozen=True)
class ToolHealth:
    """Whether the tools of an MCP provider, or those of a `tool_alias`, can be used.

    latency: seconds until the provider's server was ready; None if it was not. tools: their names.
    """

    kind: str
    name: str
    tools: tuple[str, ...] = ()
    latency: float | None = None
    error: str | None = None
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        """Whether they can be used."""
        return self.error is None


async def check_tools(
    servers: Mapping[str, McpServer], toolboxes: Mapping[str, Toolbox]
) -> tuple[ToolHealth, ...]:
    """A row for each provider, then one for each alias whose providers answer."""
    of_providers = [
        _health("provider", name, server) for name, server in servers.items()
    ]
    providers = await asyncio.gather(*of_providers)
    down = {row.name for row in providers if not row.ok}
    of_aliases = [
        _health("tool_alias", alias, toolbox)
        for alias, toolbox in toolboxes.items()
        if not down.intersection(toolbox.providers)
    ]
    aliases = await asyncio.gather(*of_aliases)
    return (*providers, *aliases)


async def _health(kind: str, name: str, source: "McpServer | Toolbox") -> ToolHealth:
    try:
        tools = await source.tools()
    except ModelError as error:
        return ToolHealth(kind, name, error=error.message, remedy=error.remedy)
    tool_names = tuple(tool.name for tool in tools)
    latency = source.latency if isinstance(source, McpServer) else None
    return ToolHealth(kind, name, tool_names, latency)


def tool_rejection(call: ToolCall, why: str) -> Message:
    """The answer to a call that was not made."""
    return Message("tool", f"Not called: {why}", tool_call_id=call.id)


def _tool_result_message(call: ToolCall, result: ToolResult) -> Message:
    text = result.text or "(no output)"
    if result.failed:
        text = f"Error: {text}"
    return Message("tool", text, tool_call_id=call.id)


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    try:
        arguments = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        return None
    return arguments if isinstance(arguments, dict) else None
