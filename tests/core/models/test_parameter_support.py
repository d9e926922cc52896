"""Parameters that a model refuses are learnt from the words of servers, once, and the record is asked for again."""

import pytest

from sdg_core.config.models import InferenceParameters
from sdg_core.errors import PermanentModelError
from sdg_core.models.parameter_support import ParameterSupport
from sdg_core.models.types import ChatRequest, Message


def request(**parameters: object) -> ChatRequest:
    return ChatRequest(
        "m", (Message("user", "hi"),), InferenceParameters.model_validate(parameters)
    )


def refusal(words: str, *, status: int = 400) -> PermanentModelError:
    error = PermanentModelError(words)
    error.status = status
    return error


@pytest.mark.parametrize(
    ("words", "sent", "then"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            {"max_tokens": 100},
            {"max_tokens": None, "extra_body": {"max_completion_tokens": 100}},
        ),
        (
            "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.",
            {"temperature": 0.7, "top_p": 0.5},
            {"temperature": None, "top_p": 0.5},
        ),
        (
            "`temperature` is deprecated for this model.",
            {"temperature": 0.7},
            {"temperature": None},
        ),
        (
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
            {"temperature": 0.7, "top_p": 0.5},
            {"temperature": 0.7, "top_p": None},
        ),
        (
            "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for m",
            {"max_tokens": 32000},
            {"max_tokens": 8192},
        ),
    ],
)
def test_the_servers_words_change_what_is_sent(
    words: str, sent: dict[str, object], then: dict[str, object]
) -> None:
    notices: list[str] = []
    support = ParameterSupport(notice=notices.append)
    assert support.adapt(request(**sent)) == request(**sent)
    assert support.learn(refusal(words), request(**sent))
    adapted = support.adapt(request(**sent)).parameters
    assert {name: getattr(adapted, name) for name in then} == then
    assert len(notices) == 1
    assert not support.learn(refusal(words), request(**sent)), (
        "what is not sent any more cannot be at fault"
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("messages: at least one message is required", 400),
        ("`temperature` is deprecated for this model.", 500),
    ],
)
def test_other_faults_change_nothing(words: str, status: int) -> None:
    support = ParameterSupport(notice=lambda _: pytest.fail("nothing was learnt"))
    assert not support.learn(refusal(words, status=status), request(temperature=0.7))
