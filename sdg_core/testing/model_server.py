"""A real HTTP server that answers OpenAI chat completions, and misbehaves on request.

Replies are a function of the prompt, so a test knows what a rerun must produce.

In a test: `async with ModelServer() as server: ... server.url`. GET /stats has the counters. `python -m sdg_core.testing` runs
one as a process.
"""

import base64
from collections.abc import Callable, Iterable
from typing import Any, Literal

from aiohttp import web

from sdg_core.testing.faulty_server import FaultyServer, answer_to
from sdg_core.testing.model_answers import PNG, embeddings_for, json_answer, text_of
from sdg_core.testing.model_faults import Fault, FaultKind

Formats = Literal["held", "ignored", "refused", "crashes"]
"""What becomes of `response_format`: held to, ignored without a word, refused with a 400, a 500 that names nothing."""


class ModelServer(FaultyServer):
    """Chat completions, embeddings and images as OpenAI's API has them, on 127.0.0.1.

    formats: what becomes of `response_format`. message: takes the place of what is answered to a request's body, unless it
    returns None. The other arguments and the counters are those of `FaultyServer`.
    """

    _prefix = "/v1"

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
        super().__init__(
            faults=faults,
            rates=rates,
            latency=latency,
            api_key=api_key,
            answer=answer,
            port=port,
        )
        self.formats = formats
        self._message = message

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self._chat),
            web.post("/v1/embeddings", self._embeddings),
            web.post("/v1/images/generations", self._images),
            web.get("/image.png", self._image),
        ]

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(
            request,
            prompt=lambda body: text_of(body["messages"][-1]),
            refuse=self._refuse_format,
            reply=self._completion,
        )

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(
            request,
            prompt=lambda body: str(body["input"][0]),
            refuse=lambda body: None,
            reply=embeddings_for,
        )

    async def _images(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(
            request,
            prompt=lambda body: str(body["prompt"]),
            refuse=lambda body: None,
            reply=self._made_image,
        )

    async def _image(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers)
        return web.Response(body=PNG, content_type="image/png")

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

    def _made_image(self, body: dict[str, Any]) -> dict[str, Any]:
        row = {"b64_json": base64.b64encode(PNG).decode()}
        if body.get("response_format") != "b64_json":
            row = {"url": self.url.removesuffix("/v1") + "/image.png"}
        usage = {"input_tokens": 3, "output_tokens": 5}
        return {"created": 1, "data": [row], "usage": usage}

    def _refuse_format(self, body: dict[str, Any]) -> web.Response | None:
        if "response_format" not in body or self.formats in ("held", "ignored"):
            return None
        if self.formats == "refused":
            return self._json(
                {"error": {"message": "response_format is not supported"}}, status=400
            )
        return self._json({"error": {"message": "internal error"}}, status=500)

    def _refuse_key(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if self.api_key is None or given == f"Bearer {self.api_key}":
            return None
        # some servers do repeat the key
        message = f"Incorrect API key provided: {given.removeprefix('Bearer ')}"
        return self._json({"error": {"message": message}}, status=401)

    def _error(self, message: str, *, status: int) -> dict[str, Any]:
        return {"error": {"message": message, "type": "injected"}}

    def _altered(self, reply: dict[str, Any], kind: FaultKind) -> dict[str, Any]:
        match kind:
            case "no_choices":
                return {"error": {"message": "upstream failed"}}
            case "no_usage":
                del reply["usage"]
            case "another_model":
                reply["model"] = "the-only-one"
            case "null_content" | "length" | "cut" if "choices" in reply:
                _alter_choice(reply["choices"][0], kind)
        return reply


def _alter_choice(choice: dict[str, Any], kind: FaultKind) -> None:
    text = choice["message"]["content"]
    if kind == "null_content":
        choice["message"]["content"] = None
        return
    choice["finish_reason"] = "length"
    if kind == "cut" and text is not None:
        choice["message"]["content"] = text[: len(text) // 2]
