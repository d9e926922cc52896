"""A real MCP server, made with the SDK and run as a process, that says how often its tools were called.

`python tests/support/mcp_server.py stdio|sse|streamable_http [--port 0] [--log FILE]`. Over HTTP it prints its address on the
first line. Every call of a tool appends a line `<pid> <tool> <arguments>` to the log, every start a line `<pid> started`.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


class Tools:
    """What the server offers; every call is noted in a log."""

    def __init__(self, log: Path | None) -> None:
        self._log = log

    def note(self, *words: object) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(" ".join([str(os.getpid()), *map(str, words)]) + "\n")

    def lookup(self, word: str) -> str:
        """Say what a word means."""
        self.note("lookup", json.dumps({"word": word}))
        return f"{word} means {word[::-1]}"

    def add(self, first: int, second: int) -> int:
        """Add two numbers."""
        self.note("add", json.dumps({"first": first, "second": second}))
        return first + second

    def fail(self, why: str) -> str:
        """Go wrong."""
        self.note("fail", json.dumps({"why": why}))
        raise ToolError(why)

    async def wait(self, seconds: float) -> str:
        """Take long."""
        self.note("wait", json.dumps({"seconds": seconds}))
        await asyncio.sleep(seconds)
        return "waited"

    def die(self, once: str = "") -> str:
        """End the process; with the path of a file in `once` only if there is none yet."""
        self.note("die", json.dumps({"once": once}))
        if once and Path(once).exists():
            return "alive"
        if once:
            Path(once).touch()
        os._exit(3)

    def variable(self, name: str) -> str:
        """The content of an environment variable."""
        self.note("variable", json.dumps({"name": name}))
        return os.environ.get(name, "not set")


def make_server(log: Path | None, *, names: list[str] | None = None) -> MCPServer[Any]:
    """A server with these tools, default all."""
    tools = Tools(log)

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        tools.note("started")
        yield

    server: MCPServer[Any] = MCPServer("test", lifespan=lifespan, log_level="ERROR")
    for tool in (
        tools.lookup,
        tools.add,
        tools.fail,
        tools.wait,
        tools.die,
        tools.variable,
    ):
        if names is None or tool.__name__ in names:
            server.add_tool(tool)
    return server


def stdio_provider(
    name: str, *arguments: str | Path, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The provider of a server that is started."""
    return {
        "name": name,
        "provider_type": "stdio",
        "command": sys.executable,
        "args": [__file__, "stdio", *map(str, arguments)],
        **({"env": dict(env)} if env else {}),
    }


@contextmanager
def http_server(kind: str, *arguments: str | Path) -> Iterator[tuple[str, int]]:
    """A server that runs already: its address and process."""
    command = [sys.executable, __file__, kind, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            _wait_until_it_listens(url, process)
            yield url, process.pid
        finally:
            process.kill()


def _wait_until_it_listens(url: str, process: subprocess.Popen[str]) -> None:
    port = int(url.split(":")[2].split("/")[0])
    deadline = time.monotonic() + 900
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"no server listens at {url}")


def calls(log: Path) -> list[str]:
    """The tools called, in order, with their arguments."""
    lines = (
        [line.split(" ", 1)[1] for line in log.read_text(encoding="utf-8").splitlines()]
        if log.exists()
        else []
    )
    return [line for line in lines if line != "started"]


def processes(log: Path) -> list[int]:
    """Every process that has run as a server, in order."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return list(dict.fromkeys(int(line.split(" ", 1)[0]) for line in lines))


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _serve(server: MCPServer[Any], kind: str, port: int) -> None:
    import uvicorn

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    app, path = (
        (server.sse_app(), "/sse")
        if kind == "sse"
        else (server.streamable_http_app(), "/mcp")
    )
    print(f"http://127.0.0.1:{listening.getsockname()[1]}{path}", flush=True)
    await uvicorn.Server(uvicorn.Config(app, log_level="error")).serve(
        sockets=[listening]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="An MCP server for tests.")
    parser.add_argument("kind", choices=["stdio", "sse", "streamable_http"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--tools", nargs="*", help="their names; default all")
    parser.add_argument("--refuse", help="write this to stderr and end")
    parser.add_argument("--ignore-sigterm", action="store_true")
    options = parser.parse_args()
    if options.refuse:
        raise SystemExit(options.refuse)
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = make_server(options.log, names=options.tools)
    if options.kind == "stdio":
        server.run("stdio")
    else:
        asyncio.run(_serve(server, options.kind, options.port))


if __name__ == "__main__":
    main()
