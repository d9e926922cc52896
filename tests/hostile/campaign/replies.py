"""`python -m tests.hostile.campaign.replies [--runs N] [--seed N]`: runs whose every first reply is changed by chance.

A server answers each prompt with a changed reply once, and well from then on. The first run ends, whatever it met; the run
after it makes what failed, and ends like an undisturbed one: every record is there once, and a cell is what a good reply says
unless its changed reply was accepted.
"""

import argparse
import asyncio
import gzip
import hashlib
import json
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mcp.client.stdio  # noqa: F401 - takes seconds, in which the server of this process would not answer

from sdg_core import api
from tests.hostile.campaign.changed_replies import changed, good_reply
from tests.hostile.campaign.commands import KEY
from tests.hostile.campaign.commands import NUMBERS_OF_A_RUN as RECORDS
from tests.hostile.campaign.scoreboard import Scoreboard
from tests.hostile.quirks import whole
from tests.support.sdg import PROJECT, dataset_config, stored_records

Draw = random.Random
KINDS = (
    "chat",
    "structured",
    "embedding",
    "image",
    "image-chat",
    "anthropic",
    "anthropic-structured",
    "tools",
)


class ChangingServer:
    """Answers the first request with a prompt by a changed reply."""

    def __init__(self, seed: str) -> None:
        self.asked: Counter[str] = Counter()
        self.port = 0
        self._seed = seed

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", asked)
                body = await reader.readexactly(int(length[1])) if length else b""
                writer.write(self._reply(asked.split()[1].decode(), body))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the run is over
        finally:
            writer.close()

    def _reply(self, route: str, body: bytes) -> bytes:
        found = re.search(rb"ask (\d+)", body)
        prompt = f"ask {found[1].decode() if found else '-'}" + (
            " draw" if b" draw" in body else ""
        )
        self.asked[prompt] += 1
        reply = good_reply(route, prompt)
        if self.asked[prompt] > 1:
            content = json.dumps(reply).encode()
            return whole(content).replace(b"Connection: close\r\n", b"")
        draw = Draw(f"{self._seed} {prompt}")
        content = changed(draw, reply)
        roll = draw.random()
        if roll < 0.03:
            return whole(
                content, status=f"{draw.choice([400, 408, 409, 422, 500, 503, 529])} X"
            ).replace(b"Connection: close\r\n", b"")
        if roll < 0.06:
            return whole(
                gzip.compress(content)[: draw.choice([20, 10**9])],
                "Content-Encoding: gzip",
            ).replace(b"Connection: close\r\n", b"")
        return whole(content).replace(b"Connection: close\r\n", b"")


