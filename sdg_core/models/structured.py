"""Replies that have to be JSON of a schema: asking for them, taking them out of text, judging them. No I/O.

Where a server does not hold the model to a schema (see `formats.py`), the prompt says what is wanted.
"""

import json  # orjson does not tell where a value ends
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from sdg_core.errors import ModelError
from sdg_core.models.json_repair import NotRepairableError, repair_json
from sdg_core.models.types import (
    ChatRequest,
    ChatResponse,
    JsonSchema,
    Message,
    TextPart,
)

if TYPE_CHECKING:
    from sdg_core.plan.types.schema_work import Violation

_FENCE = re.compile(r"```[ \t]*([\w+-]*)[ \t]*\r?\n(.*?)```", re.DOTALL)
_OPEN_FENCE = re.compile(
    r"```[ \t]*+(?:json\w*+)?[ \t]*+\r?\n((?:(?!```).)*+)\Z", re.DOTALL | re.IGNORECASE
)
_OPENING = "<response_schema>"
_FENCED = "Put it into a fenced block that begins with ```json and ends with ```. Write nothing else."
_START = re.compile(r"[{\[]")
_BEGINS = re.compile(r"""\{\s*(?:["'“}]|[\w$-]+\s*:)|\[\s*["'“{]""")
_MAX_STARTS = 200
"""Places of a text that are tried as the beginning of JSON; prose with more brackets is not a reply."""
_MAX_REPAIRS = 8
"""The same for what is almost JSON: the first brackets only, because a reply that needs repair begins with them."""
_MAX_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a reply holds. repaired: it was almost JSON, and read as it was meant."""

    value: Any
    repaired: bool = False


class InvalidResponseError(ModelError):
    """A reply is not JSON, or not of its schema. The message says everything that is wrong, for the model to read.

    errors: `path: message` of each violation. truncated: the reply was cut off; asking again the same way will not help.
    """

    def __init__(
        self, message: str, *, errors: tuple[str, ...] = (), truncated: bool = False
    ) -> None:
        remedy = (
            "raise inference_parameters.max_tokens of the model" if truncated else None
        )
        super().__init__(message, remedy=remedy)
        self.errors = errors
        self.truncated = truncated


def description(schema: JsonSchema) -> str:
    """What to tell every model about a schema: servers that hold a model to one seldom show it to the model."""
    text = orjson.dumps(dict(schema), option=orjson.OPT_INDENT_2).decode()
    return f"Answer with one JSON value that satisfies this JSON schema:\n\n{_OPENING}\n{text}\n</response_schema>"


def schema_prompt(schema: JsonSchema) -> str:
    """What to tell a model whose server does not hold it to a schema."""
    return f"{description(schema)}\n\n{_FENCED}"


def schema_in_prompt(request: ChatRequest) -> ChatRequest:
    """The request with its schema moved into the last message of the user."""
    if request.response_schema is None:
        return request
    messages = list(request.messages)
    places = [place for place, message in enumerate(messages) if message.role == "user"]
    is_known = any(_OPENING in messages[place].text for place in places)
    told = _FENCED if is_known else schema_prompt(request.response_schema)
    if places:
        last = places[-1]
        messages[last] = _with_text(messages[last], told)
    else:
        messages.append(Message("user", told))
    return replace(request, messages=tuple(messages), response_schema=None)


def parse(reply: ChatResponse, schema: JsonSchema) -> Any:
    """The value that a reply holds. Raises InvalidResponseError."""
    found = extract_json(reply.text, finish_reason=reply.finish_reason)
    return validate(found.value, schema)


MAX_SEARCHED = 2**20
"""Characters of a reply in which JSON is looked for, or repaired; what is JSON as a whole may be longer."""


def extract_json(text: str, *, finish_reason: str | None = None) -> Extracted:
    """The JSON value of a reply: the text itself, its last fenced block, or the longest value inside prose; if it is almost
    JSON, what it means (`sdg_core.models.json_repair`).

    Raises InvalidResponseError; it says so if the reply was cut off (finish_reason `length`, or JSON that never ends).
    """
    stripped = text.strip()
    found, value = _strict(stripped)
    if found:
        return Extracted(value)
    if len(stripped) > MAX_SEARCHED:
        raise InvalidResponseError(
            f"the reply is not JSON as a whole, and at {len(stripped):,} characters it is too long to "
            f"search for JSON; the limit is {MAX_SEARCHED:,}"
        )
    lenient = _lenient(stripped, may_end_early=finish_reason != "length")
    if lenient is not None:
        return lenient
    if finish_reason == "length":
        raise InvalidResponseError(
            "the reply was cut off at max_tokens in the middle of its JSON",
            truncated=True,
        )
    if _never_ends(stripped):
        raise InvalidResponseError("the JSON of the reply is incomplete")
    raise InvalidResponseError(
        f"the reply holds no JSON; it begins with {stripped[:80]!r}"
    )


def validate(value: Any, schema: JsonSchema) -> Any:
    """The value without keys that its schema forbids (`additionalProperties: false`), if that satisfies the schema.

    Raises InvalidResponseError with every violation and where it is.
    """
    pruned = value
    found = _violations(value, schema)
    for _ in range(8):  # pruning one level may show the next
        if not any(each.unexpected for each in found):
            break
        for each in found:
            pruned = _without(pruned, list(each.path), frozenset(each.unexpected))
        found = _violations(pruned, schema)
    if not found:
        return pruned
    lines = tuple(f"{_path(each.path)}: {each.message}" for each in found[:_MAX_ERRORS])
    more = (
        f"\n... and {len(found) - _MAX_ERRORS} more" if len(found) > _MAX_ERRORS else ""
    )
    raise InvalidResponseError(
        "the JSON of the reply does not match its schema:\n" + "\n".join(lines) + more,
        errors=lines,
    )


def _violations(value: Any, schema: JsonSchema) -> "list[Violation]":
    from sdg_core.plan.types.schema_work import violations

    try:
        return violations(value, schema)
    except ValueError as reason:
        raise InvalidResponseError(
            f"the JSON of the reply cannot be checked: {reason}"
        ) from None


def native_schema(schema: JsonSchema) -> tuple[dict[str, Any], bool]:
    """The schema as servers take it, and whether they may hold the model to it strictly.

    Strict mode wants every object closed and every property required. Closing and requiring is added where the schema is
    silent: what satisfies the result satisfies the schema. An object of any keys cannot be closed, so that it is not strict.
    """
    closed, strict = _closed(dict(schema))
    return (closed, True) if strict else (dict(schema), False)


def is_exactly(text: str, schema: JsonSchema) -> bool:
    """Whether a text is JSON of the schema and nothing else, as a server that holds a model to a schema gives it."""
    from sdg_core.plan.types.schema_work import violations

    found, value = _loads(text.strip())
    if not found:
        return False
    try:
        return not violations(value, schema)
    except ValueError:
        return False


def _with_text(message: Message, text: str) -> Message:
    if isinstance(message.content, str):
        return replace(message, content=f"{message.content}\n\n{text}")
    return replace(message, content=(*message.content, TextPart(text)))


def _loads(text: str) -> tuple[bool, Any]:
    try:
        return True, orjson.loads(text)
    except orjson.JSONDecodeError:
        return False, None


def _strict(text: str) -> tuple[bool, Any]:
    """The text as JSON, or one of its fenced blocks."""
    for candidate in (text, *_fenced(text)):
        found, value = _loads(candidate)
        if found:
            return True, value
    return False, None


def _lenient(text: str, *, may_end_early: bool) -> Extracted | None:
    """The longest object or list inside prose, repaired where that makes it longer; None if there is none."""
    text = _OPEN_FENCE.sub(r"\1", text)
    length, value = _inside(text)
    for candidate in (*_fenced(text), text):
        repaired_length, repaired = _repaired(candidate, may_end_early=may_end_early)
        if repaired_length > length:
            return Extracted(repaired, repaired=True)
    return Extracted(value) if length > 0 else None


def _repaired(text: str, *, may_end_early: bool) -> tuple[int, Any]:
    """The length and the value of what begins with the first bracket that JSON may begin with; 0 for what cannot be repaired."""
    position = 0
    for _ in range(_MAX_REPAIRS):
        start = _START.search(text, position)
        if start is None:
            break
        try:
            value, end = repair_json(text, start.start(), may_end_early=may_end_early)
        except NotRepairableError:
            # what it contains is not the reply
            if _BEGINS.match(text, start.start()) is not None:
                break
            position = start.end()
        else:
            return end - start.start(), value
    return 0, None


def _fenced(text: str) -> list[str]:
    """The contents of fenced blocks, in order of preference: those marked json, the last first."""
    marked = []
    unmarked = []
    for language, content in reversed(_FENCE.findall(text)):
        if language.lower().startswith("json"):
            marked.append(content.strip())
        elif not language:
            unmarked.append(content.strip())
    return marked + unmarked


def _inside(text: str) -> tuple[int, Any]:
    """The length and the value of the longest object or list inside prose; length 0 for none."""
    decoder = json.JSONDecoder()
    best: tuple[int, Any] = (0, None)
    position = 0
    tries = 0
    while tries < _MAX_STARTS and (start := _START.search(text, position)) is not None:
        tries += 1
        try:
            value, position = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            position = start.end()
            if _unclosed(text, start.start()):  # what it contains is not the reply
                break
        else:
            best = max(
                best, (position - start.start(), value), key=lambda found: found[0]
            )
    return best


def _unclosed(text: str, start: int) -> bool:
    """Whether the bracket at `start` looks like the beginning of JSON that never ends."""
    after = text[start + 1 :].lstrip()[:1]
    expected = ('"', "}", "") if text[start] == "{" else ("{", "[", '"', "]")
    return after in expected and _depth(text[start:]) > 0


def _never_ends(text: str) -> bool:
    start = _START.search(text)
    return start is not None and _depth(text[start.start() :]) > 0


def _depth(text: str) -> int:
    """How many brackets are open at the end, outside strings."""
    without_strings = re.sub(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', "", text, flags=re.DOTALL)
    opened = without_strings.count("{") + without_strings.count("[")
    closed = without_strings.count("}") + without_strings.count("]")
    return opened - closed


def _without(value: Any, path: list[str | int], names: frozenset[str]) -> Any:
    """A copy of the value in which the object at `path` lacks some keys."""
    if not names:
        return value
    if not path:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if key not in names}
    head, *rest = path
    if isinstance(value, list) and isinstance(head, int) and 0 <= head < len(value):
        changed = [*value]
        changed[head] = _without(value[head], rest, names)
        return changed
    if isinstance(value, dict) and head in value:
        return {**value, head: _without(value[head], rest, names)}
    return value


def _path(parts: Sequence[str | int]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "(the whole)"


def _closed(node: Any) -> tuple[Any, bool]:
    if isinstance(node, list):
        closed_items = [_closed(item) for item in node]
        items = [item for item, _ in closed_items]
        return items, all(strict for _, strict in closed_items)
    if not isinstance(node, Mapping):
        return node, True
    made: dict[str, Any] = {}
    strict = True
    for key, value in node.items():
        if key in ("enum", "const", "default", "examples", "required"):
            made[key] = value
        elif key in ("properties", "$defs", "definitions") and isinstance(
            value, Mapping
        ):
            made[key] = {}
            for name, part in value.items():
                made[key][name], part_is_strict = _closed(part)
                strict &= part_is_strict
        else:
            made[key], value_is_strict = _closed(value)
            strict &= value_is_strict
    if "properties" in made:
        strict &= made.setdefault("additionalProperties", False) is False
        made["required"] = list(made["properties"])
    elif made.get("type") == "object":
        strict = False
    return made, strict
