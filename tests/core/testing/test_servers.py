"""The model servers misbehave as they are told to: no fault passes without effect, by script, rate or command."""

import asyncio
import threading
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest

from sdg_core import api
from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import ModelError
from sdg_core.models.providers.anthropic import AnthropicClient
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.types import ChatClient, ChatRequest, ChatResponse, Message
from sdg_core.testing import (
    AnthropicServer,
    Fault,
    FaultKind,
    FaultyServer,
    ModelServer,
    limited,
    serving,
    status,
)
from sdg_core.testing.__main__ import main
from tests.support.sdg import PATIENCE, wait_until, write_config

SERVERS = [ModelServer, AnthropicServer]
AT_ONCE = [kind for kind in get_args(FaultKind) if kind not in ("slow", "hang")]
HEADERS = {"anthropic-version": "2023-06-01"}


async def answered(server: FaultyServer, prompt: str = "hello") -> Any:
    """What a client sees of an answer: status, headers and body, or how the connection broke."""
    content: Any = prompt
    path = "/chat/completions"
    if isinstance(server, AnthropicServer):
        content = [{"type": "text", "text": prompt}]
        path = "/v1/messages"
    message = {"role": "user", "content": content}
    body = {"model": "m", "max_tokens": 9, "messages": [message]}
    async with aiohttp.ClientSession() as session:
        try:
            reply = await session.post(server.url + path, json=body, headers=HEADERS)
            return reply.status, reply.headers.get("Retry-After"), await reply.read()
        except aiohttp.ClientError as error:
            return type(error).__name__


@pytest.mark.parametrize("kind", AT_ONCE)
@pytest.mark.parametrize("make", SERVERS)
async def test_each_fault_changes_the_answer_to_one_request(
    make: type[FaultyServer], kind: FaultKind
) -> None:
    async with make(faults=[Fault(kind)]) as server:
        faulty, plain, again = [await answered(server) for _ in range(3)]
    assert faulty != plain == again
    assert server.prompts == ["hello"] * 3


@pytest.mark.parametrize("make", SERVERS)
async def test_a_request_that_hangs_is_answered_when_it_is_let_go(
    make: type[FaultyServer],
) -> None:
    async with make(faults=[Fault("hang"), Fault("slow", delay=0.001)]) as server:
        hanging = asyncio.create_task(answered(server))
        await server.seen(1)
        slow, plain = await answered(server), await answered(server)
        assert not hanging.done() and server.open == 1
        await asyncio.to_thread(server.let_go)
        assert await hanging == slow == plain


def test_a_test_that_is_not_async_lets_go_from_its_own_thread() -> None:
    with serving(ModelServer(faults=[Fault("hang")])) as server:
        seen: list[Any] = []
        asking = threading.Thread(
            target=lambda: seen.append(asyncio.run(answered(server))), daemon=True
        )
        asking.start()
        wait_until(lambda: bool(server.requests), "the request has arrived")
        server.let_go()
        asking.join(PATIENCE)
        assert seen[0][0] == 200


@pytest.mark.parametrize("kind", AT_ONCE)
@pytest.mark.parametrize("make", SERVERS)
async def test_our_clients_give_a_reply_or_an_error_of_the_model(
    make: type[FaultyServer], kind: FaultKind
) -> None:
    request = ChatRequest("m", (Message("user", "hello"),), InferenceParameters())
    async with make(faults=[Fault(kind)]) as server:
        client: ChatClient
        if make is AnthropicServer:
            provider = ModelProvider(
                name="p", provider_type="anthropic", endpoint=server.url
            )
            client = AnthropicClient(provider, api_key=None)
        else:
            client = OpenAIClient(
                ModelProvider(name="p", endpoint=server.url), api_key=None
            )
        try:
            reply: ChatResponse | ModelError = await client.chat(request)
        except ModelError as error:
            reply = error
        finally:
            await client.aclose()
    if kind in ("no_usage", "another_model"):
        assert isinstance(reply, ChatResponse) and reply.finish_reason == "stop"
    elif kind in ("length", "cut"):
        assert isinstance(reply, ChatResponse) and reply.finish_reason == "length"
    else:
        assert isinstance(reply, ModelError)


@pytest.mark.parametrize("make", SERVERS)
async def test_a_rate_hits_the_same_requests_in_any_order(
    make: type[FaultyServer],
) -> None:
    prompts = [f"prompt {number}" for number in range(40)]
    refused = []
    for order in (prompts, prompts[::-1]):
        async with make(rates=[(status(503), 0.5)]) as server:
            answers = [await answered(server, prompt) for prompt in order]
        hit = {
            prompt
            for prompt, answer in zip(order, answers, strict=True)
            if answer[0] == 503
        }
        assert server.statuses == {200: 40 - len(hit), 503: len(hit)}
        refused.append(hit)
    assert refused[0] == refused[1] and 5 < len(refused[0]) < 35


def test_what_would_do_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'timeout'; there are limited, "):
        Fault("timeout")  # type: ignore[arg-type]  # as a test that is not type-checked
    for share in (-0.1, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ModelServer(rates=[(limited(), share)])
    with pytest.raises(ValueError, match="at most 1"):
        AnthropicServer(rates=[(limited(), 0.6), (status(500), 0.6)])
    ModelServer(rates=[(limited(), 0.1)] * 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "timeout=0.1"], "no fault 'timeout'; there are limited, reset, "),
        (["--rate", "limited"], "'limited' has no share; write limited=0.1"),
        (["--rate", "500=many"], "'500=many' has no share; write 500=0.1"),
        (["--rate", "500=0.9", "--rate", "reset=0.9"], "add up to at most 1"),
        (["--port", "70000"], "--port 70000: "),
    ],
)
def test_the_command_says_what_is_wrong_with_its_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and message in said
    assert said.startswith("usage: python -m sdg_core.testing ")


def test_a_dataset_is_made_with_anthropics_api(tmp_path: Path) -> None:
    column = {
        "column_type": "llm-text",
        "name": "x",
        "model_alias": "w",
        "prompt": "hello",
    }
    with serving(
        AnthropicServer(faults=[limited("0")], answer=lambda prompt: prompt.upper())
    ) as server:
        provider = {
            "name": "p",
            "provider_type": "anthropic",
            "endpoint": server.url,
        }
        file = write_config(
            tmp_path / "dataset.yaml",
            {
                "name": "x",
                "num_records": 1,
                "columns": [column],
                "model_providers": [provider],
                "model_configs": [{"alias": "w", "model": "m", "provider": "p"}],
            },
        )
        summary = api.generate(api.open_dataset(file, root=tmp_path / "root"))
    assert summary.generated == 1
    assert server.prompts == ["hello", "hello"] and server.statuses[429] == 1
