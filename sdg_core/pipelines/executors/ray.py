"""Stages on the machines of a Ray cluster.

The driver, which is the process that runs the pipeline, deals out chunks of tasks as references to objects in Ray's store and
gets verdicts back; between two stages that both run here the values never pass through it. A worker or a node that dies costs
the chunks that it had: they are done again, and so are those that made values which lay on a lost node. A chunk whose workers
die again and again is halved, so that the record that kills them fails alone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import ObjectLostError

from sdg_core.counts import counted
from sdg_core.custom import Failed
from sdg_core.errors import StoreError
from sdg_core.models.serving.ray_driver import WORKER_DEATHS, connected
from sdg_core.pipelines.executors.base import StageExecutor
from sdg_core.pipelines.executors.ray_pool import Pool, Pools, function_error
from sdg_core.pipelines.executors.ray_worker import (
    Pick,
    StageFault,
    Values,
    Verdict,
    pack,
    unpack,
)
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.tasks import Outcome, Task

MAX_DEATHS = 3
"""Workers that may die over one chunk of a single batch before its tasks fail."""
CHUNK = 64
"""Records of a chunk, at most, unless a batch is larger."""
CHUNKS_PER_WORKER = 4
"""Chunks that the tasks of one call are divided into for each worker, so that a slow one does not hold up the others."""


class _ChunkLostError(Exception):
    """A chunk cannot be done, and why."""


class _NotSendableError(Exception):
    """Values that cannot be sent to another process, and why."""


@dataclass(eq=False)
class _Payload:
    """Values in Ray's store. made_by: what to do again if they are lost; None for what this process has put there."""

    reference: Any
    made_by: "_Chunk | None" = None
    verdicts: list[Verdict] = field(default_factory=list)
    restoring: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Tasks for a pool: where the values of each are."""

    pool: Pool
    picks: list[Pick]
    payloads: list[_Payload]


class _RemoteValues(Mapping[str, Any]):
    """The values of a task that are in Ray's store. Only this executor is ever given them."""

    def __init__(self, payload: _Payload, place: int) -> None:
        self.payload = payload
        self.place = place

    def __getitem__(self, name: str) -> Any:
        raise LookupError(f"{name!r} is in Ray's object store")

    def __iter__(self) -> Iterator[str]:
        raise LookupError("the values are in Ray's object store")

    def __len__(self) -> int:
        raise LookupError("the values are in Ray's object store")


@asynccontextmanager
async def ray_executor(
    stages: Sequence[StagePlan], *, patience: float, on_notice: Callable[[str], None]
) -> AsyncIterator[StageExecutor]:
    """Stages on the cluster that RAY_ADDRESS names, on the one that runs on this machine, or on one that is started here.

    Every stage has been set up once when it begins. patience: seconds that a stage waits for a place while nothing goes on.
    Raises FunctionError, RunAbortedError, StoreError.
    """
    async with connected():
        pools = Pools(patience=patience, on_notice=on_notice)
        pickled = [_pickled(plan) for plan in stages]
        executor = RayExecutor(pools.add(stages, pickled), pools)
        try:
            await executor.set_up()
            yield executor
        finally:
            await pools.close()


