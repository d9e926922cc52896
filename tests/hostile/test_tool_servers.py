"""Servers of tools whose answers are none, or never come: the error says so, and names the server."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sdg_core.config.tools import StdioMcpProvider
from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.models.mcp.server import McpServer
from tests.support.requirements import require_module

SERVER = """
import json
import sys

for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}}
    result = {"tools": json.loads(sys.argv[1])}
    if asked["method"] == "initialize":
        result = {"protocolVersion": asked["params"]["protocolVersion"], **about}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


@pytest.mark.parametrize(
    "tools", [[{"name": 5, "inputSchema": {"type": "object"}}], [None], "x"]
)
async def test_a_list_of_tools_that_is_none(tmp_path: Path, tools: Any) -> None:
    require_module("mcp")
    (tmp_path / "server.py").write_text(SERVER)
    arguments = ("server.py", json.dumps(tools))
    provider = StdioMcpProvider(name="odd", command=sys.executable, args=arguments)
    server = McpServer(provider, env={}, base=tmp_path)
    try:
        with pytest.raises(
            PermanentModelError, match="MCP provider 'odd' lists unusable tools"
        ):
            await server.tools()
    finally:
        await server.aclose()


SILENT = """
import json
import sys

for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked or asked["method"] == sys.argv[1]:
        continue
    answer = {"error": {"code": -32601, "message": "no such method"}}
    if asked["method"] == "initialize":
        about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}}
        answer = {"result": {"protocolVersion": asked["params"]["protocolVersion"], **about}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""


@pytest.mark.parametrize("unanswered", ["initialize", "tools/list"])
async def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, unanswered: str
) -> None:
    require_module("mcp")
    (tmp_path / "server.py").write_text(SILENT)
    provider = StdioMcpProvider(
        name="silent",
        command=sys.executable,
        args=("server.py", unanswered),
        startup_timeout_sec=0.5,
    )
    server = McpServer(provider, env={}, base=tmp_path)
    try:
        with pytest.raises(
            PermanentModelError, match="MCP provider 'silent' .* timed out after 0.5 s"
        ) as end:
            await server.tools()
        assert "raise mcp_providers[silent].startup_timeout_sec" in str(
            end.value.remedy
        )
    finally:
        await server.aclose()


async def test_a_call_of_a_server_that_is_not_ready_in_time_is_a_transient_fault(
    tmp_path: Path,
) -> None:
    require_module("mcp")
    (tmp_path / "server.py").write_text(SILENT)
    provider = StdioMcpProvider(
        name="silent",
        command=sys.executable,
        args=("server.py", "initialize"),
        startup_timeout_sec=0.5,
    )
    server = McpServer(provider, env={}, base=tmp_path)
    try:
        with pytest.raises(
            TransientModelError, match="is not ready: timed out after 0.5 s"
        ):
            await server.call("lookup", {}, timeout=60)
    finally:
        await server.aclose()


STUBBORN = """
import signal

signal.pause()
"""


def processes_in(directory: Path) -> list[str]:
    """The ids of the processes that work in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if (process / "cwd").readlink() == directory:
                found.append(process.name)
    return found


async def test_a_server_that_is_given_up_has_ended(tmp_path: Path) -> None:
    """One that neither reads nor ends is killed before anything is said of it."""
    require_module("mcp")
    (tmp_path / "server.py").write_text(STUBBORN)
    provider = StdioMcpProvider(
        name="stubborn",
        command=sys.executable,
        args=("server.py",),
        startup_timeout_sec=0.5,
    )
    server = McpServer(provider, env={}, base=tmp_path)
    with pytest.raises(
        PermanentModelError, match="MCP provider 'stubborn' .* timed out after 0.5 s"
    ):
        await server.tools()
    assert processes_in(tmp_path) == []
