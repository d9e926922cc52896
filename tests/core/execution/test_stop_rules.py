"""Work in which nothing succeeds ends by itself, and says what the server said."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import RunAbortedError
from sdg_core.execution.stop_rules import unless_stalled
from tests.support.sdg import (
    ServerProcess,
    dataset_config,
    llm,
    sdg,
    uuid,
    write_config,
)


def refused(server: ServerProcess, directory: Path, **run: Any) -> Path:
    config = dataset_config(
        uuid(),
        llm("text", "{{ id }}"),
        endpoint=server.url,
        run={"stall_timeout": 3.0, **run},
    )
    return write_config(directory / "tickets.yaml", config)


def test_a_preview_ends_when_the_server_only_refuses(tmp_path: Path) -> None:
    with ServerProcess("--rate", "limited=1.0") as server:
        done = sdg("preview", refused(server, tmp_path), "--root", tmp_path / "data")
    assert (
        done.returncode == 2
        and "nothing has succeeded" in done.stderr
        and "slow down" in done.stderr
    )


def test_a_run_names_what_the_server_refuses_with(tmp_path: Path) -> None:
    with ServerProcess("--rate", "limited=1.0") as server:
        dataset = api.open_dataset(
            refused(server, tmp_path), root=str(tmp_path / "data")
        )
        with pytest.raises(
            RunAbortedError, match=r"the last failure: model 'writer': .*slow down"
        ):
            api.generate(dataset)


async def test_work_that_ends_first_gives_its_result_or_its_error() -> None:
    async def broken() -> None:
        raise ValueError("of the work")

    assert await unless_stalled(asyncio.sleep(0, "made"), asyncio.sleep(60)) == "made"
    with pytest.raises(ValueError, match="of the work"):
        await unless_stalled(broken(), asyncio.sleep(60))
