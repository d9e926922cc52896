"""What servers that speak like OpenAI say in other words: ends of replies, counts, errors in a 200, replies of nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.errors import (
    ModelError,
    PermanentModelError,
    RateLimitedError,
    TransientModelError,
)
from sdg_core.generators.models.conversation import incomplete
from sdg_core.models.providers.http_errors import Caller, error_from_status
from sdg_core.models.providers.openai_wire import decode_reply
from sdg_core.models.types import ChatResponse

CALLER = Caller("p", "http://x/v1", None)


def reply(text: Any = "hello", reason: Any = "stop", **more: Any) -> ChatResponse:
    choice = {
        "finish_reason": reason,
        "message": {"role": "assistant", "content": text},
    }
    return decode_reply(
        json.dumps({"choices": [choice], **more}).encode(), caller=CALLER, model="m"
    )


@pytest.mark.parametrize(
    ("reason", "meant"),
    [
        ("MAX_TOKENS", "length"), ("max_tokens", "length"), ("model_length", "length"), ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"), ("guardrail_intervened", "content_filter"), ("abort", "error"),
        ("insufficient_system_resource", "error"), ("LENGTH", "length"), ("Error", "error"), ("refusal", "refusal"),
    ],
)  # fmt: skip
def test_a_reply_that_did_not_end_by_itself_is_none_in_any_words(
    reason: str, meant: str
) -> None:
    found = reply(reason=reason)
    assert found.finish_reason == meant and f"finish_reason {meant}" in (
        incomplete(found) or ""
    )


@pytest.mark.parametrize(
    "reason",
    ["stop", "STOP", "end_turn", "eos", "stop_sequence", "tool_calls", "", None],
)
def test_a_reply_that_ended_by_itself_is_whole(reason: str | None) -> None:
    assert incomplete(reply(reason=reason)) is None


@pytest.mark.parametrize(
    ("count", "counted"),
    [("12", 12), (12.0, 12), (11.2, 12), ("11.5", 12), (-1, 0), ("x", 0), ([], 0)],
)
def test_tokens_are_counted_however_they_are_written(count: Any, counted: int) -> None:
    usage = reply(usage={"prompt_tokens": count, "completion_tokens": 1}).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (counted, 1)


@pytest.mark.parametrize(
    "usage", [None, [], "12", {"prompt_tokens": None}, {"prompt_tokens": float("inf")}]
)
def test_a_usage_that_is_none_counts_nothing(usage: Any) -> None:
    body = json.dumps(
        {"choices": [{"message": {"content": "x"}}], "usage": usage}
    ).replace("Infinity", "1e999")
    assert (
        decode_reply(body.encode(), caller=CALLER, model="m").usage.prompt_tokens == 0
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded"}, RateLimitedError), ({"type": "rate_limit_error"}, RateLimitedError),
        ({"code": 429}, RateLimitedError), ({"code": "overloaded"}, RateLimitedError), ({"code": 502}, TransientModelError),
        ({"code": "invalid_api_key"}, PermanentModelError), ({"status": "401"}, PermanentModelError),
        ({"type": "invalid_request_error"}, PermanentModelError), ({"code": "something"}, TransientModelError),
    ],
)  # fmt: skip
def test_an_error_in_a_200_is_the_one_that_its_code_names(
    error: dict[str, Any], kind: type[ModelError]
) -> None:
    for body in (
        {"error": {"message": "no", **error}},
        {"object": "error", "message": "no", **error},
    ):
        with pytest.raises(ModelError) as raised:
            decode_reply(json.dumps(body).encode(), caller=CALLER, model="m")
        assert type(raised.value) is kind and "no" in str(raised.value)


@pytest.mark.parametrize(
    ("status", "ends"), [(401, True), (403, False), (404, False), (402, True)]
)
def test_a_key_that_is_not_accepted_ends_the_run(status: int, ends: bool) -> None:
    fault = error_from_status(status, {}, b"no", caller=CALLER, model="m", now=0.0)
    assert isinstance(fault, PermanentModelError) and fault.ends_run is ends


@given(st.text(" \t\n\u00a0\u2003\u200b\u200d\u2060\ufeff", max_size=8))
def test_a_reply_of_nothing_that_one_could_see_is_empty(text: str) -> None:
    with pytest.raises(TransientModelError, match="empty reply"):
        reply(text)
    assert reply(f"{text}x{text}").text.strip() != ""
