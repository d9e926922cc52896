"""This process as a driver of a Ray cluster, on whose nodes model servers and the stages of a pipeline run."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import ray
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    WorkerCrashedError,
)

from sdg_core.errors import StoreError

WORKER_DEATHS = (RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError)
"""What Ray raises where a worker is gone."""


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    """This process as a driver of the cluster that RAY_ADDRESS names, of the one that runs on this machine, or of one that is
    started here; a process that is a driver already stays it. Raises StoreError."""
    if ray.is_initialized():
        yield
        return
    await asyncio.to_thread(_connect)
    _keep_signals()
    try:
        yield
    finally:
        await asyncio.to_thread(ray.shutdown)


def _connect() -> None:
    """Connect to a cluster, or start one for this run. Raises StoreError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = os.environ.get("RAY_ADDRESS", "on this machine")
        raise StoreError(
            f"the Ray cluster {where} cannot be reached: {error}",
            remedy="start it (`ray start --head`), correct RAY_ADDRESS, or set run.executor to local",
        ) from error
    # Ray prints what happens to workers on stdout, where results belong; it has no setting for this.
    ray._private.worker._worker_logs_enabled = False


def _keep_signals() -> None:
    """Put this process's handlers of signals back: Ray's core takes SIGTERM, and aborts the process three seconds later."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number))
