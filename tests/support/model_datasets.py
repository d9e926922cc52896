"""Datasets whose model server holds replies back until it is told to let go, so that a run has a middle for as long as a test
wants; and what may be said of such a run afterwards."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdg_core.store.row_groups import read_footer
from sdg_core.testing import Fault, ModelServer
from tests.support.dagster_process import DagsterHome, wait_for
from tests.support.requirements import PATIENCE
from tests.support.sdg import dataset_config, expression, llm, uuid

PARALLEL = 4
IN_FLIGHT = 2 * PARALLEL
"""Records that a run may be at work on when it is killed: their requests are on their way, or their replies not yet saved."""
SIZE = 4
"""Records, and so requests, of a row group."""
EVERYTHING = 10**6


class HeldModel:
    """A model server in a thread. It answers so many requests, and the rest once it is let go."""

    def __init__(self, server: ModelServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def asked(self) -> Counter[str]:
        """How often each record was asked for."""
        return Counter(self._server.prompts)

    def first_asked(self, count: int) -> list[str]:
        """The first so many requests, in the order in which they came."""
        return self._server.prompts[:count]

    @property
    def duplicates(self) -> list[str]:
        """Records that were asked for more than once."""
        return [prompt for prompt, count in self.asked.items() if count > 1]

    def let_go(self) -> None:
        """Answer what waits, and everything that comes."""
        self._loop.call_soon_threadsafe(self._server.let_go)


@contextmanager
def held_models(answered: Mapping[str, int]) -> Iterator[dict[str, HeldModel]]:
    """A server for each name, with the number of requests that it answers at first."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="held-models")
    thread.start()
    servers = {
        name: ModelServer(faults=script(count)) for name, count in answered.items()
    }
    try:
        for server in servers.values():
            asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield {name: HeldModel(server, loop) for name, server in servers.items()}
    finally:
        for server in servers.values():
            asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def script(answered: int) -> list[Fault | None]:
    return (
        [] if answered == EVERYTHING else [*[None] * answered, *[Fault("hang")] * 1000]
    )


def keys(first: int, last: int) -> list[str]:
    return [f"{index:05d}" for index in range(first, last + 1)]


def held_dataset(name: str, *, url: str, groups: int, **more: Any) -> dict[str, Any]:
    """Row groups of SIZE records, each record with a request that names it and is waited for as long as the model holds it."""
    columns = (
        uuid(),
        expression("about", f"{name} {{{{ id }}}}"),
        llm("text", "{{ about }}"),
    )
    sizes = {"num_records": groups * SIZE, "row_group_size": SIZE}
    config = {
        **dataset_config(*columns, endpoint=url, parallel=PARALLEL),
        **sizes,
        "name": name,
        **more,
    }
    for model in config["model_configs"]:
        model["inference_parameters"]["timeout"] = PATIENCE
    return config


def asset(name: str) -> str:
    return f"{name}/row_groups"


def on_disk(home: DagsterHome, name: str) -> set[str]:
    """Partitions with a file that lacks nothing."""
    files = (home.root / name).glob("*/row_groups/batch_*.parquet")
    return {
        Path(path).stem.removeprefix("batch_")
        for path in files
        if not read_footer(path).missing
    }


def until_recorded(home: DagsterHome, name: str, count: int) -> set[str]:
    """Wait until so many row groups are recorded."""

    def found() -> set[str] | None:
        green = home.materialized_partitions(asset(name))
        return green if len(green) >= count else None

    return wait_for(found, what=f"{count} row groups of {name}")
