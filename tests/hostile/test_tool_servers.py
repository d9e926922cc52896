"""Servers of tools whose answers are none: the error says so, and names the server."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sdg_core.config.tools import StdioMcpProvider
from sdg_core.errors import PermanentModelError
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


@pytest.mark.parametrize("tools", [[{"name": 5, "inputSchema": {"type": "object"}}], [None], "x"])
async def test_a_list_of_tools_that_is_none(tmp_path: Path, tools: Any) -> None:
    require_module("mcp")
    (tmp_path / "server.py").write_text(SERVER)
    arguments = ("server.py", json.dumps(tools))
    provider = StdioMcpProvider(name="odd", command=sys.executable, args=arguments)
    server = McpServer(provider, env={}, base=tmp_path)
    try:
        with pytest.raises(PermanentModelError, match="MCP provider 'odd' lists tools"):
            await server.tools()
    finally:
        await server.aclose()
