"""A real HTTP server that answers OpenAI chat completions, and misbehaves on request.

Replies are a function of the prompt, so a test knows what a rerun must produce. Faults come from a script (used up in the order
of arrival) or at a rate; which requests a rate hits depends only on the prompt and on how often it was asked, never on timing.

In a test: `async with ModelServer() as server: ... server.url`. GET /stats has the counters. `python -m sdg_core.testing` runs
one as a process.
"""

import asyncio
import base64
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self

import orjson
from aiohttp import web

from sdg_core.testing.model_answers import PNG, embeddings_for, json_answer, text_of
from sdg_core.testing.model_faults import Fault, alter


def answer_to(prompt: str) -> str:
    """What the server says to a prompt."""
    return f"answer {hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()} to {prompt[:40]}"


Formats = Literal["held", "ignored", "refused", "crashes"]
"""What becomes of `response_format`: held to, ignored without a word, refused with a 400, a 500 that names nothing."""


class ModelServer:
    """Chat completions, embeddings and images as OpenAI's API has them, on 127.0.0.1.

    Counts what it sees: `requests` (the bodies), `headers`, `prompts`, `statuses` sent, tokens `billed` in answers, `peak` of
    requests open at once.

    faults: for the requests in the order of arrival; None for one that is answered. rates: faults and the shares of requests
    that they hit, which depend on the prompt only. latency: seconds before every answer. api_key: the only one that is accepted.
    answer: the text for a prompt. formats: what becomes of `response_format`. message: takes the place of what is answered to a
    request's body, unless it returns None. port: 0 for any that is free.
    """

    def __init__(
        self,
        *,
        faults: Iterable[Fault | None] = (),
        rates: Iterable[tuple[Fault, float]] = (),
        latency: float = 0.0,
        api_key: str | None = None,
        answer: Callable[[str], str] = answer_to,
        formats: Formats = "held",
        message: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda body: None,
        port: int = 0,
    ) -> None:
        self.script = deque(faults)
        self.rates = list(rates)
        self.latency = latency
        self.api_key = api_key
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.prompts: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.billed: Counter[str] = Counter()
        self.checks = 0
        self.open = 0
        self.peak = 0
        self.url = ""
        self.formats = formats
        self._answer = answer
        self._message = message
        self._port = port
        self._times_asked: Counter[str] = Counter()
        self._let_go = asyncio.Event()
        self._is_stopping = False
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/images/generations", self._images)
        app.router.add_get("/image.png", self._image)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/stats", self._stats)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_stopping = True
        self.let_go()
        assert self._runner is not None
        await self._runner.cleanup()

    def let_go(self) -> None:
        """Answer the requests that hang."""
        self._let_go.set()

    async def seen(self, count: int) -> None:
        """Wait until `count` chat requests have arrived."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    def stats(self) -> dict[str, Any]:
        """The counters, as GET /stats has them."""
        statuses = {str(code): number for code, number in sorted(self.statuses.items())}
        asked = self._times_asked.most_common(1)
        return {
            "requests": len(self.requests),
            "peak": self.peak,
            "statuses": statuses,
            "distinct_prompts": len(self._times_asked),
            "most_asked": asked[0][1] if asked else 0,
            "prompts": self.prompts,
        }

    async def _stats(self, _: web.Request) -> web.Response:
        return web.Response(
            body=orjson.dumps(self.stats()), content_type="application/json"
        )

    async def _models(self, request: web.Request) -> web.Response:
        self.checks += 1
        return self._refuse_key(request) or self._json({"object": "list", "data": []})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        prompt = text_of(body["messages"][-1])
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            await self._record(body, prompt=prompt, headers=request.headers)
            refused = self._refuse_key(request)
            if refused is not None:
                return refused
            fault = self._next_fault(prompt)
            if self.latency:
                await asyncio.sleep(self.latency)
            return self._refuse_format(body) or await self._respond(
                request, body, fault
            )
        finally:
            self.open -= 1

    async def _record(
        self, body: dict[str, Any], *, prompt: str, headers: Mapping[str, str]
    ) -> None:
        self.requests.append(body)
        self.prompts.append(prompt)
        self.headers.append(headers)
        self._times_asked[prompt] += 1
        async with self._changed:
            self._changed.notify_all()

    def _next_fault(self, prompt: str) -> Fault | None:
        if self.script:
            return self.script.popleft()
        if not self.rates:
            return None
        digest = hashlib.blake2b(
            f"{self._times_asked[prompt]} {prompt}".encode(), digest_size=8
        ).digest()
        drawn = int.from_bytes(digest, "little") / 2**64
        for fault, rate in self.rates:
            if drawn < rate:
                return fault
            drawn -= rate
        return None

    async def _respond(
        self, request: web.Request, body: dict[str, Any], fault: Fault | None
    ) -> web.StreamResponse:
        if fault is None:
            return self._json(self._completion(body))
        match fault.kind:
            case "limited" | "status":
                error = {"error": {"message": fault.message, "type": "injected"}}
                return self._json(error, status=fault.status, headers=fault.headers)
            case "reset":
                return self._cut(request)
            case "truncated":
                return await self._truncate(
                    request, orjson.dumps(self._completion(body))
                )
            case "html":
                return web.Response(
                    text="<html><body>Bad gateway</body></html>",
                    content_type="text/html",
                )
            case "broken_json":
                return web.Response(
                    body=orjson.dumps(self._completion(body))[:-7],
                    content_type="application/json",
                )
            case "slow":
                await asyncio.sleep(fault.delay)
            case "hang":
                await self._let_go.wait()
                if self._is_stopping:
                    return self._cut(request)
        return self._json(alter(self._completion(body), fault.kind))

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = text_of(body["messages"][-1])
        text = json_answer(body, prompt, held=self.formats == "held") or self._answer(
            prompt
        )
        message = self._message(body) or {"role": "assistant", "content": text}
        prompt_tokens = sum(len(text_of(each).split()) for each in body["messages"])
        completion_tokens = len(text.split())
        self.billed.update(
            prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
        return {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
                "prompt_tokens_details": {"cached_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        }

    def _refuse_format(self, body: dict[str, Any]) -> web.Response | None:
        if "response_format" not in body or self.formats in ("held", "ignored"):
            return None
        if self.formats == "refused":
            return self._json(
                {"error": {"message": "response_format is not supported"}}, status=400
            )
        return self._json({"error": {"message": "internal error"}}, status=500)

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        await self._record(body, prompt=body["input"][0], headers=request.headers)
        fault = self._next_fault(body["input"][0])
        if fault is not None:
            return await self._respond(request, body, fault)
        return self._json(embeddings_for(body))

    async def _images(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        await self._record(body, prompt=body["prompt"], headers=request.headers)
        row = {"b64_json": base64.b64encode(PNG).decode()}
        if body.get("response_format") != "b64_json":
            row = {"url": self.url.removesuffix("/v1") + "/image.png"}
        return self._json(
            {
                "created": 1,
                "data": [row],
                "usage": {"input_tokens": 3, "output_tokens": 5},
            }
        )

    async def _image(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers)
        return web.Response(body=PNG, content_type="image/png")

    def _refuse_key(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if self.api_key is None or given == f"Bearer {self.api_key}":
            return None
        # some servers do repeat the key
        message = f"Incorrect API key provided: {given.removeprefix('Bearer ')}"
        return self._json({"error": {"message": message}}, status=401)

    def _json(
        self,
        content: Any,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        self.statuses[status] += 1
        return web.Response(
            body=orjson.dumps(content),
            status=status,
            headers=headers,
            content_type="application/json",
        )

    def _cut(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _truncate(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Length": str(len(body)),
                "Content-Type": "application/json",
            }
        )
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response
