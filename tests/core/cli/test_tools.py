"""Tools as the command shows them, and what becomes of their servers when it is interrupted."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from sdg_core.testing import ModelServer
from sdg_core.testing.model_answers import tool_calls
from tests.support.mcp_server import alive, calls, processes, stdio_provider
from tests.support.sdg import (
    dataset_config,
    llm,
    only_version,
    sdg,
    started_sdg,
    stored_records,
    write_config,
)


def written(folder: Path, endpoint: str | None = None, **top: Any) -> Path:
    config = dataset_config(
        llm("it", "What?", tool_alias="t"), endpoint=endpoint, num_records=1
    )
    tools = {
        "mcp_providers": [stdio_provider("words", "--log", folder / "calls.log")],
        "tool_configs": [
            {
                "tool_alias": "t",
                "providers": ["words"],
                "allow_tools": ["wait", "lookup"],
            }
        ],
    }
    return write_config(folder / "tickets.yaml", {**config, **tools, **top})


async def until(condition: Callable[[], bool], running: Callable[[], bool]) -> None:
    while not condition():
        assert running(), "the command ended before"
        await asyncio.sleep(0.01)


def test_check_models_lists_the_tools_of_each_provider(tmp_path: Path) -> None:
    outcome = sdg("check-models", written(tmp_path), "--root", tmp_path / "root")
    assert outcome.returncode == 0 and "starts the process" in outcome.stderr
    rows = outcome.stdout.splitlines()
    provider = next(row for row in rows if row.startswith("MCP provider words"))
    assert (
        " s " in provider
        and " 6 " in provider
        and "lookup, add, fail, wait, die, variable" in provider
    )
    assert any(
        row.startswith("tool_alias t") and row.rstrip().endswith("lookup, wait")
        for row in rows
    )
    assert not any(map(alive, processes(tmp_path / "calls.log")))


def test_check_models_says_what_is_wrong_with_tools_and_what_to_do(
    tmp_path: Path,
) -> None:
    absent = [{"name": "words", "provider_type": "stdio", "command": "no-such-program"}]
    outcome = sdg(
        "check-models",
        written(tmp_path, mcp_providers=absent),
        "--root",
        tmp_path / "root",
    )
    assert (
        outcome.returncode == 2
        and "no-such-program" in outcome.stdout
        and "check command, args" in outcome.stdout
    )
    misspelt = [{"tool_alias": "t", "providers": ["words"], "allow_tools": ["lokup"]}]
    outcome = sdg(
        "check-models",
        written(tmp_path, tool_configs=misspelt),
        "--root",
        tmp_path / "root",
        "--json",
    )
    assert outcome.returncode == 2
    model, provider, alias = orjson.loads(outcome.stdout)
    assert (
        model["alias"] == "writer"
        and len(provider["tools"]) == 6
        and "no provider offers 'lokup'" in alias["error"]
    )


def test_validate_shows_the_tools_and_starts_nothing(tmp_path: Path) -> None:
    outcome = sdg("validate", written(tmp_path), "--root", tmp_path / "root")
    assert outcome.returncode == 0 and "t: wait, lookup of words" in outcome.stdout
    assert processes(tmp_path / "calls.log") == []


async def test_an_interrupted_run_ends_the_server_and_is_resumed(
    tmp_path: Path,
) -> None:
    log = tmp_path / "calls.log"
    waits = [True]

    def answer(body: dict[str, Any]) -> dict[str, Any] | None:
        return (
            tool_calls(("wait", {"seconds": 600 if waits else 0}))
            if body["messages"][-1]["role"] == "user"
            else None
        )

    async with ModelServer(message=answer) as server:
        file = written(tmp_path, server.url)
        with started_sdg("generate", file, "--root", tmp_path / "root") as process:
            await until(lambda: bool(calls(log)), lambda: process.poll() is None)
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.to_thread(process.communicate)
        assert process.returncode == 3 and "Traceback" not in out + err
        assert not any(map(alive, processes(log)))
        waits.clear()
        outcome = await asyncio.to_thread(
            sdg, "generate", file, "--root", tmp_path / "root"
        )
        assert outcome.returncode == 0, outcome.stderr
    assert stored_records(only_version(tmp_path / "root"))[0]["it"] and not any(
        map(alive, processes(log))
    )


async def test_a_killed_run_leaves_no_server_behind(tmp_path: Path) -> None:
    log = tmp_path / "calls.log"
    async with ModelServer(
        message=lambda body: tool_calls(("wait", {"seconds": 600}))
    ) as server:
        with started_sdg(
            "generate", written(tmp_path, server.url), "--root", tmp_path / "root"
        ) as process:
            await until(lambda: bool(calls(log)), lambda: process.poll() is None)
            process.kill()
        while any(map(alive, processes(log))):
            await asyncio.sleep(0.01)
