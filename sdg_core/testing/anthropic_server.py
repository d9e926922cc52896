"""A real HTTP server that answers Anthropic's Messages API as its documentation describes, and misbehaves on request."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import orjson
from aiohttp import web

from sdg_core.testing.faulty_server import FaultyServer, answer_to
from sdg_core.testing.model_answers import json_of
from sdg_core.testing.model_faults import Fault, FaultKind

_VERSIONS = ("2023-06-01", "2026-10-21")


class AnthropicServer(FaultyServer):
    """A server that rejects what Anthropic's API rejects: a missing max_tokens or version, turns that do not
    alternate, blank text, sampling parameters in the current version, open objects in `output_config`.

    blocks: replaces the content of replies; called with the request's body. older: behaves like the API before
    `output_config`. The other arguments and the counters are those of `FaultyServer`.
    """

    def __init__(
        self,
        *,
        faults: Iterable[Fault | None] = (),
        rates: Iterable[tuple[Fault, float]] = (),
        latency: float = 0.0,
        api_key: str | None = None,
        answer: Callable[[str], str] = answer_to,
        blocks: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None,
        older: bool = False,
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
        self._older = older
        self._blocks = blocks or self._reply_blocks

    def _routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/messages", self._messages)]

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(
            request,
            prompt=_prompt_of,
            refuse=lambda body: self._refuse_body(body, request.headers),
            reply=self._message,
        )

    def _message(self, body: dict[str, Any]) -> dict[str, Any]:
        blocks = self._blocks(body)
        calls_tools = any(block["type"] == "tool_use" for block in blocks)
        usage = {
            "input_tokens": 5,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "output_tokens": 7,
        }
        self.billed.update(prompt_tokens=10, completion_tokens=7)
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": "tool_use" if calls_tools else "end_turn",
            "usage": usage,
        }

    def _reply_blocks(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Text, JSON of the schema that is asked for, or a call of the tool that has to be called."""
        prompt = _prompt_of(body)
        choice = body.get("tool_choice", {})
        if choice.get("type") == "tool":
            schemas = {tool["name"]: tool["input_schema"] for tool in body["tools"]}
            name = choice["name"]
            arguments = orjson.loads(json_of(schemas[name], prompt))
            return [{"type": "tool_use", "id": "t1", "name": name, "input": arguments}]
        wanted = body.get("output_config", {}).get("format")
        if wanted is not None:
            return [{"type": "text", "text": json_of(wanted["schema"], prompt)}]
        return [{"type": "text", "text": self._answer(prompt)}]

    def _refuse_key(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("x-api-key", "")
        if self.api_key is None or given == self.api_key:
            return None
        return self._json(
            _error("authentication_error", f"invalid x-api-key {given}"), status=401
        )

    def _refuse_body(
        self, body: dict[str, Any], headers: Mapping[str, str]
    ) -> web.Response | None:
        for message, wrong in _faults_of(body, headers, older=self._older).items():
            if wrong:
                return self._json(_error("invalid_request_error", message), status=400)
        return None

    def _error(self, message: str, *, status: int) -> dict[str, Any]:
        kinds = {429: "rate_limit_error", 529: "overloaded_error"}
        return _error(kinds.get(status, "api_error"), message)

    def _altered(self, reply: dict[str, Any], kind: FaultKind) -> dict[str, Any]:
        match kind:
            case "no_choices":
                return _error("api_error", "upstream failed")
            case "null_content":
                reply["content"] = []
            case "no_usage":
                del reply["usage"]
            case "length":
                reply["stop_reason"] = "max_tokens"
            case "cut":
                reply["stop_reason"] = "max_tokens"
                reply["content"] = [_halved(block) for block in reply["content"]]
            case "another_model":
                reply["model"] = "the-only-one"
        return reply


def _prompt_of(body: dict[str, Any]) -> str:
    """The text of the last turn."""
    texts = [block.get("text", "") for block in body["messages"][-1]["content"]]
    return "".join(texts)


def _halved(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] != "text":
        return block
    text = block["text"]
    return {**block, "text": text[: len(text) // 2]}


_OPEN_OBJECT = (
    "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly "
    "set to false"
)


def _faults_of(
    body: dict[str, Any], headers: Mapping[str, str], *, older: bool
) -> dict[str, bool]:
    """What the API says of each fault of a request, and whether it has it."""
    version = headers.get("anthropic-version")
    sampling = [name for name in ("temperature", "top_p", "top_k") if name in body]
    roles = [turn["role"] for turn in body["messages"]]
    blocks = [block for turn in body["messages"] for block in turn["content"]]
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    has_empty_text = not all(text.strip() for text in texts)
    schema = body.get("output_config", {}).get("format", {}).get("schema")
    known_versions = _VERSIONS[:1] if older else _VERSIONS[:2]
    repeats = any(first == second for first, second in pairwise(roles))
    return {
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


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}
