"""Whether a server holds a model to a schema, found out from its answers.

Some do (`response_format`), some refuse, some crash, some ignore it without a word. No I/O: what to send is asked of here, what
came back is reported here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from sdg_core.errors import ModelError
from sdg_core.models.structured import InvalidResponseError, is_exactly, parse
from sdg_core.models.types import ChatResponse, JsonSchema

_STATUS = frozenset({400, 404, 415, 422, 500, 501})
_WORDS = re.compile(
    r"response_?format|json_?schema|schema|structured|grammar|output_config",
    re.IGNORECASE,
)
_ABOUT_ONE = re.compile(r"invalid (json_?)?schema", re.IGNORECASE)


@dataclass
class StructuredOutputSupport:
    """What is known about one model at one endpoint: None until a reply has shown whether the server enforces `response_format`
    (`native`).

    A server that accepts schemas may refuse one of them, which then goes into the prompt by itself.
    notice: told the reason whenever something turns out not to be taken.
    """

    native: bool | None = None
    reason: str | None = None
    notice: Callable[[str], None] | None = None
    _refused: set[bytes] = field(default_factory=set)

    def accepts(self, schema: JsonSchema) -> bool:
        """Whether to send a schema as `response_format`, as far as is known."""
        return self.native is not False and _key(schema) not in self._refused

    def may_blame(self, error: ModelError) -> bool:
        """Whether the same request without its schema is worth a try after a final failure."""
        return _names_format(error) or (self.native is None and error.status in _STATUS)

    def is_rejection(self, error: ModelError, times: int) -> bool:
        """Whether not to repeat the request: a server that fails over a schema fails again; one that just fails gets a second
        chance."""
        return self.native is None and (
            _names_format(error) or (error.status in _STATUS and times > 1)
        )

    def refused(self, error: ModelError, schema: JsonSchema) -> None:
        """The request has failed, and succeeded without its schema."""
        reason = f"it refuses response_format: {error.message}"
        if self.native is True or _ABOUT_ONE.search(error.message):
            if _key(schema) not in self._refused:
                self._refused.add(_key(schema))
                self._notify(f"{reason} (for one of the schemas)")
        elif self.native is None:
            self.native = False
            self._notify(reason)

    def observe(self, reply: ChatResponse, schema: JsonSchema) -> bool:
        """Learn from a reply to a request with a schema, and tell whether the reply may be passed on.

        A reply that was cut off shows nothing. One that holds what was wanted in another form will do, too.
        """
        if self.native is True or reply.finish_reason == "length" or reply.tool_calls:
            return True
        if self.native is None and is_exactly(reply.text, schema):
            self.native = True
            return True
        if self.native is None:
            self.native = False
            self._notify(
                "it ignores response_format: the reply did not match the schema"
            )
        return _is_usable(reply, schema)

    def _notify(self, reason: str) -> None:
        self.reason = reason
        if self.notice is not None:
            self.notice(reason)


def _names_format(error: ModelError) -> bool:
    return error.status in _STATUS and _WORDS.search(error.message) is not None


def _key(schema: JsonSchema) -> bytes:
    return orjson.dumps(dict(schema))


def _is_usable(reply: ChatResponse, schema: JsonSchema) -> bool:
    try:
        parse(reply, schema)
    except InvalidResponseError:
        return False
    return True
