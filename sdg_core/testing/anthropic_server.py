"""A real HTTP server that answers Anthropic's Messages API as its documentation describes, and misbehaves on request."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Self

import orjson
from aiohttp import web

from sdg_core.testing.model_answers import json_of
from sdg_core.testing.model_faults import Fault
from sdg_core.testing.model_server import answer_to

_VERSIONS = ("2023-06-01", "2026-10-21")


class AnthropicServer:
    """Refuses what the real one refuses: no max_tokens, no version, turns that do not alternate, blank text, sampling
    parameters in the current version, open objects in `output_config`.

    blocks: replaces the content of replies; takes the request's body. older: speaks as the API did before `output_config`.
    """

    def __init__(
        self,
        *,
        faults: Iterable[Fault | None] = (),
        api_key: str | None = None,
        blocks: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None,
        older: bool = False,
    ) -> None:
        self.script = deque(faults)
        self.api_key = api_key
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""
        self._older = older
        self._blocks = blocks or reply_blocks
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return self._refuse_key(request) or _json({"data": []})

    async def _messages(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.requests.append(body)
        self.headers.append(request.headers)
        refused = self._refuse_key(request)
        if refused is None:
            refused = _refuse_body(body, request.headers, older=self._older)
        if refused is not None:
            return refused
        fault = self.script.popleft() if self.script else None
        if fault is not None and fault.kind in ("limited", "status"):
            kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(
                fault.status, "api_error"
            )
            return _error(
                kind, fault.message, status=fault.status, headers=fault.headers
            )
        if fault is not None and fault.kind == "html":
            return web.Response(
                text="<html>Bad gateway</html>", content_type="text/html"
            )
        blocks = self._blocks(body)
        calls_tools = any(block["type"] == "tool_use" for block in blocks)
        reason = "tool_use" if calls_tools else "end_turn"
        if fault is not None and fault.kind == "length":
            reason = "max_tokens"
        usage = {
            "input_tokens": 5,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "output_tokens": 7,
        }
        return _json(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": blocks,
                "stop_reason": reason,
                "usage": usage,
            }
        )

    def _refuse_key(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("x-api-key", "")
        if self.api_key is None or given == self.api_key:
            return None
        return _error("authentication_error", f"invalid x-api-key {given}", status=401)


def reply_blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Text, JSON of the schema that is asked for, or a call of the tool that has to be called."""
    texts = [block.get("text", "") for block in body["messages"][-1]["content"]]
    prompt = "".join(texts)
    choice = body.get("tool_choice", {})
    if choice.get("type") == "tool":
        schemas = {tool["name"]: tool["input_schema"] for tool in body["tools"]}
        name = choice["name"]
        arguments = orjson.loads(json_of(schemas[name], prompt))
        return [{"type": "tool_use", "id": "t1", "name": name, "input": arguments}]
    wanted = body.get("output_config", {}).get("format")
    if wanted is not None:
        return [{"type": "text", "text": json_of(wanted["schema"], prompt)}]
    return [{"type": "text", "text": answer_to(prompt)}]


_OPEN_OBJECT = (
    "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly "
    "set to false"
)


def _refuse_body(
    body: dict[str, Any], headers: Mapping[str, str], *, older: bool
) -> web.Response | None:
    version = headers.get("anthropic-version")
    sampling = [name for name in ("temperature", "top_p", "top_k") if name in body]
    roles = [turn["role"] for turn in body["messages"]]
    blocks = [block for turn in body["messages"] for block in turn["content"]]
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    has_empty_text = not all(text.strip() for text in texts)
    schema = body.get("output_config", {}).get("format", {}).get("schema")
    known_versions = _VERSIONS[:1] if older else _VERSIONS[:2]
    repeats = any(first == second for first, second in pairwise(roles))
    faults = {
        "anthropic-version: header is required": version is None,
        f"anthropic-version: {version!r} is not a valid version": version
        not in known_versions,
        f"{sampling}: Extra inputs are not permitted": bool(sampling)
        and version == _VERSIONS[1],
        "output_config: Extra inputs are not permitted": older
        and "output_config" in body,
        _OPEN_OBJECT: _is_open(schema),
        "max_tokens: Field required": "max_tokens" not in body,
        "messages: roles must alternate": repeats,
        "messages: first message must use the user role": roles[:1] != ["user"],
        "messages: text content blocks must be non-empty": has_empty_text,
    }
    for message, wrong in faults.items():
        if wrong:
            return _error("invalid_request_error", message, status=400)
    return None


def _is_open(node: Any) -> bool:
    """Whether an object of a schema may have further keys."""
    if isinstance(node, list):
        return any(map(_is_open, node))
    if not isinstance(node, dict):
        return False
    is_open = (
        node.get("type") == "object" and node.get("additionalProperties") is not False
    )
    return is_open or any(map(_is_open, node.values()))


def _error(
    kind: str, message: str, *, status: int, headers: Mapping[str, str] | None = None
) -> web.Response:
    return _json(
        {"type": "error", "error": {"type": kind, "message": message}},
        status=status,
        headers=headers,
    )


def _json(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=orjson.dumps(content),
        status=status,
        headers=headers,
        content_type="application/json",
    )
