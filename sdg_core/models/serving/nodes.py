"""The model servers of a pipeline whose stages run on a Ray cluster: the same on every node that has what they need.

The driver sends each request to the node that has fewest on their way. A node that is lost, or whose server is given up, costs
the requests that it had: they are asked again on the others, and the run ends with the last of them. Nodes that join later are
used by the next run.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import ActorUnschedulableError, ObjectLostError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sdg_core.config.models import ModelProvider, is_variable
from sdg_core.errors import ModelError, PermanentModelError, SdgError
from sdg_core.models.serving.node_actor import Answer, NodeActor, Service
from sdg_core.models.serving.process import GRACE
from sdg_core.models.serving.ray_driver import WORKER_DEATHS, connected
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
    Usage,
)

_Reply = TypeVar("_Reply", ChatResponse, EmbeddingResponse, ImageResponse)
_LOSSES = (*WORKER_DEATHS, ActorUnschedulableError, ObjectLostError)
"""What Ray raises where a node is gone, with its actor or with what that answered."""
_AT_ONCE = 10_000
"""Requests that a node takes at the same time; how many there are is decided by the driver."""


@dataclass(eq=False)
class _Node:
    """A node and its actor. is_placed: whether that is there yet. on_their_way: requests that it has."""

    address: str
    actor: Any
    is_placed: bool = False
    on_their_way: int = 0


class Nodes:
    """The nodes of a run that have its servers, without those that were lost."""

    def __init__(self, nodes: Sequence[_Node], *, on_notice: Callable[[str], None]) -> None:
        self._nodes = [*nodes]
        self._tell = on_notice
        self._last_loss: ModelError | None = None

    async def ask(self, provider: str, service: Service, *request: Any) -> tuple[Any, int]:
        """The reply of one of the nodes, and how many were lost with this request. Raises what the provider's client does."""
        lost = 0
        while True:
            node = self._least_busy()
            node.on_their_way += 1
            reference = node.actor.ask.remote(provider, service, *request)
            try:
                answer: Answer = await reference
            except _LOSSES as error:
                self.lose(node, PermanentModelError(f"its node is lost: {type(error).__name__}"))
                lost += 1
                continue
            except asyncio.CancelledError:
                ray.cancel(reference)
                raise
            finally:
                node.on_their_way -= 1
            self.tell(node, answer)
            if answer.error is None:
                return answer.reply, lost
            if not answer.given_up:
                raise answer.error
            self.lose(node, answer.error)

    def tell(self, node: _Node, answer: Answer) -> None:
        """Hand on what a node has to say."""
        for notice in answer.notices:
            self._tell(f"node {node.address}: {notice}")

    def _least_busy(self) -> _Node:
        if not self._nodes:
            assert self._last_loss is not None
            raise self._last_loss
        return min(self._nodes, key=lambda node: node.on_their_way)

    def lose(self, node: _Node, why: SdgError) -> None:
        """Ask a node no more. Others that had requests there may have noticed before."""
        if node not in self._nodes:
            return
        self._nodes.remove(node)
        ray.kill(node.actor)
        self._last_loss = PermanentModelError(
            f"the model server of the last node ({node.address}) is gone: {why.message}",
            remedy=why.remedy or "run again; what is finished is kept",
        )
        self._last_loss.ends_run = True
        if self._nodes:
            self._tell(f"node {node.address}: its model server is gone (nodes left: {len(self._nodes)}): {why.message}")


class NodesClient(ChatClient):
    """A provider that is served on nodes. is_starting: never; requests wait there for a server that comes up again."""

    is_starting = False

    def __init__(self, nodes: Nodes, provider: ModelProvider) -> None:
        self._nodes = nodes
        self.provider = provider

    def client(self, make: Callable[[], ChatClient]) -> ChatClient:
        """This client; those that ask a server over HTTP are on the nodes."""
        return self

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """As the client of the provider does, on any node."""
        return await self._ask("chat", request, ChatResponse)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """As the client of the provider does, on any node."""
        return await self._ask("embed", request, EmbeddingResponse)

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        """As the client of the provider does, on any node."""
        return await self._ask("make_images", request, ImageResponse)

    async def check(self) -> None:
        """As the client of the provider does, on any node: they are all the same."""
        await self._nodes.ask(self.provider.name, "check")

    async def aclose(self) -> None:
        """Nothing to release: clients are closed by the nodes."""

    async def _ask(self, service: Service, request: object, kind: type[_Reply]) -> _Reply:
        reply, lost = await self._nodes.ask(self.provider.name, service, request)
        assert isinstance(reply, kind)
        return replace(reply, usage=reply.usage + Usage(requests=lost, retries=lost)) if lost else reply


