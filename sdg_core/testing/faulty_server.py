"""What the model servers have in common: they count what they are asked, and misbehave when told to.

Faults come from a script (used up in the order of arrival) or at a rate; which requests a rate hits depends only on the prompt
and on how often it was asked, never on timing.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import orjson
from aiohttp import web

from sdg_core.testing.model_faults import Fault, FaultKind


def answer_to(prompt: str) -> str:
    """The server's reply to a prompt."""
    return f"answer {hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()} to {prompt[:40]}"


def check_shares(shares: Sequence[float]) -> None:
    """Raise ValueError unless each is between 0 and 1, and all together at most 1."""
    # sums of decimal fractions may be off by a little
    if any(not 0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
        raise ValueError(
            f"shares of requests lie between 0 and 1, and add up to at most 1, not {shares}"
        )


class FaultyServer(ABC):
    """A server on 127.0.0.1 that is told how to misbehave.

    Counts what it sees: `requests` (the bodies), `headers`, `prompts`, `statuses` sent, `checks` (requests for the list of
    models), tokens `billed` in answers, `peak` of requests open at once.

    faults: for the requests in the order of arrival; None for one that is answered. rates: faults and the shares of requests
    that they hit, which depend on the prompt only. latency: seconds before every answer. api_key: the only one that is accepted.
    answer: the text for a prompt. port: 0 for any that is free. Raises ValueError for shares that are none.
    """

    _prefix = ""
    """What follows the port in `url`."""

    def __init__(
        self,
        *,
        faults: Iterable[Fault | None] = (),
        rates: Iterable[tuple[Fault, float]] = (),
        latency: float = 0.0,
        api_key: str | None = None,
        answer: Callable[[str], str] = answer_to,
        port: int = 0,
    ) -> None:
        self.script = deque(faults)
        self.rates = list(rates)
        check_shares([share for _, share in self.rates])
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
        self._answer = answer
        self._port = port
        self._times_asked: Counter[str] = Counter()
        self._let_go = asyncio.Event()
        self._is_stopping = False
        self._changed = asyncio.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/stats", self._stats)
        app.router.add_routes(self._routes())
        self._loop = asyncio.get_running_loop()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}{self._prefix}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_stopping = True
        self._let_go.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def let_go(self) -> None:
        """Answer the hanging requests. Any thread may call it."""
        assert self._loop is not None, "the server has not been started"
        self._loop.call_soon_threadsafe(self._let_go.set)

    async def seen(self, count: int) -> None:
        """Wait until `count` requests have arrived. For tests that run in the server's event loop."""
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

    @abstractmethod
    def _routes(self) -> list[web.RouteDef]:
        """What it answers besides the list of models and its counters."""

    @abstractmethod
    def _refuse_key(self, request: web.Request) -> web.Response | None:
        """The answer to a request without the right key."""

    @abstractmethod
    def _error(self, message: str, *, status: int) -> dict[str, Any]:
        """An error as this API words it."""

    @abstractmethod
    def _altered(self, reply: dict[str, Any], kind: FaultKind) -> dict[str, Any]:
        """A reply as a server that misbehaves in that way would send it."""

    async def _handle(
        self,
        request: web.Request,
        *,
        prompt: Callable[[dict[str, Any]], str],
        refuse: Callable[[dict[str, Any]], web.Response | None],
        reply: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> web.StreamResponse:
        """Record a request, then refuse it, misbehave or reply.

        prompt, refuse, reply: of the request's body.
        """
        body = orjson.loads(await request.read())
        asked = prompt(body)
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            await self._record(body, prompt=asked, headers=request.headers)
            refused = self._refuse_key(request)
            if refused is not None:
                return refused
            fault = self._next_fault(asked)
            if self.latency:
                await asyncio.sleep(self.latency)
            refused = refuse(body)
            if refused is not None:
                return refused
            if fault is None:
                return self._json(reply(body))
            return await self._misbehave(request, fault, lambda: reply(body))
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

    async def _misbehave(
        self, request: web.Request, fault: Fault, reply: Callable[[], dict[str, Any]]
    ) -> web.StreamResponse:
        match fault.kind:
            case "limited" | "status":
                error = self._error(fault.message, status=fault.status)
                return self._json(error, status=fault.status, headers=fault.headers)
            case "reset":
                return self._cut(request)
            case "truncated":
                return await self._truncate(request, orjson.dumps(reply()))
            case "html":
                return web.Response(
                    text="<html><body>Bad gateway</body></html>",
                    content_type="text/html",
                )
            case "broken_json":
                return web.Response(
                    body=orjson.dumps(reply())[:-7], content_type="application/json"
                )
            case "slow":
                await asyncio.sleep(fault.delay)
            case "hang":
                await self._let_go.wait()
                if self._is_stopping:
                    return self._cut(request)
        return self._json(self._altered(reply(), fault.kind))

    async def _models(self, request: web.Request) -> web.Response:
        self.checks += 1
        return self._refuse_key(request) or self._json({"object": "list", "data": []})

    async def _stats(self, _: web.Request) -> web.Response:
        return web.Response(
            body=orjson.dumps(self.stats()), content_type="application/json"
        )

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
