"""What an actor of Ray does for a run: the run's model servers on one node, and the requests that the driver sends to them.

Requests reach a server from its own node, so it listens on the loopback as everywhere, and no key crosses the network for it.
Faults of models are answers, because Ray would wrap what is raised. The servers end with the actor, and the actor with the run.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sdg_core.config.models import ModelProvider
from sdg_core.errors import SdgError
from sdg_core.models.providers.client import client_of
from sdg_core.models.secrets import api_key, extra_headers
from sdg_core.models.serving.open import Served, model_servers
from sdg_core.models.types import ChatClient

Service = Literal["chat", "embed", "make_images", "check"]
_DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Answer:
    """A reply, or the error that took its place. notices: what people should know since the last answer. given_up: the server of
    this node has died too often, so no request to it can succeed."""

    reply: Any = None
    error: SdgError | None = None
    notices: tuple[str, ...] = ()
    given_up: bool = False


class NodeActor:
    """The servers of `providers`, all of which are served. Its methods are called at the same time.

    env: the variables that the providers name. base: where the servers run, if the node has such a directory.
    """

    def __init__(
        self,
        providers: Sequence[ModelProvider],
        *,
        env: Mapping[str, str],
        base: Path | None,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._env = env
        self._base = base if base is not None and base.is_dir() else None
        self._open = AsyncExitStack()
        self._served: Mapping[str, Served] = {}
        self._clients: dict[str, ChatClient] = {}
        self._notices: list[str] = []

    async def start(self) -> Answer:
        """Start the servers, each on its share of the devices that Ray has given to this actor, and wait until they are ready."""
        devices = {_DEVICES: os.environ[_DEVICES]} if os.environ.get(_DEVICES) else {}
        servers = model_servers(
            [*self._providers.values()],
            env={**self._env, **devices},
            base=self._base,
            on_notice=self._notices.append,
        )
        try:
            self._served = await self._open.enter_async_context(servers)
        except SdgError as error:
            return self._answer(error=error)
        for name, served in self._served.items():
            make = partial(
                client_of,
                served.provider,
                api_key=api_key(served.provider, self._env),
                extra_headers=extra_headers(served.provider, self._env),
                own={},
                sleep=asyncio.sleep,
            )
            self._clients[name] = served.client(make)
            self._open.push_async_callback(self._clients[name].aclose)
        return self._answer()

    async def ask(self, name: str, service: Service, *request: Any) -> Answer:
        """What the provider's server on this node answers."""
        try:
            return self._answer(
                reply=await getattr(self._clients[name], service)(*request)
            )
        except SdgError as error:
            failure = self._served[name].server.failure
            return self._answer(error=failure or error, given_up=failure is not None)

    async def close(self) -> None:
        """End the servers in order; the actor is of no use afterwards."""
        await self._open.aclose()

    def _answer(
        self,
        *,
        reply: Any = None,
        error: SdgError | None = None,
        given_up: bool = False,
    ) -> Answer:
        notices = tuple(self._notices)
        self._notices.clear()
        return Answer(reply, error, notices, given_up)