@asynccontextmanager
async def servers_on_nodes(
    providers: Sequence[ModelProvider], *, env: Mapping[str, str], base: Path | None, on_notice: Callable[[str], None]
) -> AsyncIterator[dict[str, NodesClient]]:
    """A client for each provider that is served, by name, its servers ready on the nodes of the cluster. They end with the block.

    Raises PermanentModelError if a server cannot be started or no node has what it needs, StoreError without a cluster.
    """
    served = [provider for provider in providers if provider.serve is not None]
    named = {name: env[name] for provider in served for name in _variables(provider) if name in env}
    async with connected():
        nodes = [
            _Node(node["NodeManagerAddress"], _actor(node["NodeID"], gpus, served, named, base))
            for node, gpus in chosen_nodes(served, ray.nodes())  # type: ignore[no-untyped-call]
        ]
        running = Nodes(nodes, on_notice=on_notice)
        try:
            patience = max(provider.serve.ready_timeout for provider in served if provider.serve is not None)
            starts = (_start(running, node, patience=patience) for node in nodes)
            for outcome in await asyncio.gather(*starts, return_exceptions=True):
                if outcome is not None:
                    raise outcome
            yield {provider.name: NodesClient(running, provider) for provider in served}
        finally:
            await asyncio.gather(*map(_end, nodes))


def chosen_nodes(
    served: Sequence[ModelProvider], nodes: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], float]]:
    """The nodes, as Ray describes them, that get servers, and how many of their GPUs these take: so many as the servers ask for
    by number; otherwise all, on nodes that have some, or none where the cluster has none.

    Raises PermanentModelError if there is no such node.
    """
    alive = [node for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
    there = [node["Resources"].get("GPU", 0.0) for node in alive]
    asked = [provider.serve.gpus for provider in served if provider.serve is not None]
    numbers = [number for number in asked if isinstance(number, int)]
    if len(numbers) == len(asked):
        chosen = [(node, float(sum(numbers))) for node, has in zip(alive, there, strict=True) if has >= sum(numbers)]
    else:
        least = max(sum(numbers), min(1.0, max(there, default=0.0)))
        chosen = [(node, has) for node, has in zip(alive, there, strict=True) if has >= least]
    if not chosen:
        have = ", ".join(f"{has:g}" for has in there)
        raise PermanentModelError(
            f"the model servers of this run take {sum(numbers)} GPUs of a node; the nodes of the Ray cluster have {have}",
            remedy="give the cluster such a node, or lower serve.gpus",
        )
    return chosen


def _variables(provider: ModelProvider) -> list[str]:
    """The variables of the environment that a served provider names."""
    assert provider.serve is not None
    headers = [value[1:] for value in (provider.extra_headers or {}).values() if is_variable(value)]
    return [*provider.serve.env.values(), *([provider.api_key] if provider.api_key else []), *headers]


def _actor(
    node_id: str, gpus: float, served: Sequence[ModelProvider], env: Mapping[str, str], base: Path | None
) -> Any:
    """An actor of a node. It takes no CPU: those are for the stages."""
    options: dict[str, Any] = {
        "num_cpus": 0,
        "num_gpus": gpus,
        "max_restarts": 0,
        "max_concurrency": _AT_ONCE,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
    }
    return ray.remote(NodeActor).options(**options).remote(served, env=env, base=base)


async def _start(nodes: Nodes, node: _Node, *, patience: float) -> None:
    """Start the servers of a node. patience: seconds until its GPUs must be free.

    Raises PermanentModelError if they cannot be started; a node that is lost or has no room is done without, if there are others.
    """
    try:
        async with asyncio.timeout(patience):
            await node.actor.__ray_ready__.remote()
        node.is_placed = True
        answer: Answer = await node.actor.start.remote()
    except TimeoutError:
        nodes.lose(node, PermanentModelError(f"its GPUs were not free within {patience:g} s (serve.ready_timeout)"))
        return
    except _LOSSES as error:
        nodes.lose(node, PermanentModelError(f"its node is lost: {type(error).__name__}"))
        return
    nodes.tell(node, answer)
    if answer.error is not None:
        raise PermanentModelError(f"node {node.address}: {answer.error.message}", remedy=answer.error.remedy)


async def _end(node: _Node) -> None:
    """End the servers of a node in order, if it is there, and its actor."""
    if node.is_placed:
        with suppress(TimeoutError, *_LOSSES):
            async with asyncio.timeout(GRACE + 5):
                await node.actor.close.remote()
    ray.kill(node.actor)
