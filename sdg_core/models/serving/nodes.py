"""The model servers of a pipeline whose stages run on a Ray cluster: the same on every node that has what they need.

The driver sends each request to the node that has fewest on their way. A node that is lost, or whose server is given up, costs
the requests that it had: they are asked again on the others, and the run ends with the last of them. A node that joins the
cluster during the run gets the servers too, so machines that are taken away can be replaced.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import ActorUnschedulableError, ObjectLostError, RayError
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
)
from sdg_core.models.usage import Usage

_Reply = TypeVar("_Reply", ChatResponse, EmbeddingResponse, ImageResponse)
_LOSSES = (*WORKER_DEATHS, ActorUnschedulableError, ObjectLostError)
"""What Ray raises where a node is gone, with its actor or with what that answered."""
_MAX_CONCURRENT = 10_000
"""Requests that a node takes at the same time; how many there are is decided by the driver."""
_PAUSE = 10.0
"""Seconds between two looks at which nodes the cluster has: Ray announces none that joins."""


@dataclass(eq=False)
class _Node:
    """A node and its actor. is_placed: whether that is there yet. on_their_way: requests that it has."""

    node_id: str
    address: str
    actor: Any
    is_placed: bool = False
    on_their_way: int = 0


class Nodes:
    """The nodes of a run that have its servers, without those that were lost. say: hands a notice to the run."""

    def __init__(
        self, nodes: Sequence[_Node], *, on_notice: Callable[[str], None]
    ) -> None:
        self._nodes = [*nodes]
        self.say = on_notice
        self._last_loss: ModelError | None = None

    async def ask(
        self, provider: str, service: Service, *request: Any
    ) -> tuple[Any, int]:
        """The reply of one of the nodes, and how many were lost with this request. Raises what the provider's client does."""
        lost = 0
        while True:
            node = self._least_busy()
            node.on_their_way += 1
            reference = node.actor.ask.remote(provider, service, *request)
            try:
                answer: Answer = await reference
            except _LOSSES as error:
                self.lose(
                    node,
                    PermanentModelError(f"its node was lost: {type(error).__name__}"),
                )
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
            self.say(f"node {node.address}: {notice}")

    def join(self, node: _Node) -> None:
        """Ask a node from now on, whose servers are ready."""
        self._nodes.append(node)
        self.say(
            f"node {node.address} has joined: its model server is ready (nodes: {len(self._nodes)})"
        )

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
            f"the model server on the last node ({node.address}) was lost: {why.message}",
            remedy=why.remedy or "run again; finished work is kept",
        )
        self._last_loss.ends_run = True
        if self._nodes:
            self.say(
                f"node {node.address}: its model server was lost (nodes left: {len(self._nodes)}): {why.message}"
            )


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

    async def _ask(
        self, service: Service, request: object, kind: type[_Reply]
    ) -> _Reply:
        reply, lost = await self._nodes.ask(self.provider.name, service, request)
        assert isinstance(reply, kind)
        return (
            replace(reply, usage=reply.usage + Usage(requests=lost, retries=lost))
            if lost
            else reply
        )


@asynccontextmanager
async def servers_on_nodes(
    providers: Sequence[ModelProvider],
    *,
    env: Mapping[str, str],
    base: Path | None,
    on_notice: Callable[[str], None],
) -> AsyncIterator[dict[str, NodesClient]]:
    """A client for each provider that is served, by name, its servers ready on the nodes of the cluster. They end with the block.

    Raises PermanentModelError if a server cannot be started or no node has what it needs, StoreError without a cluster.
    """
    served = [provider for provider in providers if provider.serve is not None]
    named = {}
    for provider in served:
        for name in _variables(provider):
            if name in env:
                named[name] = env[name]

    def place(node: Mapping[str, Any], gpus: float) -> _Node:
        actor = _actor(node["NodeID"], gpus, served, named, base)
        return _Node(node["NodeID"], node["NodeManagerAddress"], actor)

    async with connected():
        nodes = [place(node, gpus) for node, gpus in chosen_nodes(served, ray.nodes())]  # type: ignore[no-untyped-call]
        running = Nodes(nodes, on_notice=on_notice)
        try:
            patience = max(
                provider.serve.ready_timeout
                for provider in served
                if provider.serve is not None
            )
            await _start_all(running, nodes, patience=patience)
            following = asyncio.create_task(
                _follow(running, nodes, served, place=place, patience=patience)
            )
            try:
                yield {
                    provider.name: NodesClient(running, provider) for provider in served
                }
            finally:
                following.cancel()
                await asyncio.wait([following])
            if not following.cancelled():
                following.result()
        finally:
            await asyncio.gather(*map(_end, nodes))


def chosen_nodes(
    served: Sequence[ModelProvider], nodes: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], float]]:
    """The nodes, as Ray describes them, that get servers, and how many of their GPUs these take: as many as the servers ask for
    by number; otherwise all, on nodes that have some, or none where the cluster has none.

    Raises PermanentModelError if there is no such node.
    """
    chosen = _with_their_gpus(served, nodes)
    if not chosen:
        wanted = sum(_numbers(served))
        have = ", ".join(
            f"{node['Resources'].get('GPU', 0.0):g}" for node in _alive(nodes)
        )
        raise PermanentModelError(
            f"the model servers of this run need {wanted} GPUs on one node; the nodes of the Ray cluster have {have}",
            remedy="add such a node to the cluster, or lower serve.gpus",
        )
    return chosen


