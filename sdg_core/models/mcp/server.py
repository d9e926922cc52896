"""One MCP server in a run: started or connected to on first use, kept, and put up again when it has gone.

The SDK's connections are tied to the task that opens them, so each lives in a task of its own, which closes it when told to.
Invariants: a process that was started is ended when the pool closes, whatever ends the run; a call that loses its server is
made once more, then it is a transient fault; what a secret's variable holds appears in no message.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from sdg_core.config.tools import McpProvider, StdioMcpProvider
from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.models.mcp.session import ConnectionLostError, Session, Stderr, reason_of
from sdg_core.models.secrets import secret
from sdg_core.models.types import Tool
from sdg_core.plan.foreign import dump_exactly, read_json
from sdg_core.redaction import Redaction
from sdg_core.system.bounded_body import work_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp import Client

_MAX_PAGES = 100
_MAX_REASON_LENGTH = 300
_BEARER = "Bearer "
_NO_STREAM = 405
"""What a server answers that works, but sends nothing of its own accord."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ToolResult:
    """What a tool said, as text; `failed` if that is an error."""

    text: str
    failed: bool = False


class McpServer:
    """A provider's server. `env` is where the variables are looked up that the provider names; `base` where processes run.

    Raises PermanentModelError on construction if a variable is not set, or the SDK is not installed.
    """

    def __init__(
        self, provider: McpProvider, *, env: Mapping[str, str], base: Path | None
    ) -> None:
        _require_sdk(provider.name)
        self.name = provider.name
        self.latency: float | None = None
        self._provider = provider
        self._base = base
        self._secrets = _resolved(provider, env)
        self._redaction = Redaction(
            dict.fromkeys(map(_bare, self._secrets.values()), "[secret]")
        )
        self._status: int | None = None
        self._stderr = Stderr()
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._tools: tuple[Tool, ...] | None = None

    async def tools(self) -> tuple[Tool, ...]:
        """Every tool that the server offers, asked for once. Raises PermanentModelError if it cannot be opened, or takes longer
        than `startup_timeout_sec` for it."""
        if self._tools is None:
            try:
                listed = await self._with_session(self._list_tools)
                self._tools = tuple(map(self._without_secrets, listed))
            except TimeoutError:
                message, remedy = self._too_slow("did not list its tools")
                raise PermanentModelError(message, remedy=remedy) from None
            except TransientModelError as error:
                raise PermanentModelError(error.message, remedy=error.remedy) from error
            except (ValueError, RuntimeError) as error:
                # what the SDK says of a malformed list
                reason = " ".join(str(error).split())[:_MAX_REASON_LENGTH]
                message = self._message("lists unusable tools", reason)
                raise PermanentModelError(message, remedy=self._remedy()) from error
        return self._tools

    async def _list_tools(self, client: "Client") -> tuple[Tool, ...]:
        """The tools. Raises TimeoutError."""
        async with asyncio.timeout(self._provider.startup_timeout_sec):
            return await _list_tools(client)

    async def call(
        self, name: str, arguments: Mapping[str, Any], *, timeout: float
    ) -> ToolResult:
        """Call a tool; what goes wrong inside it is a result. Raises TransientModelError if the server is lost."""

        async def call(client: "Client") -> ToolResult:
            return await _call(client, name, arguments, timeout=timeout)

        result = await self._with_session(call)
        text = await work_on(result.text, self._redaction.reply)
        return ToolResult(text, result.failed)

    async def aclose(self) -> None:
        """End the connection, and the process if there is one; a later call opens it again."""
        session = self._session
        self._session = None
        if session is not None:
            await session.close()

    async def _with_session(
        self, work: "Callable[[Client], Awaitable[_Result]]"
    ) -> _Result:
        """Work with the server; if it is lost meanwhile, once more with a new one. Raises TransientModelError."""
        last: ConnectionLostError | None = None
        for _ in range(2):
            session = await self._opened()
            try:
                return await session.use(work)
            except ConnectionLostError as error:
                last = error
                if self._session is session:
                    self._session = None
                await session.close()
        raise TransientModelError(
            self._message("closed the connection twice during one call", str(last))
        ) from last

    async def _opened(self) -> "Session":
        async with self._opening:
            if self._session is None:
                started = time.monotonic()
                session = Session()
                try:
                    async with asyncio.timeout(
                        self._provider.startup_timeout_sec
                    ) as startup:
                        await session.open(self._connect())
                except Exception as error:
                    if startup.expired():
                        message, remedy = self._too_slow("is not ready")
                        raise TransientModelError(message, remedy=remedy) from None
                    message = self._message("cannot be used", reason_of(error))
                    raise TransientModelError(message, remedy=self._remedy()) from error
                self._session = session
                self.latency = time.monotonic() - started
            return self._session

    @asynccontextmanager
    async def _connect(self) -> "AsyncIterator[Client]":
        """A connection that is ready for use."""
        from mcp import Client, StdioServerParameters
        from mcp.client.sse import sse_client
        from mcp.client.stdio import stdio_client
        from mcp.client.streamable_http import streamable_http_client

        _hush_sdk()
        provider = self._provider
        async with AsyncExitStack() as cleanup:
            transport: AbstractAsyncContextManager[Any]
            if isinstance(provider, StdioMcpProvider):
                parameters = StdioServerParameters(
                    command=provider.command,
                    args=list(provider.args),
                    env=dict(self._secrets),
                    cwd=self._base,
                )
                errlog = await cleanup.enter_async_context(self._stderr.opened())
                transport = stdio_client(parameters, errlog=errlog)
            elif provider.provider_type == "sse":
                transport = sse_client(
                    provider.endpoint, httpx_client_factory=self._http_client
                )
            else:
                http = await cleanup.enter_async_context(self._http_client())
                transport = streamable_http_client(provider.endpoint, http_client=http)
            yield await cleanup.enter_async_context(
                Client(transport, read_timeout_seconds=provider.startup_timeout_sec)
            )

    def _http_client(
        self,
        headers: dict[str, str] | None = None,
        timeout: Any = None,
        auth: Any = None,
    ) -> Any:
        """A client that waits for calls as long as they are given, and notes the status of a refusal."""
        import httpx2

        async def note(response: Any) -> None:
            if response.status_code != _NO_STREAM:
                self._status = (
                    response.status_code if response.status_code >= 400 else None
                )

        return httpx2.AsyncClient(
            headers={**(headers or {}), **self._secrets},
            timeout=httpx2.Timeout(self._provider.startup_timeout_sec, read=None),
            event_hooks={"response": [note]},
            trust_env=False,
        )

    def _without_secrets(self, tool: Tool) -> Tool:
        """A tool whose description goes to a model server, which the secrets are not for."""
        body = self._redaction.body(
            dump_exactly([tool.name, tool.description, tool.parameters])
        )
        return Tool(*read_json(body))

    def _message(self, what: str, reason: str) -> str:
        status = f" (HTTP status {self._status})" if self._status is not None else ""
        written = f"; it wrote: {self._stderr.tail}" if self._stderr.tail else ""
        return self._redaction.text(
            f"MCP provider {self.name!r} {what}: {reason}{status}{written}"
        )

    def _too_slow(self, what: str) -> tuple[str, str]:
        """What to say of a server that took all of its time, and the remedy."""
        seconds = self._provider.startup_timeout_sec
        place = f"mcp_providers[{self.name}]"
        remedy = f"start the server manually to test it; if it is only slow, raise {place}.startup_timeout_sec"
        return self._message(what, f"timed out after {seconds:g} s"), remedy

    def _remedy(self) -> str:
        place = f"mcp_providers[{self.name}]"
        if isinstance(self._provider, StdioMcpProvider):
            return f"check command, args and env of {place}; a relative path is relative to the dataset file"
        if self._status in (401, 403):
            return f"check {place}.api_key and what its environment variable holds"
        return f"start the server, or correct {place}.endpoint"


