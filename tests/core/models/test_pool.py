"""From config to endpoints: sharing of clients and gates, keys, health checks."""

from collections.abc import AsyncIterator

import pytest

from sdg_core.config.models import InferenceParameters, ModelConfig, ModelProvider
from sdg_core.config.run import RunSettings
from sdg_core.errors import PermanentModelError
from sdg_core.models.endpoint import RequestFailedError
from sdg_core.models.open_pool import Models, open_models
from sdg_core.models.types import ChatRequest, Message
from sdg_core.testing import ModelServer, answer_to, status

SETTINGS = RunSettings()
NOWHERE = "http://127.0.0.1:1/v1"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


def provider(
    endpoint: str | None, *, name: str = "p", key: str | None = None
) -> ModelProvider:
    kind = "simulated" if endpoint is None else "openai"
    return ModelProvider.model_validate(
        {"name": name, "provider_type": kind, "endpoint": endpoint, "api_key": key}
    )


def model(
    alias: str, *, parallel: int = 4, name: str = "m", skip: bool = False, of: str = "p"
) -> ModelConfig:
    parameters = InferenceParameters(max_parallel_requests=parallel)
    return ModelConfig(
        alias=alias,
        model=name,
        provider=of,
        inference_parameters=parameters,
        skip_health_check=skip,
    )


def ask(prompt: str = "hello") -> ChatRequest:
    return ChatRequest("m", (Message("user", prompt),), InferenceParameters())


async def test_each_alias_answers(server: ModelServer) -> None:
    models: Models = {
        "real": (model("real"), provider(server.url)),
        "sim": (model("sim"), provider(None, name="s")),
    }
    async with open_models(models, settings=SETTINGS, env={}) as pool:
        assert set(pool) == {"real", "sim"} and len(pool) == 2
        assert (await pool["real"].chat(ask())).text == answer_to("hello")
        assert (await pool["sim"].chat(ask())).text.startswith("[simulated] ")


async def test_aliases_of_one_model_and_account_share_the_smaller_ceiling(
    server: ModelServer,
) -> None:
    shared = provider(server.url, key="KEY")
    same_account = provider(server.url + "/", name="twin", key="SAME_KEY")
    other_account = provider(server.url, name="other", key="OTHER_KEY")
    models: Models = {
        "a": (model("a", parallel=9), shared),
        "b": (model("b", parallel=3), shared),
        "c": (model("c", parallel=5), same_account),
        "d": (model("d", parallel=7), other_account),
        "e": (model("e", parallel=11, name="another"), shared),
    }
    env = {"KEY": "k", "SAME_KEY": "k", "OTHER_KEY": "z"}
    async with open_models(models, settings=SETTINGS, env=env) as pool:
        assert [pool[alias].limit for alias in "abcde"] == [3, 3, 3, 7, 11]
        assert pool.capacity == 3 + 7 + 11


async def test_a_run_lowers_what_models_allow_and_never_raises_it() -> None:
    simulated = provider(None)
    models: Models = {
        "few": (model("few", parallel=2), simulated),
        "many": (model("many", parallel=64, name="n"), simulated),
    }
    for at_most, limits in ((None, [2, 64]), (5, [2, 5]), (1, [1, 1]), (100, [2, 64])):
        settings = RunSettings(max_parallel_requests=at_most)
        async with open_models(models, settings=settings, env={}) as pool:
            assert [pool[alias].limit for alias in models] == limits
            assert pool.capacity == sum(limits)


@pytest.mark.parametrize("env", [{}, {"MY_KEY": ""}, {"MY_KEY": "  \n"}])
async def test_key_that_is_not_set_is_reported_before_anything_is_sent(
    server: ModelServer, env: dict[str, str]
) -> None:
    models: Models = {"a": (model("a"), provider(server.url, key="MY_KEY"))}
    with pytest.raises(
        PermanentModelError, match=r"'p'.*MY_KEY(.|\n)*export MY_KEY="
    ) as caught:
        async with open_models(models, settings=SETTINGS, env=env):
            pytest.fail("opened without a key")
    assert caught.value.remedy and not server.requests and not server.checks


@pytest.mark.parametrize(
    ("variable", "value"),
    [("sk-literal-key", "x"), ("KEY", "two\nlines"), ("KEY", "kéy")],
)
async def test_unusable_key_is_not_repeated(variable: str, value: str) -> None:
    models: Models = {"a": (model("a"), provider(NOWHERE, key=variable))}
    with pytest.raises(PermanentModelError) as caught:
        async with open_models(models, settings=SETTINGS, env={variable: value}):
            pytest.fail("opened with an unusable key")
    assert (
        "sk-literal-key" not in str(caught.value)
        and value not in str(caught.value).split()
    )


async def test_key_is_sent_without_surrounding_blanks(server: ModelServer) -> None:
    server.api_key = "k"
    models: Models = {"a": (model("a"), provider(server.url, key="KEY"))}
    async with open_models(models, settings=SETTINGS, env={"KEY": " k\n"}) as pool:
        await pool.check()
        await pool["a"].chat(ask())


async def test_simulated_provider_needs_no_key() -> None:
    models: Models = {"a": (model("a"), provider(None, key="MY_KEY"))}
    async with open_models(models, settings=SETTINGS, env={}) as pool:
        await pool.check()
        assert (await pool["a"].chat(ask())).text


async def test_each_provider_is_checked_once_and_skipped_only_by_all(
    server: ModelServer,
) -> None:
    first, second = provider(server.url), provider(NOWHERE, name="down")
    models: Models = {
        "a": (model("a", skip=True), first),
        "b": (model("b"), first),
        "c": (model("c"), first),
        "d": (model("d", skip=True, of="down"), second),
    }
    async with open_models(models, settings=SETTINGS, env={}) as pool:
        await pool.check()
    assert server.checks == 1 and not server.requests


async def test_check_names_every_provider_that_fails(server: ModelServer) -> None:
    server.api_key = "right"
    models: Models = {
        "a": (model("a"), provider(server.url, name="locked", key="MY_KEY")),
        "b": (model("b"), provider(NOWHERE, name="down")),
    }
    async with open_models(
        models, settings=SETTINGS, env={"MY_KEY": "wrong-key"}
    ) as pool:
        with pytest.raises(PermanentModelError) as caught:
            await pool.check()
    text = str(caught.value)
    assert (
        "2 providers" in text
        and "MY_KEY" in text
        and "'down'" in text
        and "wrong-key" not in text
    )


async def test_retries_come_from_the_run_settings(server: ModelServer) -> None:
    server.script.extend([status(500)] * 9)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    models: Models = {"a": (model("a"), provider(server.url))}
    async with open_models(
        models, settings=RunSettings(num_retries=3), env={}, sleep=sleep
    ) as pool:
        with pytest.raises(RequestFailedError):
            await pool["a"].chat(ask())
    assert len(server.requests) == 4 and len(waits) == 3
