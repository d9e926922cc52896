"""The floor for W2 to W4: a bare aiohttp loop, which validates, retries and keeps nothing. Prints seconds and CPU seconds."""

import asyncio
import json
import sys
import time

import aiohttp
import orjson

BATCH_SIZE = 64


async def main(url: str, records: int, calls: int) -> None:
    prompts = ["Write a support ticket.", "STRUCTURE the ticket.", "JUDGE the ticket."][:calls]
    room = asyncio.Semaphore(BATCH_SIZE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"content-type": "application/json"}) as session:

        async def ask(prompt: str, number: int) -> None:
            body = {"model": "mock", "messages": [{"role": "user", "content": f"{prompt} Number {number}."}]}
            async with room, session.post(f"{url}/chat/completions", data=orjson.dumps(body)) as response:
                orjson.loads(await response.read())

        async def record(number: int) -> None:
            for prompt in prompts:
                await ask(prompt, number)

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(record(number) for number in range(records)))
        print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
