"""A server of this package beside code that is not async."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from sdg_core.testing.anthropic_server import AnthropicServer
from sdg_core.testing.model_server import ModelServer

Server = TypeVar("Server", ModelServer, AnthropicServer)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server in a thread of its own for the length of the block; `server.url` is where it listens.

    Raises what starting it raises, such as OSError for a port that is taken.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(
        target=loop.run_forever, name="sdg-model-server", daemon=True
    )
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
