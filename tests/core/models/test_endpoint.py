"""Retrying as callers see it: what is sent, what is waited, what it costs, and that no slot is kept meanwhile."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import pytest

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import (
    PermanentModelError,
    RateLimitedError,
    TransientModelError,
)
from sdg_core.models.admission import Admission
from sdg_core.models.endpoint import ModelEndpoint, RequestFailedError
from sdg_core.models.gate import Gate
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.retry import RetryPolicy
from sdg_core.models.types import ChatClient, ChatRequest, ChatResponse, Message
from sdg_core.models.usage import Usage
from sdg_core.testing import Fault, ModelServer, answer_to, limited, status

REQUEST = ChatRequest(
    model="m", messages=(Message("user", "hello"),), parameters=InferenceParameters()
)
LIMITED, TRANSIENT = RateLimitedError("slow down"), TransientModelError("reset")


class ScriptedClient(ChatClient):
    """Raises what the script says, then answers."""

    def __init__(self, script: Iterable[BaseException] = ()) -> None:
        self.script = deque(script)
        self.sent = 0

    async def chat(self, request: ChatRequest) -> ChatResponse:
        self.sent += 1
        if self.script:
            raise self.script.popleft()
        return ChatResponse(
            "fine", "stop", Usage(requests=1, prompt_tokens=3, completion_tokens=4)
        )

    async def check(self) -> None: ...

    async def aclose(self) -> None: ...


class Bench:
    """An endpoint whose sleeps pass at once and are written down."""

    def __init__(
        self, client: ChatClient, *, num_retries: int = 2, ceiling: int = 1
    ) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.open_while_asleep: list[int] = []
        self.gate = Gate(Admission(ceiling), clock=lambda: self.now)
        policy = RetryPolicy(
            num_retries=num_retries, base_delay=1.0, max_delay=8.0, retry_after_cap=60.0
        )
        self.endpoint = ModelEndpoint(
            client, self.gate, policy=policy, sleep=self.sleep, random=lambda: 0.5
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.open_while_asleep.append(self.gate.admission.in_flight)
        self.now += seconds
        await asyncio.sleep(0)


async def test_reply_at_once_is_passed_on_as_it_is() -> None:
    bench = Bench(ScriptedClient())
    reply = await bench.endpoint.chat(REQUEST)
    assert reply == ChatResponse("fine", "stop", Usage(1, 0, 3, 4))
    assert bench.slept == [] and bench.gate.admission.in_flight == 0


async def test_usage_counts_every_request() -> None:
    bench = Bench(ScriptedClient([TRANSIENT, LIMITED, TRANSIENT]))
    assert (await bench.endpoint.chat(REQUEST)).usage == Usage(
        requests=4, retries=3, prompt_tokens=3, completion_tokens=4
    )


async def test_each_kind_of_fault_backs_off_on_its_own_count() -> None:
    bench = Bench(ScriptedClient([TRANSIENT, LIMITED, TRANSIENT, LIMITED]))
    await bench.endpoint.chat(REQUEST)
    assert bench.slept == [0.5, 0.5, 1.0, 1.0]


async def test_no_slot_is_held_while_backing_off() -> None:
    bench = Bench(ScriptedClient([TRANSIENT, LIMITED]))
    await bench.endpoint.chat(REQUEST)
    assert bench.open_while_asleep == [0, 0]


async def test_retry_after_is_capped_for_the_request_and_for_the_gate() -> None:
    bench = Bench(ScriptedClient([RateLimitedError("later", retry_after=9_999.0)]))
    await bench.endpoint.chat(REQUEST)
    assert bench.slept == [60.5]


async def test_transient_faults_run_out() -> None:
    client = ScriptedClient(
        [LIMITED, LIMITED, TRANSIENT, TRANSIENT, TransientModelError("the last")]
    )
    bench = Bench(client)
    with pytest.raises(RequestFailedError, match="the last") as caught:
        await bench.endpoint.chat(REQUEST)
    error = caught.value
    assert (error.kind, error.attempts, error.usage) == (
        "transient",
        5,
        Usage(requests=5, retries=4),
    )
    assert isinstance(error.__cause__, TransientModelError) and len(bench.slept) == 4


async def test_permanent_faults_fail_at_once_with_their_remedy() -> None:
    bench = Bench(
        ScriptedClient([PermanentModelError("wrong key", remedy="export it")])
    )
    with pytest.raises(
        RequestFailedError, match=r"wrong key\n  -> export it"
    ) as caught:
        await bench.endpoint.chat(REQUEST)
    assert (caught.value.kind, caught.value.attempts, caught.value.remedy) == (
        "permanent",
        1,
        "export it",
    )
    assert bench.gate.admission.in_flight == 0


async def test_rate_limits_never_run_out() -> None:
    bench = Bench(ScriptedClient([LIMITED] * 500), num_retries=0)
    assert (await bench.endpoint.chat(REQUEST)).usage.retries == 500


async def test_there_is_a_wait_before_every_retry() -> None:
    bench = Bench(ScriptedClient([TRANSIENT, LIMITED, PermanentModelError("no")]))
    with pytest.raises(RequestFailedError) as caught:
        await bench.endpoint.chat(REQUEST)
    assert caught.value.usage.retries == len(bench.slept) == 2


@pytest.mark.parametrize("end", [asyncio.CancelledError(), ZeroDivisionError()])
async def test_whatever_ends_a_request_gives_its_slot_back(end: BaseException) -> None:
    bench = Bench(ScriptedClient([end]))
    with pytest.raises(type(end)):
        await bench.endpoint.chat(REQUEST)
    assert bench.gate.admission.in_flight == 0
    assert (await bench.endpoint.chat(REQUEST)).text == "fine"


class TestOverHttp:
    @staticmethod
    def bench(server: ModelServer, **options: Any) -> tuple[Bench, OpenAIClient]:
        client = OpenAIClient(
            ModelProvider(name="p", endpoint=server.url), api_key=None
        )
        return Bench(client, **options), client

    @staticmethod
    def ask(number: int) -> ChatRequest:
        return ChatRequest(
            "m", (Message("user", f"prompt {number}"),), InferenceParameters()
        )

    async def test_never_more_at_once_than_the_ceiling(self) -> None:
        async with ModelServer(faults=[Fault("hang")] * 40) as server:
            bench, client = self.bench(server, ceiling=7)
            tasks = [
                asyncio.create_task(bench.endpoint.chat(self.ask(number)))
                for number in range(40)
            ]
            await server.seen(7)
            server.let_go()
            await asyncio.gather(*tasks)
            assert server.peak == 7
            await client.aclose()

    async def test_no_record_is_lost_to_faults(self) -> None:
        rates = [
            (limited(), 0.1),
            (status(500), 0.02),
            (Fault("reset"), 0.02),
            (Fault("truncated"), 0.02),
        ]
        async with ModelServer(rates=rates) as server:
            bench, client = self.bench(server, num_retries=6, ceiling=16)
            replies = await asyncio.gather(
                *(bench.endpoint.chat(self.ask(number)) for number in range(300))
            )
            assert [reply.text for reply in replies] == [
                answer_to(f"prompt {number}") for number in range(300)
            ]
            assert (
                sum(reply.usage.requests for reply in replies)
                == len(server.requests)
                > 300
            )
            await client.aclose()