def _bare(value: str) -> str:
    return value.removeprefix(_BEARER)


async def _list_tools(client: "Client") -> tuple[Tool, ...]:
    from mcp import MCPError

    tools: list[Tool] = []
    cursor: str | None = None
    try:
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += [
                Tool(tool.name, tool.description or "", tool.input_schema)
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if cursor is None:
                break
    except MCPError as error:
        raise ConnectionLostError(str(error)) from error
    return tuple(tools)


async def _call(
    client: "Client", name: str, arguments: Mapping[str, Any], *, timeout: float
) -> ToolResult:
    """One call. Raises ConnectionLostError."""
    import anyio
    import httpx2
    from mcp import MCPError
    from mcp_types import REQUEST_TIMEOUT

    try:
        result = await client.call_tool(
            name, dict(arguments), read_timeout_seconds=timeout
        )
    except MCPError as error:
        if _is_lost(error):
            raise ConnectionLostError(str(error)) from error
        message = (
            f"no result within {timeout:g} s"
            if error.code == REQUEST_TIMEOUT
            else str(error)
        )
        return ToolResult(message, failed=True)
    except (
        anyio.BrokenResourceError,
        anyio.ClosedResourceError,
        anyio.EndOfStream,
        httpx2.HTTPError,
        OSError,
    ) as error:
        raise ConnectionLostError(reason_of(error)) from error
    except (
        ValueError,
        RuntimeError,
    ) as error:  # what the SDK says of a result that is not what the tool has declared
        return ToolResult(f"the result cannot be used: {error}", failed=True)
    texts = [_text(block) for block in result.content]
    if not texts and result.structured_content is not None:
        texts = [orjson.dumps(result.structured_content).decode()]
    return ToolResult("\n".join(texts), failed=bool(result.is_error))


def _is_lost(error: Any) -> bool:
    """Whether an error speaks of the connection, not of the call. The SDK has no class for it."""
    from mcp_types import CONNECTION_CLOSED

    return error.code == CONNECTION_CLOSED or error.message in (
        "Session terminated",
        "Server returned an error response",
    )


def _text(block: Any) -> str:
    """A part of a result; what is not text is named."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource" and hasattr(block.resource, "text"):
        return str(block.resource.text)
    if block.type in ("resource", "resource_link"):
        return f"({block.type}: {getattr(block, 'uri', None) or block.resource.uri})"
    return f"({block.type}: {block.mime_type}, not shown)"


def _require_sdk(name: str) -> None:
    if find_spec("mcp") is None:
        raise PermanentModelError(
            f"MCP provider {name!r} requires the MCP SDK",
            remedy="pip install 'sdg-dagster[mcp]'",
        )


def _hush_sdk() -> None:
    """Faults of connections are reported in our words; the SDK would print tracebacks, unless somebody has asked it to speak."""
    log = logging.getLogger("mcp")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)


def _resolved(provider: McpProvider, env: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process, or the headers of a connection."""
    if isinstance(provider, StdioMcpProvider):
        return {
            name: secret(
                env,
                variable,
                place=f"{name} of MCP provider {provider.name!r}",
                header=False,
            )
            for name, variable in provider.env.items()
        }
    if provider.api_key is None:
        return {}
    key = secret(
        env, provider.api_key, place=f"the API key of MCP provider {provider.name!r}"
    )
    return {"Authorization": f"{_BEARER}{key}"}
