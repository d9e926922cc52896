"""A connection to an MCP server, held open by a task of its own, and what its process writes to stderr.

The SDK's connections must be closed by the task that opened them, while calls come from the tasks of records.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp import Client

_MAX_STDERR = 500
"""Characters of what a process wrote to stderr that a message repeats."""
_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class ConnectionLostError(Exception):
    """The connection ended under a call."""


class Session:
    """A connection and the task that holds it open."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None

    async def open(self, connection: "AbstractAsyncContextManager[Client]") -> None:
        """Wait until the server can be used. Raises whatever stands in the way; nothing stays open then."""
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(connection, ready))
        try:
            waited: set[asyncio.Future[Any]] = {ready, self._task}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.close()
            raise
        if not ready.done():
            self._task.result()
        self._client = ready.result()

    async def use(self, work: "Callable[[Client], Awaitable[_Result]]") -> _Result:
        """Work with the server. Raises ConnectionLostError if it ends meanwhile."""
        assert self._client is not None and self._task is not None
        running = asyncio.ensure_future(work(self._client))
        try:
            waited: set[asyncio.Future[Any]] = {running, self._task}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                raise ConnectionLostError("the connection has ended")
            return running.result()
        finally:
            if not running.done():
                running.cancel()
                await asyncio.wait({running})

    async def close(self) -> None:
        """End the connection and wait for that. While it is still being opened, break it off."""
        if self._task is None:
            return
        self._stop.set()
        if self._client is None:
            self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            _LOG.debug("closing a connection to an MCP server: %s", reason_of(error))

    async def _hold(
        self,
        connection: "AbstractAsyncContextManager[Client]",
        ready: "asyncio.Future[Client]",
    ) -> None:
        async with connection as client:
            ready.set_result(client)
            await self._stop.wait()


class Stderr(asyncio.Protocol):
    """The end of what a process writes to stderr, for error messages; the rest is let go."""

    def __init__(self) -> None:
        self._end = b""

    @property
    def tail(self) -> str:
        """The last characters, as one line."""
        return " ".join(self._end.decode("utf-8", errors="replace").split())[
            -_MAX_STDERR:
        ]

    def data_received(self, data: bytes) -> None:
        """Keep the end."""
        self._end = (self._end + data)[-4 * _MAX_STDERR :]

    @asynccontextmanager
    async def opened(self) -> "AsyncIterator[TextIO]":
        """Where a process may write."""
        self._end = b""
        to_read, to_write = os.pipe()
        source = os.fdopen(to_read, "rb", buffering=0)
        with os.fdopen(to_write, "w", encoding="utf-8") as sink:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: self, source
            )
            try:
                yield sink
            finally:
                while rest := source.read(65536):
                    self.data_received(rest)
                transport.close()


def reason_of(error: BaseException) -> str:
    """The fault at the bottom of nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (
        f"{type(error).__name__}: {error}"
        if not isinstance(error, ConnectionLostError)
        else str(error)
    )
