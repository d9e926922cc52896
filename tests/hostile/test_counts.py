"""Counts of tokens that no request can have are not taken in, and sums can always be stored."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from sdg_core import api
from sdg_core.models.providers.openai_wire import usage_of
from sdg_core.models.types import MAX_TOKENS, ChatRequest, ChatResponse
from sdg_core.models.usage import Usage
from sdg_core.plan.usage import add_usage
from tests.support.sdg import dataset_config, llm


@pytest.mark.parametrize(
    "count", [2**63, 2**64 - 1, 10**400, -1, True, None, MAX_TOKENS + 1]
)
def test_counts_of_servers(count: Any) -> None:
    usage = usage_of({"prompt_tokens": count, "completion_tokens": 7})
    assert (usage.prompt_tokens, usage.completion_tokens) == (0, 7)


@pytest.mark.parametrize("count", [5, 5.0, "5"])
def test_counts_are_read_however_they_are_written(count: Any) -> None:
    assert usage_of({"prompt_tokens": count}).prompt_tokens == 5


class Counting:
    """A client of the user with odd counts for one of the records."""

    def __init__(self, count: Any) -> None:
        self._counts = [1, count]

    async def complete(self, request: ChatRequest) -> ChatResponse:
        count = self._counts.pop(0) if self._counts else 1
        return ChatResponse("text", "stop", Usage(requests=1, prompt_tokens=count))


@pytest.mark.parametrize("count", [2**63, -5, 1.5, None, "5"])
def test_counts_of_a_client_of_ones_own(tmp_path: Path, count: Any) -> None:
    config = dataset_config(llm("t", "x")) | {
        "num_records": 4,
        "run": {"max_failure_rate": 1.0},
    }
    config["model_providers"] = [{"name": "p", "provider_type": "custom"}]
    dataset = api.open_dataset(config, root=tmp_path, clients={"p": Counting(count)})
    summary = api.generate(dataset)
    assert summary.failed == 1 and "usage.prompt_tokens is" in str(
        summary.first_failure
    )
    assert api.generate(dataset).remaining == 0


def test_sums_stay_within_what_can_be_stored() -> None:
    """Earlier releases took in whatever a server said, and rows of it are in ledgers and footers."""
    total = add_usage(
        {"w": {"prompt_tokens": 2**63 - 1}},
        {"w": {"prompt_tokens": 2**64, "requests": 1}},
    )
    assert orjson.loads(orjson.dumps(total)) == {
        "w": {"prompt_tokens": 2**63 - 1, "requests": 1}
    }
