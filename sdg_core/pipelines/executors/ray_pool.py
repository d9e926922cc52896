"""Pools of workers on a Ray cluster: one for each stage, as large as the stage says, or as there is work and room.

A worker that dies, with its process or with its node, leaves its pool; the pool starts another when there is work. Pools share
the cluster evenly, unless stages say how many workers they want. Where there is no room, a pool below its share takes the place
of an idle worker of one above it, and a pool without any worker takes any place where there is nothing to do, so that a pipeline
with more stages than the cluster has places still comes to its end.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray

from sdg_core.custom import Resources
from sdg_core.errors import FunctionError, RunAbortedError, SdgError
from sdg_core.models.serving.ray_driver import WORKER_DEATHS
from sdg_core.pipelines.executors.ray_worker import StageFault, StageWorker
from sdg_core.pipelines.plan import StagePlan

MAX_WORKERS = 64
"""Workers of a stage that says nothing about it."""
MAX_FAILED_STARTS = 3
"""Workers that may die while they are set up, one after the other, before the run gives up."""
_POLL_INTERVAL = 0.3
"""Seconds after which a worker that waits for a place looks for one to take."""
_BURST = 1.0
"""Seconds within which workers that die have died of the same cause, such as their node."""
_IDLE = 10.0
"""Seconds after which a worker without work may be replaced by one of any other stage."""
_NOTICE = 30.0
"""Seconds that a worker waits for a place before people are told."""
_TEAR_DOWN = 60.0
"""Seconds that a worker has to tear its stage down."""


@dataclass(eq=False)
class Pool:
    """The workers of one stage. pickled: its plan. at_most: workers that it may have. share: those that it has a right to.
    idle: since when workers wait for work, the longest first. waiting: chunks that wait for a worker."""

    plan: StagePlan
    pickled: bytes
    at_most: int
    share: int
    workers: list[Any] = field(default_factory=list)
    idle: dict[Any, float] = field(default_factory=dict)
    waiting: int = 0
    starting: int = 0
    deaths: int = 0
    last_death: float = 0.0

    @property
    def size(self) -> int:
        """Workers, with those that are on their way."""
        return len(self.workers) + self.starting


class _NotNeededError(Exception):
    """A worker that has found no place while there was something for it to do."""


class Pools:
    """All pools of a run. patience: seconds without any progress while a stage has no place, after which the run gives up."""

    def __init__(self, *, patience: float, on_notice: Callable[[str], None]) -> None:
        self._patience = patience
        self._notify = on_notice
        self._pools: list[Pool] = []
        self._changed = asyncio.Condition()
        self._starts: set[asyncio.Task[None]] = set()
        self._failure: SdgError | None = None
        self._progress = asyncio.get_running_loop().time()
        self._looked = -math.inf
        self._there: Mapping[str, float] = {}

    def add(
        self, plans: Sequence[StagePlan], pickled: Sequence[bytes]
    ) -> dict[int, Pool]:
        """A pool for every stage, by its place; without workers."""
        for plan, data in zip(plans, pickled, strict=True):
            fitting = min(MAX_WORKERS, self._fitting(plan.resources))
            share = max(1, fitting // len(plans))
            self._pools.append(
                Pool(plan, data, plan.concurrency or fitting, plan.concurrency or share)
            )
        return {pool.plan.place: pool for pool in self._pools}

    async def take(self, pool: Pool) -> Any:
        """A worker that is set up and idle. Raises FunctionError if the stage cannot be set up, RunAbortedError."""
        pool.waiting += 1
        try:
            async with self._changed:
                while not pool.idle and self._failure is None:
                    self._grow(pool)
                    await self._changed.wait()
                if self._failure is not None:
                    raise self._failure
                worker, _ = pool.idle.popitem()
                return worker
        finally:
            pool.waiting -= 1

    async def release(self, pool: Pool, worker: Any) -> None:
        """The worker has done its chunk."""
        self._progress = asyncio.get_running_loop().time()
        pool.deaths = 0
        pool.idle[worker] = self._progress
        starting = [other for other in self._pools if other.starting]
        if any(self._may_take(other, pool) for other in starting):
            await self._retire(pool, worker)
        async with self._changed:
            self._changed.notify_all()

    async def discard(self, pool: Pool, worker: Any) -> None:
        """The worker is dead, or cannot be reached and must not come back."""
        ray.kill(worker)
        async with self._changed:
            pool.workers.remove(worker)
            self._changed.notify_all()

    async def close(self) -> None:
        """End every worker, in the reverse order of the stages; those that are idle tear their stage down first.

        Raises FunctionError for a stage that cannot be torn down.
        """
        for start in self._starts:
            start.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        faults: list[StageFault] = []
        for pool in reversed(self._pools):
            for found in await asyncio.gather(*map(self._torn_down, pool.idle)):
                faults += found
            for worker in pool.workers:
                ray.kill(worker)
        if faults:
            raise faults[0].error()

    async def _torn_down(self, worker: Any) -> list[StageFault]:
        """What went wrong; a worker that dies on the way has nothing left to tear down."""
        with suppress(TimeoutError, *WORKER_DEATHS):
            fault = await asyncio.wait_for(
                _answer(worker.tear_down.remote()), _TEAR_DOWN
            )
            return [fault] if fault is not None else []
        return []

    def _grow(self, pool: Pool) -> None:
        """Start a worker if there is more work than those that are starting will take, and room or a right to some."""
        if pool.starting >= pool.waiting or pool.size >= pool.at_most:
            return
        if (
            pool.size < pool.share
            or self._fitting(pool.plan.resources, beside=self._pools) > 0
        ):
            pool.starting += 1
            start = asyncio.get_running_loop().create_task(self._start(pool))
            self._starts.add(start)
            start.add_done_callback(self._starts.discard)

    async def _start(self, pool: Pool) -> None:
        """Start a worker; whatever comes of it, those who wait for one look again."""
        worker: Any = None
        try:
            wanted = pool.plan.resources
            options: dict[str, Any] = {
                "num_cpus": wanted.cpus,
                "num_gpus": wanted.gpus,
                "max_restarts": 0,
                "max_task_retries": 0,
            }
            worker = ray.remote(StageWorker).options(**options).remote(pool.pickled)
            await self._placed(pool, worker)
            fault = await _answer(worker.set_up.remote())
            if fault is not None:
                raise fault.error()
            pool.workers.append(worker)
            pool.idle[worker] = asyncio.get_running_loop().time()
        except WORKER_DEATHS as error:
            self._died_early(pool, error)
        except _NotNeededError:
            pass
        except SdgError as error:
            self._failure = error
        finally:
            pool.starting -= 1
            if worker is not None and worker not in pool.workers:
                ray.kill(worker)
            async with self._changed:
                self._changed.notify_all()

    def _died_early(self, pool: Pool, error: Exception) -> None:
        """A worker has died before it was set up; those that die at the same time have died with their node."""
        now = asyncio.get_running_loop().time()
        pool.deaths += now - pool.last_death > _BURST
        pool.last_death = now
        if pool.deaths >= MAX_FAILED_STARTS:
            self._failure = RunAbortedError(
                f"{pool.plan.label}: {MAX_FAILED_STARTS} workers in a row died during setup: {_brief(error)}",
                remedy="Ray's logs (/tmp/ray/session_latest/logs on the node) have their output; fix "
                "the cause and run again",
            )

    async def _placed(self, pool: Pool, worker: Any) -> None:
        """Wait until Ray has found a place for a worker, and make room for it. Raises RunAbortedError."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        placed = asyncio.ensure_future(_answer(worker.__ray_ready__.remote()))
        told = False
        while not (await asyncio.wait([placed], timeout=_POLL_INTERVAL))[0]:
            if pool.workers and not pool.waiting:
                placed.cancel()
                raise _NotNeededError
            waited = loop.time() - max(began, self._progress)
            if (
                waited > _NOTICE
                or self._fitting(Resources(0, 0), beside=self._pools) < 0
            ):
                await self._make_room(pool)
            if waited > _NOTICE and not told and not pool.workers:
                told = True
                self._notify(
                    f"{pool.plan.label} is waiting for a worker slot: {_requirements(pool.plan)}"
                )
            if waited > self._patience and not self._is_at_work():
                placed.cancel()
                raise RunAbortedError(
                    f"{pool.plan.label}: no worker slot within {self._patience:g} s: {_requirements(pool.plan)}",
                    remedy="add such a node to the cluster, lower the stage's resources, or raise run.stall_timeout",
                )
        await placed

    def _fitting(self, wanted: Resources, *, beside: Sequence[Pool] = ()) -> int:
        """Workers that the whole cluster has room for beside those of these pools; below 0 if these are too many for it."""
        there = self._resources()
        counts = [MAX_WORKERS]
        for kind, asked in (("CPU", "cpus"), ("GPU", "gpus")):
            taken = sum(
                pool.size * getattr(pool.plan.resources, asked) for pool in beside
            )
            free = there.get(kind, 0.0) - taken
            amount = getattr(wanted, asked)
            if amount:
                counts.append(int(free // amount))
            elif free < 0:
                return -1
        return min(counts) if beside else max(1, min(counts))

    def _resources(self) -> Mapping[str, float]:
        """What the whole cluster has, at most a second ago."""
        now = asyncio.get_running_loop().time()
        if now - self._looked > 1:
            self._there = ray.cluster_resources()  # type: ignore[no-untyped-call]
            self._looked = now
        return self._there

    def _is_at_work(self) -> bool:
        """Whether any worker of any stage has a chunk."""
        return any(len(pool.workers) > len(pool.idle) for pool in self._pools)

    def _may_take(self, pool: Pool, other: Pool) -> bool:
        """Whether a pool that waits for a place may have that of an idle worker of another."""
        if pool is other or not other.idle:
            return False
        if len(pool.workers) < pool.share and len(other.workers) > other.share:
            return True
        if other.waiting:
            return False
        if not pool.workers:
            return True
        since = next(iter(other.idle.values()))
        idle = asyncio.get_running_loop().time() - since
        return idle > _IDLE

    async def _make_room(self, pool: Pool) -> None:
        """End an idle worker of another stage, if the pool may have its place."""
        for other in self._pools:
            if self._may_take(pool, other):
                longest_idle = next(iter(other.idle))
                await self._retire(other, longest_idle)
                return

    async def _retire(self, pool: Pool, worker: Any) -> None:
        """End an idle worker. Raises FunctionError if its stage cannot be torn down."""
        del pool.idle[worker]
        pool.workers.remove(worker)
        faults = await self._torn_down(worker)
        ray.kill(worker)
        if faults:
            raise faults[0].error()


async def _answer(reference: Any) -> Any:
    return await reference


def _brief(error: Exception) -> str:
    """The first line of a message of Ray, which may have dozens, and the last, which has the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))


def _requirements(plan: StagePlan) -> str:
    """What a worker asks for, and what nodes there are."""
    wanted = plan.resources
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    there = [
        f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in nodes
    ]
    asked = f"a worker needs {wanted.cpus:g} CPU and {wanted.gpus:g} GPU"
    return f"{asked}; the cluster's nodes have {', '.join(there)}"


def function_error(plan: StagePlan, error: Exception) -> FunctionError:
    """A stage that cannot be sent to workers."""
    return FunctionError(
        f"{plan.label} cannot be sent to workers: {type(error).__name__}: {error}",
        remedy="create objects that cannot be sent (models, connections, locks) in `setup`, which runs in each worker",
    )
