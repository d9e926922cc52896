"""The floor for W2 to W5: a bare aiohttp loop, which validates and keeps nothing. Prints seconds and CPU seconds.

A request that fails is sent again until it has an answer; a refused one waits as long as the server
says, without a slot. With `--packages` it imports the packages of this project first and uses none
of them: the start-up that no code of ours can avoid.
"""

import asyncio
import importlib
import json
import sys
import time

import aiohttp
import orjson

BATCH_SIZE = 64
PAUSE = 0.5
"""Seconds before a refused request is sent again, if the server names none."""
PACKAGES = (
    "pydantic.main",
    "pydantic.types",
    "yaml",
    "typer",
    "numpy.random",
    "pyarrow.parquet",
    "polars",
    "sqlite3",
    "jinja2",
    "minijinja",
)
"""What `sdg generate` imports of others for a dataset with a model, beside aiohttp and orjson."""


async def main(url: str, records: int, calls: int) -> None:
    prompts = ["Write a support ticket.", "STRUCTURE the ticket.", "JUDGE the ticket."][
        :calls
    ]
    room = asyncio.Semaphore(BATCH_SIZE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, headers={"content-type": "application/json"}
    ) as session:

        async def ask(prompt: str, number: int) -> None:
            body = {
                "model": "mock",
                "messages": [{"role": "user", "content": f"{prompt} Number {number}."}],
            }
            data = orjson.dumps(body)
            while (pause := await attempt(data)) is not None:
                await asyncio.sleep(pause)

        async def attempt(data: bytes) -> float | None:
            """None once there is an answer, else how long to wait."""
            try:
                async with (
                    room,
                    session.post(f"{url}/chat/completions", data=data) as response,
                ):
                    content = await response.read()
                    if response.status == 429:
                        return float(response.headers.get("retry-after", PAUSE))
                    response.raise_for_status()
                    orjson.loads(content)
            except (aiohttp.ClientError, orjson.JSONDecodeError):
                return 0.0
            return None

        async def record(number: int) -> None:
            for prompt in prompts:
                await ask(prompt, number)

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(record(number) for number in range(records)))
        print(
            json.dumps(
                {
                    "seconds": time.perf_counter() - began,
                    "cpu": time.process_time() - cpu,
                }
            )
        )


if __name__ == "__main__":
    if "--packages" in sys.argv:
        for package in PACKAGES:
            importlib.import_module(package)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
