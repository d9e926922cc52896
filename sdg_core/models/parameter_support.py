"""Which parameters a model takes, learnt from the server's own words.

Some models refuse parameters that others want: OpenAI's reasoning models call `max_tokens` `max_completion_tokens` and take no
temperature, current Claude models take no sampling parameters at all, every model has a largest `max_tokens`, servers that speak
as Anthropic's do may not know `output_config` or the current version of its API. A 400 that names such a parameter changes it
for the rest of the run, for everyone who asks that model, with one notice; the record that met the 400 is asked for again. The
fingerprint knows nothing of it, because the file still says what was wanted.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import replace

import orjson

from sdg_core.config.models import InferenceParameters
from sdg_core.errors import ModelError
from sdg_core.models.types import CURRENT_VERSION, OUTPUT_CONFIG, ChatRequest

_LOG = logging.getLogger(__name__)
_BAD_REQUEST = frozenset({400, 422})
_SAMPLING = ("temperature", "top_p")
_MAX = re.compile(
    r"max_tokens:? \d+ > (\d+)"
    r"|at most (\d+) (?:completion |output )?tokens"
    r"|maximum (?:value |allowed )?\D{0,60}?(\d{3,})"
)
_ABOUT_OUTPUT_CONFIG = re.compile(
    r"output_config|output_format|output format", re.IGNORECASE
)
_ABOUT_ONE_SCHEMA = re.compile(r"\bschema\b", re.IGNORECASE)
_ABOUT_VERSION = re.compile(r"anthropic[-_]version", re.IGNORECASE)
_NOT_TAKEN = re.compile(
    r"unsupported|not support|deprecated|not allowed|not permitted|no longer|cannot both|extra inputs|unrecognized"
    r"|only the default",
    re.IGNORECASE,
)


class ParameterSupport:
    """What one model of one account does not take. `notice` is called once for every parameter."""

    def __init__(self, *, notice: Callable[[str], None] = _LOG.warning) -> None:
        self._notice = notice
        self._dropped: set[str] = set()
        self._renamed = False
        self._largest: int | None = None
        self._limits_the_default = False
        self._without: frozenset[str] = frozenset()
        self._schemas_by_tool: set[bytes] = set()

    def adapt(self, request: ChatRequest) -> ChatRequest:
        """The request as the model takes it, as far as is known."""
        if self._dropped or self._renamed or self._largest is not None:
            request = replace(request, parameters=self._adapted(request.parameters))
        without = self._without_for(request)
        return replace(request, without=without) if without else request

    def _without_for(self, request: ChatRequest) -> frozenset[str]:
        by_tool = (
            bool(self._schemas_by_tool)
            and _schema_key(request) in self._schemas_by_tool
        )
        return self._without | {OUTPUT_CONFIG} if by_tool else self._without

    def _adapted(self, parameters: InferenceParameters) -> InferenceParameters:
        changes: dict[str, object] = dict.fromkeys(self._dropped)
        wanted = parameters.max_tokens
        if wanted is not None and self._largest is not None:
            changes["max_tokens"] = min(wanted, self._largest)
        if wanted is None and self._limits_the_default:
            changes["max_tokens"] = self._largest
        if wanted is not None and self._renamed:
            limit = changes.pop("max_tokens", wanted)
            changes["max_tokens"] = None
            changes["extra_body"] = {
                "max_completion_tokens": limit,
                **(parameters.extra_body or {}),
            }
        return parameters.model_copy(update=changes)

    def learn(self, error: ModelError, request: ChatRequest) -> bool:
        """Whether a fault says what to change, so that the request is worth sending again at once."""
        if error.status not in _BAD_REQUEST:
            return False
        words = error.message
        sent = self._adapted(request.parameters)
        if self._learn_feature(words, request):
            return True
        if sent.max_tokens is not None and "max_completion_tokens" in words:
            self._renamed = True
            self._notice("max_tokens is sent as max_completion_tokens")
            return True
        largest = _MAX.search(words)
        if "max_tokens" in words and largest is not None:
            numbers = [group for group in largest.groups() if group is not None]
            limit = int(numbers[0])
            if sent.max_tokens is None or limit < sent.max_tokens:
                self._largest = limit
                self._limits_the_default |= sent.max_tokens is None
                wanted = (
                    sent.max_tokens
                    if sent.max_tokens is not None
                    else "of the API's default"
                )
                self._notice(
                    f"max_tokens {wanted} is more than the model allows; sending {limit}"
                )
                return True
        set_names = [name for name in _SAMPLING if getattr(sent, name) is not None]
        refused = [name for name in set_names if re.search(rf"\b{name}\b", words)]
        if not refused or _NOT_TAKEN.search(words) is None:
            return False
        if "cannot both" in words:
            if len(refused) < len(_SAMPLING):
                return False
            refused = refused[-1:]  # the other may stay
        self._dropped.update(refused)
        self._notice(
            f"{' and '.join(refused)} from the file is not sent, because the model rejects it"
        )
        return True

    def _learn_feature(self, words: str, request: ChatRequest) -> bool:
        """Whether the server does not know a feature that the request has used."""
        without = self._without_for(request)
        if (
            OUTPUT_CONFIG not in without
            and request.response_schema is not None
            and _ABOUT_OUTPUT_CONFIG.search(words)
        ):
            if _ABOUT_ONE_SCHEMA.search(words):
                self._schemas_by_tool.add(_schema_key(request))
                self._notice(
                    f"a schema is sent as a tool, because output_config rejects it: {words}"
                )
            else:
                self._without |= {OUTPUT_CONFIG}
                self._notice(
                    "schemas are sent as tools, because the server does not support output_config"
                )
            return True
        if CURRENT_VERSION not in without and _ABOUT_VERSION.search(words):
            self._without |= {CURRENT_VERSION}
            self._notice(
                "the server rejects the current anthropic-version; sending the previous one"
            )
            return True
        return False


def _schema_key(request: ChatRequest) -> bytes:
    return orjson.dumps(dict(request.response_schema or {}))
