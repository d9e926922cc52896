"""Simulated replies: repeatable, marked, varied, and bounded by max_tokens."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.models.simulated.client import MARK, SimulatedClient
from sdg_core.models.types import ChatRequest, ChatResponse, Message

PROMPT = "A customer on the free plan complains about the garden hose"


EXPECTED = (
    "[simulated] About free, plan and complains: the recent answer joins the light harbour. "
    "The useful worker supports the wide claim quickly. The exact tool joins the recent problem. "
    "The careful garden offers the brief result slowly."
)


async def no_wait(_: float) -> None: ...


async def ask(
    prompt: str = PROMPT,
    *,
    seed: int = 0,
    body: dict[str, Any] | None = None,
    **given: Any,
) -> ChatResponse:
    provider = ModelProvider(name="p", provider_type="simulated", extra_body=body)
    request = ChatRequest(
        "m", (Message("user", prompt),), InferenceParameters(**given), seed=seed
    )
    return await SimulatedClient(provider, sleep=no_wait).chat(request)


async def test_this_text_does_not_change_between_releases() -> None:
    """Otherwise a rehearsal that is resumed after an upgrade would not repeat."""
    assert (await ask()).text == EXPECTED


async def test_reads_as_sentences() -> None:
    for seed in range(200):
        text = (await ask(seed=seed)).text
        assert text.startswith(MARK) and text.endswith(".")
        assert 1 <= len(re.findall(r"\.(?: |$)", text)) <= 4
        assert re.search("customer|free|plan|complains|about|garden|hose", text)


async def test_what_changes_the_reply() -> None:
    variants = [
        await ask(),
        await ask(seed=1),
        await ask(temperature=0.5),
        await ask(top_p=0.5),
        await ask(extra_body={"k": 1}),
        await ask(body={"k": 1}),
    ]
    assert len({reply.text for reply in variants}) == len(variants)


async def test_how_hard_it_is_driven_does_not_change_the_reply() -> None:
    assert await ask(timeout=1.0, max_parallel_requests=9) == await ask()


async def test_replies_of_a_thousand_records_differ() -> None:
    assert len({(await ask(seed=seed)).text for seed in range(1_000)}) == 1_000


@given(tokens=st.integers(1, 200), seed=st.integers(0, 2**64 - 1))
async def test_max_tokens_cuts_the_same_text(tokens: int, seed: int) -> None:
    whole, cut = await ask(seed=seed), await ask(seed=seed, max_tokens=tokens)
    assert whole.text.startswith(cut.text.rstrip()) and cut.text.startswith(MARK)
    assert cut.usage.completion_tokens <= tokens
    assert (cut.finish_reason == "length") == (cut.text != whole.text)


@given(st.text())
async def test_any_prompt(prompt: str) -> None:
    assert (await ask(prompt)).usage.requests == 1


async def test_latency_is_slept() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    provider = ModelProvider.model_validate(
        {"name": "p", "provider_type": "simulated", "simulation": {"latency": 0.25}}
    )
    client = SimulatedClient(provider, sleep=sleep)
    await client.chat(ChatRequest("m", (Message("user", "x"),), InferenceParameters()))
    assert slept == [0.25]