class RayExecutor:
    """Runs stages in pools of workers. pools: by the place of their stage."""

    def __init__(self, by_place: Mapping[int, Pool], pools: Pools) -> None:
        self._by_place = by_place
        self._pools = pools

    async def set_up(self) -> None:
        """Set up a worker of every class, in order, so that one that cannot be set up stops the run before anything is made."""
        for pool in self._by_place.values():
            if pool.plan.own is not None:
                await self._pools.release(pool, await self._pools.take(pool))

    async def run(
        self, plan: StagePlan, tasks: Sequence[Task], *, handed_to_next: bool
    ) -> list[Outcome]:
        """See `StageExecutor`."""
        pool = self._by_place[plan.place]
        size = _chunk_size(pool, len(tasks))
        chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
        async with asyncio.TaskGroup() as running:
            done = [running.create_task(self._run(pool, chunk)) for chunk in chunks]
        outcomes: list[Outcome] = []
        for made in done:
            outcomes += made.result()
        if handed_to_next:
            return outcomes
        return await self._fetched(outcomes)

    async def _run(self, pool: Pool, tasks: Sequence[Task]) -> list[Outcome]:
        """A chunk of tasks, or its halves if its workers keep dying."""
        batch = pool.plan.batch_size or 1
        divisible = len(tasks) > batch
        try:
            chunk = await _chunk(pool, tasks)
            deaths = MAX_DEATHS - 1 if divisible else MAX_DEATHS
            payload = await self._do(chunk, deaths=deaths)
        except _ChunkLostError as error:
            if not divisible:
                return [Failed(str(error), kind="worker")] * len(tasks)
            half = max(batch, len(tasks) // 2 // batch * batch)
            return [
                *await self._run(pool, tasks[:half]),
                *await self._run(pool, tasks[half:]),
            ]
        except _NotSendableError as error:
            if len(tasks) == 1:
                return [Failed(str(error), retryable=False, kind="input")]
            outcomes: list[Outcome] = []
            for task in tasks:
                outcomes += await self._run(pool, [task])
            return outcomes
        return _outcomes(payload)

    async def _do(self, chunk: _Chunk, *, deaths: int) -> _Payload:
        """A chunk done, by another worker if one dies. Raises _ChunkLostError after so many deaths, FunctionError."""
        lost = 0
        while True:
            worker = await self._pools.take(chunk.pool)
            given = [payload.reference for payload in chunk.payloads]
            verdicts, reference = worker.run.options(num_returns=2).remote(
                chunk.picks, *given
            )
            try:
                found: list[Verdict] | StageFault = await verdicts
            except ObjectLostError:
                await self._pools.release(chunk.pool, worker)
                for payload, reference in zip(chunk.payloads, given, strict=True):
                    await self._restore(payload, lost=reference)
                continue
            except WORKER_DEATHS as error:
                await self._pools.discard(chunk.pool, worker)
                lost += 1
                if lost == deaths:
                    raise _ChunkLostError(
                        f"{counted(lost, 'worker')} died over it, the last with {type(error).__name__}"
                    ) from error
                continue
            except BaseException:
                # interrupted: whatever the worker is doing is of no use any more
                await self._pools.discard(chunk.pool, worker)
                raise
            await self._pools.release(chunk.pool, worker)
            if isinstance(found, StageFault):
                raise found.error()
            return _Payload(reference, chunk, found)

    async def _restore(self, payload: _Payload, *, lost: Any) -> None:
        """Make values again that may have been on a node that died. Raises _ChunkLostError if they come out differently."""
        async with payload.restoring:
            if payload.reference is not lost:
                return
            if payload.made_by is None:
                raise StoreError(
                    "Ray's object store lost data that this process put there",
                    remedy="run again",
                )
            made = await self._do(payload.made_by, deaths=MAX_DEATHS)
            if made.verdicts != payload.verdicts:
                raise _ChunkLostError(
                    "a node was lost with its values, and the stage did not reproduce the same values"
                )
            payload.reference = made.reference

    async def _fetched(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Outcomes with their values in this process."""
        found: dict[_Payload, list[Values] | Failed] = {}
        for outcome in outcomes:
            for values in _remote(outcome):
                if values.payload not in found:
                    found[values.payload] = await self._values(values.payload)
        return [_local(outcome, found) for outcome in outcomes]

    async def _values(self, payload: _Payload) -> list[Values] | Failed:
        while True:
            reference = payload.reference
            try:
                return await asyncio.to_thread(unpack, await reference)
            except ObjectLostError:
                try:
                    await self._restore(payload, lost=reference)
                except _ChunkLostError as error:
                    return Failed(str(error), kind="worker")


def _chunk_size(pool: Pool, count: int) -> int:
    """Records of a chunk: whole batches, enough chunks for all workers, none so large that its loss would hurt."""
    batch = pool.plan.batch_size or 1
    share = -(-count // (pool.at_most * CHUNKS_PER_WORKER))
    return -(-min(share, CHUNK) // batch) * batch


async def _chunk(pool: Pool, tasks: Sequence[Task]) -> _Chunk:
    """Tasks with references to their values; what is in this process is put into the store."""
    payloads: dict[_Payload, int] = {}
    picks: list[Pick] = []
    here: list[Values] = []
    mine = _Payload(None)
    for task in tasks:
        values = task.values
        if isinstance(values, _RemoteValues):
            number = payloads.setdefault(values.payload, len(payloads))
            picks.append((number, values.place))
        else:
            number = payloads.setdefault(mine, len(payloads))
            picks.append((number, len(here)))
            here.append(values)
    if here:
        mine.reference = await asyncio.to_thread(_put, here)
    return _Chunk(pool, picks, [*payloads])


def _put(values: Sequence[Values]) -> Any:
    """Values in the store. Raises _NotSendableError."""
    try:
        payload = pack(values)
    except Exception as error:
        raise _NotSendableError(
            f"the task cannot be sent to another process: {type(error).__name__}: {error}"
        ) from error
    return ray.put(payload)


def _outcomes(payload: _Payload) -> list[Outcome]:
    """What became of the tasks of a chunk, with values where they lie."""
    outcomes: list[Outcome] = []
    place = 0
    for verdict in payload.verdicts:
        match verdict:
            case None:
                outcomes.append(_RemoteValues(payload, place))
                place += 1
            case int():
                pieces = range(place, place + verdict)
                outcomes.append([_RemoteValues(payload, piece) for piece in pieces])
                place += verdict
            case _:
                outcomes.append(verdict)
    return outcomes


def _remote(outcome: Outcome) -> list[_RemoteValues]:
    pieces = outcome if isinstance(outcome, list) else [outcome]
    return [piece for piece in pieces if isinstance(piece, _RemoteValues)]


def _local(
    outcome: Outcome, found: Mapping[_Payload, list[Values] | Failed]
) -> Outcome:
    """An outcome with its values, or the failure of the payload that they were in."""
    pieces = _remote(outcome)
    if not pieces:
        return outcome
    values = found[pieces[0].payload]
    if isinstance(values, Failed):
        return values
    made = [values[piece.place] for piece in pieces]
    return made if isinstance(outcome, list) else made[0]


def _pickled(plan: StagePlan) -> bytes:
    """A stage as it is sent to workers, the user's code in it by value: only what that imports has to be installed there.

    Raises FunctionError for what cannot be sent.
    """
    from ray import cloudpickle

    from sdg_core.plan.usercode.loader import loaded_files

    modules = loaded_files()
    for module in modules:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        data: bytes = cloudpickle.dumps(plan, protocol=5)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise function_error(plan, error) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]
    return data
