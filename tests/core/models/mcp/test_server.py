"""Tool servers, real ones: started, reached over HTTP, lost, and ended."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import TypeAdapter

from sdg_core.config.tools import McpProvider
from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.models.mcp.server import McpServer, ToolResult
from tests.support.mcp_server import (
    alive,
    calls,
    http_server,
    processes,
    stdio_provider,
)
from tests.support.ports import free_port
from tests.support.requirements import PATIENCE

TOOLS = ("lookup", "add", "fail", "wait", "die", "variable")


def server_of(provider: dict[str, Any], **env: str) -> McpServer:
    return McpServer(
        TypeAdapter(McpProvider).validate_python(provider), env=env, base=None
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "calls.log"


@pytest.mark.parametrize("kind", ["stdio", "sse", "streamable_http"])
async def test_tools_are_listed_and_called_over_each_transport(
    kind: str, log: Path
) -> None:
    async def use(provider: dict[str, Any]) -> None:
        server = server_of(provider)
        try:
            tools = await server.tools()
            assert tuple(tool.name for tool in tools) == TOOLS
            assert tools[0].description == "Say what a word means." and tools[
                0
            ].parameters["required"] == ["word"]
            both = await asyncio.gather(
                server.call("lookup", {"word": "quay"}, timeout=PATIENCE),
                server.call("add", {"first": 2, "second": 3}, timeout=PATIENCE),
            )
            assert both == [ToolResult("quay means yauq"), ToolResult("5")]
        finally:
            await server.aclose()

    if kind == "stdio":
        await use(stdio_provider("tools", "--log", log))
        assert len(processes(log)) == 1 and not alive(processes(log)[0])
    else:
        with http_server(kind, "--log", log) as (url, _):
            await use({"name": "tools", "provider_type": kind, "endpoint": url})
    assert sorted(calls(log)) == [
        'add {"first": 2, "second": 3}',
        'lookup {"word": "quay"}',
    ]


async def test_what_goes_wrong_inside_a_tool_is_a_result(log: Path) -> None:
    server = server_of(stdio_provider("tools", "--log", log))
    try:
        failed = await server.call("fail", {"why": "no such street"}, timeout=PATIENCE)
        assert failed.failed and "no such street" in failed.text
        wrong = await server.call("add", {"first": "x"}, timeout=PATIENCE)
        assert wrong.failed and "second" in wrong.text
        late = await server.call("wait", {"seconds": 60}, timeout=0.2)
        assert late == ToolResult("no result within 0.2 s", failed=True)
        assert await server.call(
            "add", {"first": 1, "second": 1}, timeout=PATIENCE
        ) == ToolResult("2")
    finally:
        await server.aclose()
    assert len(processes(log)) == 1


async def test_a_server_that_dies_is_started_again_and_the_call_made_once_more(
    log: Path, tmp_path: Path
) -> None:
    server = server_of(stdio_provider("tools", "--log", log))
    try:
        again = await server.call(
            "die", {"once": str(tmp_path / "died")}, timeout=PATIENCE
        )
        assert again == ToolResult("alive") and len(processes(log)) == 2
        with pytest.raises(
            TransientModelError,
            match="MCP provider 'tools' closed the connection twice",
        ):
            await server.call("die", {}, timeout=PATIENCE)
        assert (
            await server.call("lookup", {"word": "ab"}, timeout=PATIENCE)
        ).text == "ab means ba"
    finally:
        await server.aclose()
    assert len(processes(log)) == 4 and not any(map(alive, processes(log)))


@pytest.mark.parametrize("kind", ["sse", "streamable_http"])
async def test_a_server_that_has_been_started_anew_is_connected_to_again(
    kind: str, log: Path
) -> None:
    port = str(free_port())
    with http_server(kind, "--log", log, "--port", port) as (url, pid):
        server = server_of({"name": "tools", "provider_type": kind, "endpoint": url})
        try:
            assert (
                await server.call("lookup", {"word": "ab"}, timeout=PATIENCE)
            ).text == "ab means ba"
            os.kill(pid, signal.SIGKILL)
            with http_server(kind, "--log", log, "--port", port):
                assert (
                    await server.call("lookup", {"word": "cd"}, timeout=PATIENCE)
                ).text == "cd means dc"
            with pytest.raises(TransientModelError, match="MCP provider 'tools'"):
                await server.call("lookup", {"word": "ef"}, timeout=PATIENCE)
        finally:
            await server.aclose()


async def test_a_cancelled_call_leaves_the_server_usable(log: Path) -> None:
    server = server_of(stdio_provider("tools", "--log", log))
    try:
        await server.tools()
        task = asyncio.create_task(server.call("wait", {"seconds": 60}, timeout=100))
        while not calls(log):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (
            await server.call("lookup", {"word": "ab"}, timeout=PATIENCE)
        ).text == "ab means ba"
    finally:
        await server.aclose()
    assert len(processes(log)) == 1


async def test_cancelling_while_a_server_starts_ends_it(log: Path) -> None:
    server = server_of(stdio_provider("tools", "--log", log))
    task = asyncio.create_task(server.tools())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.aclose()
    assert not any(map(alive, processes(log)))
    assert len(await server.tools()) == len(TOOLS), "and it can be opened later"
    await server.aclose()


async def test_a_process_that_does_not_listen_to_signals_is_ended_too(
    log: Path,
) -> None:
    server = server_of(stdio_provider("tools", "--log", log, "--ignore-sigterm"))
    await server.tools()
    task = asyncio.create_task(server.call("wait", {"seconds": 60}, timeout=100))
    while not calls(log):
        await asyncio.sleep(0.01)
    task.cancel()
    await server.aclose()
    assert not any(map(alive, processes(log)))


async def test_a_server_that_cannot_be_started_is_named_with_what_it_wrote(
    tmp_path: Path,
) -> None:
    absent = server_of(
        {"name": "tools", "provider_type": "stdio", "command": "no-such-program"}
    )
    with pytest.raises(
        PermanentModelError, match=r"'tools' cannot be used: .*no-such-program"
    ) as error:
        await absent.tools()
    assert "check command, args and env" in str(error.value)
    broken = server_of(
        stdio_provider(
            "tools", "--refuse", "the token SECRET42 is not valid", env={"T": "T"}
        ),
        T="SECRET42",
    )
    with pytest.raises(
        PermanentModelError, match=r"it wrote: the token \[secret\] is not valid"
    ):
        await broken.tools()


@pytest.mark.parametrize("kind", ["sse", "streamable_http"])
async def test_an_address_where_nobody_listens(kind: str) -> None:
    server = server_of(
        {"name": "tools", "provider_type": kind, "endpoint": "http://127.0.0.1:9/mcp"}
    )
    with pytest.raises(
        PermanentModelError, match="MCP provider 'tools' cannot be used"
    ) as error:
        await server.tools()
    assert "mcp_providers[tools].endpoint" in str(error.value)


@pytest.mark.parametrize("kind", ["sse", "streamable_http"])
async def test_a_key_is_sent_and_a_refusal_says_so_without_it(kind: str) -> None:
    given: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        given.append(request.headers.get("Authorization", ""))
        return web.Response(status=401, text=f"wrong: {given[-1]}")

    app = web.Application()
    app.router.add_route("*", "/mcp", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        server = server_of(
            {
                "name": "t",
                "provider_type": kind,
                "endpoint": endpoint,
                "api_key": "KEY",
            },
            KEY="s3cret",
        )
        with pytest.raises(PermanentModelError, match="401") as error:
            await server.tools()
        assert set(given) == {"Bearer s3cret"} and "s3cret" not in str(error.value)
        assert "check mcp_providers[t].api_key" in str(error.value)
    finally:
        await runner.cleanup()


async def test_variables_reach_the_process_under_their_own_names_and_no_others() -> (
    None
):
    server = server_of(
        stdio_provider("tools", env={"TOKEN": "OUR_TOKEN"}),
        OUR_TOKEN="s3cret",
        OTHER="x",
    )
    try:
        told = await server.call("variable", {"name": "TOKEN"}, timeout=PATIENCE)
        assert told.text == "[secret]", "it is there, but is not shown"
        assert (
            await server.call("variable", {"name": "OUR_TOKEN"}, timeout=PATIENCE)
        ).text == "not set"
    finally:
        await server.aclose()


def test_a_variable_that_is_not_set_is_named_before_anything_starts() -> None:
    with pytest.raises(
        PermanentModelError, match="environment variable OUR_TOKEN, which is not set"
    ):
        server_of(stdio_provider("tools", env={"TOKEN": "OUR_TOKEN"}))
    with pytest.raises(
        PermanentModelError, match="environment variable KEY, which is not set"
    ):
        server_of(
            {
                "name": "t",
                "provider_type": "sse",
                "endpoint": "http://h/",
                "api_key": "KEY",
            }
        )


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdg_core.models.mcp.server.find_spec", lambda name: None)
    with pytest.raises(PermanentModelError, match=r"sdg-dagster\[mcp\]"):
        server_of(stdio_provider("tools"))
