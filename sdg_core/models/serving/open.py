"""The model servers of one run: a port, an environment and a process for each provider with `serve`."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sdg_core.config.addresses import PORT
from sdg_core.config.models import ModelProvider
from sdg_core.errors import PermanentModelError
from sdg_core.models.secrets import api_key, secret
from sdg_core.models.serving.client import ServedClient
from sdg_core.models.serving.process import ModelServerProcess, visible_devices
from sdg_core.models.types import ChatClient
from sdg_core.plan.variables import is_credential


@dataclass(frozen=True)
class Served:
    """A provider at the place where it is served, and its server."""

    provider: ModelProvider
    server: ModelServerProcess

    def client(self, make: Callable[[], ChatClient]) -> ChatClient:
        """The client of the provider that `make` makes, which waits for the server where it has died, and asks again."""
        return ServedClient(make(), self.server)

    @property
    def is_starting(self) -> bool:
        """Whether the server has died and is not ready again yet."""
        return self.server.is_starting


@asynccontextmanager
async def model_servers(
    providers: Sequence[ModelProvider],
    *,
    env: Mapping[str, str],
    base: Path | None,
    on_notice: Callable[[str], None],
) -> AsyncIterator[dict[str, Served]]:
    """Each provider that is served, by name, with its server ready. They start at once, and end with the block.

    base: where they run. Raises PermanentModelError if one cannot be started.
    """
    served = [provider for provider in providers if provider.serve is not None]
    serves = [provider.serve for provider in providers if provider.serve is not None]
    try:
        devices = visible_devices(serves, env)
    except ValueError as error:
        raise PermanentModelError(
            str(error), remedy="lower serve.gpus, or list devices there"
        ) from None
    async with AsyncExitStack() as cleanup:
        running: dict[str, Served] = {}
        for provider, visible in zip(served, devices, strict=True):
            port = cleanup.enter_context(_port(provider))
            running[provider.name] = _prepared(
                provider, visible, port=port, env=env, base=base, on_notice=on_notice
            )
            cleanup.push_async_callback(running[provider.name].server.aclose)
        starts = [each.server.start() for each in running.values()]
        outcomes = await asyncio.gather(*starts, return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        yield running


def _prepared(
    provider: ModelProvider,
    visible: str | None,
    *,
    port: int,
    env: Mapping[str, str],
    base: Path | None,
    on_notice: Callable[[str], None],
) -> Served:
    """A provider at its port, and its server, which is not started yet."""
    assert provider.serve is not None and provider.endpoint is not None
    placed = provider.model_copy(
        update={"endpoint": provider.endpoint.replace(PORT, str(port))}
    )
    given = {}
    for name, variable in provider.serve.env.items():
        place = f"{name} of serve of provider {provider.name!r}"
        given[name] = secret(env, variable, place=place, header=False)
    environment = {
        name: value for name, value in os.environ.items() if not is_credential(name)
    }
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    environment |= given
    secrets = [*given.values()]
    headers = {}
    key = api_key(provider, env)
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
        secrets.append(key)
    server = ModelServerProcess(
        placed,
        command=[part.replace(PORT, str(port)) for part in provider.serve.command],
        env=environment,
        base=base,
        headers=headers,
        secrets=secrets,
        on_notice=on_notice,
    )
    return Served(placed, server)


@contextmanager
def _port(provider: ModelProvider) -> Iterator[int]:
    """A free port, or the one that the endpoint names if nobody listens there."""
    from yarl import URL

    assert provider.endpoint is not None
    if PORT in provider.endpoint:
        with reserved_port() as port:
            yield port
        return
    url = URL(provider.endpoint)
    assert url.host is not None and url.port is not None
    family = socket.AF_INET6 if ":" in url.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(5.0)
        if probe.connect_ex((url.host, url.port)) == 0:
            raise PermanentModelError(
                f"provider {provider.name!r} would be served at {provider.endpoint}, but a server is "
                f"already running there",
                remedy=f"write {PORT} in endpoint and command for a free port; or remove serve to use "
                f"the running server",
            )
    yield url.port


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port that no other run of this machine takes while the block lasts.

    A server may take minutes until it listens, and meanwhile its port looks free. So the UDP port of the same number, which no
    model server uses, is held as a sign for the others; it goes with this process, however that ends.
    """
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sign:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            try:
                sign.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            yield port
            return
