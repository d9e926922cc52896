"""A model that steps in for another: who is asked, what is counted for whom, and what a failure of both says."""

from typing import Any

import pytest

from sdg_core.config.models import InferenceParameters, ModelConfig, ModelProvider
from sdg_core.config.run import RunSettings
from sdg_core.models.endpoint import RequestFailedError
from sdg_core.models.open_pool import Models, open_models
from sdg_core.models.types import ChatRequest, ImageRequest, Message
from sdg_core.models.usage import Usage
from sdg_core.plan.models import is_circular, later_aliases
from sdg_core.testing import ModelServer, answer_to, limited, status


async def no_wait(_: float) -> None: ...


def chain(server: ModelServer, other: ModelServer) -> Models:
    first, second = (
        ModelProvider(name="p", endpoint=server.url),
        ModelProvider(name="q", endpoint=other.url),
    )
    colder = InferenceParameters.model_validate(
        {
            "max_tokens": 7,
            "temperature": {
                "distribution_type": "uniform",
                "params": {"low": 0, "high": 1},
            },
        }
    )
    later = ModelConfig(
        alias="b", model="second", provider="q", inference_parameters=colder
    )
    return {
        "a": (ModelConfig(alias="a", model="first", provider="p", fallback="b"), first),
        "b": (later, second),
    }


def ask() -> ChatRequest:
    return ChatRequest(
        "first", (Message("user", "hi"),), InferenceParameters(temperature=0.25)
    )


async def test_permanent_failure_goes_to_the_fallback() -> None:
    async with ModelServer(faults=[status(400)]) as server, ModelServer() as other:
        async with open_models(
            chain(server, other), settings=RunSettings(), env={}
        ) as pool:
            reply = await pool["a"].chat(ask())
            assert reply.text == answer_to("hi") and reply.alias == "b"
            assert {
                alias: usage.requests
                for alias, usage in reply.usage_by_alias("a").items()
            } == {
                "a": 1,
                "b": 1,
            }
            assert other.requests[0]["model"] == "second"
            assert (
                other.requests[0]["max_tokens"],
                other.requests[0]["temperature"],
            ) == (7, 0.25)
            again = await pool["a"].chat(ask())
            assert again.alias == "a" and list(again.usage_by_alias("a")) == ["a"]


async def test_exhausted_retries_do_and_rate_limits_do_not() -> None:
    faults = [limited(), status(500), limited(), status(500)]
    async with ModelServer(faults=faults) as server, ModelServer() as other:
        settings = RunSettings(num_retries=1)
        async with open_models(
            chain(server, other), settings=settings, env={}, sleep=no_wait
        ) as pool:
            reply = await pool["a"].chat(ask())
            assert (
                reply.usage_by_alias("a")["a"] == Usage(requests=4, retries=3)
                and reply.usage_by_alias("a")["b"].requests == 1
            )


async def test_failure_of_both_counts_both() -> None:
    async with (
        ModelServer(faults=[status(400)]) as server,
        ModelServer(faults=[status(401)]) as other,
    ):
        async with open_models(
            chain(server, other), settings=RunSettings(), env={}
        ) as pool:
            with pytest.raises(RequestFailedError, match="401") as caught:
                await pool["a"].chat(ask())
            used = caught.value.usage_by_alias("a")
            assert {alias: usage.requests for alias, usage in used.items()} == {
                "a": 1,
                "b": 1,
            }
            assert "400" in str(caught.value.__cause__)


async def test_images_too() -> None:
    request = ImageRequest(
        "dall-e-3", "a quay", InferenceParameters(generation_type="image")
    )
    async with ModelServer() as other:
        models: Any = {
            "a": (
                ModelConfig(alias="a", model="x", provider="p", fallback="b"),
                ModelProvider(name="p", provider_type="anthropic", endpoint=other.url),
            ),
            "b": (
                ModelConfig(alias="b", model="dall-e-3", provider="q"),
                ModelProvider(name="q", endpoint=other.url),
            ),
        }
        async with open_models(models, settings=RunSettings(), env={}) as pool:
            assert (await pool["a"].make_images(request)).alias == "b"


def test_chains() -> None:
    fallbacks = {"a": "b", "b": "c", "c": "b", "d": "d", "e": "nobody", "f": None}
    assert {alias: later_aliases(alias, fallbacks) for alias in fallbacks} == {
        "a": ["b", "c"],
        "b": ["c"],
        "c": ["b"],
        "d": [],
        "e": [],
        "f": [],
    }
    assert [alias for alias in fallbacks if is_circular(alias, fallbacks)] == [
        "b",
        "c",
        "d",
    ]