def _with_their_gpus(
    served: Sequence[ModelProvider], nodes: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], float]]:
    """As `chosen_nodes`; empty if there is none."""
    there = [(node, node["Resources"].get("GPU", 0.0)) for node in _alive(nodes)]
    wanted = sum(_numbers(served))
    if len(_numbers(served)) == len(served):
        return [(node, float(wanted)) for node, has in there if has >= wanted]
    most = max((has for _, has in there), default=0.0)
    least = max(wanted, min(1.0, most))
    return [(node, has) for node, has in there if has >= least]


def _alive(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The nodes that are there and take work."""
    return [
        node for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) > 0
    ]


def _numbers(served: Sequence[ModelProvider]) -> list[int]:
    """The GPUs that servers ask for by number."""
    asked = [provider.serve.gpus for provider in served if provider.serve is not None]
    return [gpus for gpus in asked if isinstance(gpus, int)]


def _variables(provider: ModelProvider) -> list[str]:
    """The variables of the environment that a served provider names."""
    assert provider.serve is not None
    variables = [*provider.serve.env.values()]
    if provider.api_key:
        variables.append(provider.api_key)
    for value in (provider.extra_headers or {}).values():
        if is_variable(value):
            variables.append(value[1:])
    return variables


def _actor(
    node_id: str,
    gpus: float,
    served: Sequence[ModelProvider],
    env: Mapping[str, str],
    base: Path | None,
) -> Any:
    """An actor of a node. It takes no CPU: those are for the stages."""
    options: dict[str, Any] = {
        "num_cpus": 0,
        "num_gpus": gpus,
        "max_restarts": 0,
        "max_concurrency": _MAX_CONCURRENT,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
    }
    return ray.remote(NodeActor).options(**options).remote(served, env=env, base=base)


class _NodeUnusableError(PermanentModelError):
    """A node that is lost, or has no room: the run goes on without it, if there are others."""


async def _start_all(
    running: Nodes, nodes: Sequence[_Node], *, patience: float
) -> None:
    """Start the servers of the nodes that a run begins with. Raises PermanentModelError if those of one cannot be started."""
    starts = (_start(running, node, patience=patience) for node in nodes)
    outcomes = await asyncio.gather(*starts, return_exceptions=True)
    for node, outcome in zip(nodes, outcomes, strict=True):
        if isinstance(outcome, _NodeUnusableError):
            running.lose(node, outcome)
        elif outcome is not None:
            raise outcome


async def _follow(
    running: Nodes,
    nodes: list[_Node],
    served: Sequence[ModelProvider],
    *,
    place: Callable[[Mapping[str, Any], float], _Node],
    patience: float,
) -> None:
    """Start servers on nodes that join the cluster, until it is cancelled. They are added to `nodes`, which the run ends."""
    async with asyncio.TaskGroup() as joining:
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                present = await asyncio.to_thread(ray.nodes)
            except RayError:
                # the cluster's head does not answer; what that costs a run, its requests find out
                continue
            known = {node.node_id for node in nodes}
            for found, gpus in _with_their_gpus(served, present):
                if found["NodeID"] not in known:
                    node = place(found, gpus)
                    nodes.append(node)
                    joining.create_task(_join(running, node, patience=patience))


async def _join(running: Nodes, node: _Node, *, patience: float) -> None:
    """Start the servers of a node that has joined; a failure costs the run nothing."""
    try:
        await _start(running, node, patience=patience)
    except PermanentModelError as error:
        ray.kill(node.actor)
        running.say(
            f"node {node.address} has joined, but its model server is not ready: {error.message}"
        )
        return
    running.join(node)


async def _start(running: Nodes, node: _Node, *, patience: float) -> None:
    """Start the servers of a node. patience: seconds until its GPUs must be free.

    Raises _NodeUnusableError, or PermanentModelError if they cannot be started.
    """
    try:
        async with asyncio.timeout(patience):
            await node.actor.__ray_ready__.remote()
        node.is_placed = True
        answer: Answer = await node.actor.start.remote()
    except TimeoutError:
        message = f"its GPUs were not free within {patience:g} s (serve.ready_timeout)"
        raise _NodeUnusableError(message) from None
    except _LOSSES as error:
        raise _NodeUnusableError(
            f"its node was lost: {type(error).__name__}"
        ) from error
    running.tell(node, answer)
    if answer.error is not None:
        raise PermanentModelError(
            f"node {node.address}: {answer.error.message}", remedy=answer.error.remedy
        )


async def _end(node: _Node) -> None:
    """End the servers of a node in order, if it is there, and its actor."""
    if node.is_placed:
        with suppress(TimeoutError, *_LOSSES):
            async with asyncio.timeout(GRACE + 5):
                await node.actor.close.remote()
    ray.kill(node.actor)