@contextmanager
def changing_server(seed: str) -> Iterator[ChangingServer]:
    """The server in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = ChangingServer(seed)

    async def start() -> asyncio.Server:
        return await asyncio.start_server(server.answer, "127.0.0.1", 0, backlog=512)

    async def stop(listening: asyncio.Server) -> None:
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result()
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def column(kind: str) -> dict[str, Any]:
    """The column whose cells a kind of request makes."""
    base = {
        "name": "made",
        "prompt": "ask {{ n }}" + (" draw" if kind == "image-chat" else ""),
        "model_alias": "w",
    }
    if kind == "embedding":
        return {
            "column_type": "embedding",
            "name": "made",
            "target_column": "text",
            "model_alias": "w",
        }
    if kind.startswith("image"):
        return {"column_type": "image", **base}
    if kind.endswith("structured"):
        schema = {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
        }
        return {"column_type": "llm-structured", **base, "output_format": schema}
    return {"column_type": "llm-text", **base} | (
        {"tool_alias": "t"} if kind == "tools" else {}
    )


def config(kind: str, port: int, records: int) -> dict[str, Any]:
    """A dataset of one such column."""
    anthropic = kind.startswith("anthropic")
    generation = (
        "image"
        if kind.startswith("image")
        else "embedding"
        if kind == "embedding"
        else "chat-completion"
    )
    server = {
        "name": "s",
        "provider_type": "stdio",
        "command": sys.executable,
        "args": [str(PROJECT / "tests" / "support" / "mcp_server.py"), "stdio"],
    }
    tools = {
        "mcp_providers": [server],
        "tool_configs": [
            {
                "tool_alias": "t",
                "providers": ["s"],
                "allow_tools": ["lookup", "fail"],
                "max_tool_call_turns": 2,
            }
        ],
    }
    return dataset_config(
        {"column_type": "expression", "name": "text", "expr": "ask {{ n }}"},
        column(kind),
    ) | {
        "num_records": records,
        "row_group_size": 50,
        "seed_config": {"source": {"seed_type": "local", "path": "numbers.csv"}},
        "model_providers": [
            {
                "name": "p",
                "provider_type": "anthropic" if anthropic else "openai",
                "endpoint": f"http://127.0.0.1:{port}" + ("" if anthropic else "/v1"),
                "api_key": "MY_KEY",
            }
        ],
        "model_configs": [
            {
                "alias": "w",
                "model": "dall-e-3" if kind == "image" else "m",
                "provider": "p",
                "inference_parameters": {
                    "generation_type": generation,
                    "timeout": 30,
                    "max_parallel_requests": 32,
                },
            }
        ],
        "run": {
            "num_retries": 0,
            "max_failure_rate": 1.0,
            "stall_timeout": 120.0,
            "max_conversation_correction_steps": 0,
            "max_conversation_restarts": 0,
        },
        **(tools if kind == "tools" else {}),
    }


def expected(kind: str, index: int, port: int) -> Any:
    """The cell of a good reply, if it is a plain value."""
    route = (
        "/messages"
        if kind.startswith("anthropic")
        else "/embeddings"
        if kind == "embedding"
        else "/chat"
    )
    reply = good_reply(route, f"ask {index}")
    value = int(hashlib.sha256(f"ask {index}".encode()).hexdigest()[:6], 16)
    if kind == "embedding":
        vector = reply["data"][0]["embedding"]
        return {"embeddings": [vector], "num_embeddings": 1, "dimension": len(vector)}
    return {"a": value} if kind.endswith("structured") else json.dumps({"a": value})


def faults_of_run(
    kind: str, seed: str, place: Path, records: int = RECORDS
) -> list[str]:
    """What is wrong with a disturbed run and the one after it."""
    (place / "numbers.csv").write_text(
        "n\n" + "\n".join(map(str, range(records))) + "\n"
    )
    found: list[str] = []
    with changing_server(seed) as server:
        dataset = api.open_dataset(
            config(kind, server.port, records),
            root=place / "root",
            base=place,
            env={"MY_KEY": KEY, "PATH": "/usr/bin:/bin"},
        )
        for healthy in (False, True):
            try:
                summary = api.generate(dataset)
            except Exception as error:  # noqa: BLE001 - no reply may end a run
                found.append(
                    f"{'second' if healthy else 'first'} run: {type(error).__name__}: {error}"[
                        :600
                    ]
                )
        asked = dict(server.asked)
    if found:
        return found
    if summary.remaining or summary.failed:
        return [
            f"{summary.remaining} remain after a run against a healthy server: {summary.first_failure}"
        ]
    rows = stored_records(summary.version)
    if sorted(rows) != [*range(records)]:
        found.append("records are missing")
    for index, row in rows.items():
        times = asked[f"ask {index}" + (" draw" if kind == "image-chat" else "")]
        if (
            not kind.startswith("image")
            and times > 1
            and kind != "tools"
            and row["made"] != expected(kind, index, 0)
        ):
            found.append(
                f"record {index}: {row['made']!r} after {times} requests"[:300]
            )
        if row["n"] != index or times > 2 and kind != "tools":
            found.append(f"record {index}: n is {row['n']}, asked {times} times")
    held = [
        str(path)
        for path in place.rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    return found + [f"{path} holds the key" for path in held]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    scoreboard = Scoreboard()
    started = time.monotonic()
    for number in range(options.runs):
        kind = KINDS[number % len(KINDS)]
        place = Path(tempfile.mkdtemp(prefix="sdg-replies-"))
        faults = faults_of_run(kind, f"{options.seed} {number}", place, options.records)
        scoreboard.add(
            f"replies: {kind}",
            f"{options.seed}/{number}",
            faults,
            tried=options.records,
        )
        if faults:
            print(kind, number, place, faults[:3], flush=True)
        else:
            shutil.rmtree(place, ignore_errors=True)
        if number % 16 == 15:
            print(f"{number + 1} runs, {time.monotonic() - started:.0f} s", flush=True)
            if options.out:
                options.out.write_text(
                    json.dumps(
                        {k: (c.tried, c.failures) for k, c in scoreboard.counts.items()}
                    )
                )
    print(scoreboard.table())


if __name__ == "__main__":
    main()
