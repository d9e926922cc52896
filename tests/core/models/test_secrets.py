"""Secrets in headers: taken from the environment, sent, and shown nowhere."""

from pathlib import Path

import pytest

from sdg_core.config.models import InferenceParameters, ModelConfig, ModelProvider
from sdg_core.config.run import RunSettings
from sdg_core.errors import ConfigError, PermanentModelError
from sdg_core.models.endpoint import RequestFailedError
from sdg_core.models.open_pool import open_models
from sdg_core.models.types import ChatRequest, Message
from sdg_core.plan.load import load_dataset
from sdg_core.testing import ModelServer, status

SECRET = "tok-0123456789abcdef"
MODEL = ModelConfig(alias="a", model="m", provider="p")
REQUEST = ChatRequest("m", (Message("user", "hi"),), InferenceParameters())


def provider(url: str) -> ModelProvider:
    return ModelProvider(
        name="p",
        endpoint=url,
        extra_headers={"Authorization": "$TOKEN", "X-Cost": "$5 a day"},
    )


async def test_sent_and_not_shown() -> None:
    async with ModelServer(
        faults=[status(400, message=f"bad token {SECRET}")]
    ) as server:
        models = {"a": (MODEL, provider(server.url))}
        async with open_models(
            models, settings=RunSettings(), env={"TOKEN": f" {SECRET}\n"}
        ) as pool:
            with pytest.raises(RequestFailedError) as caught:
                await pool["a"].chat(REQUEST)
            assert SECRET not in str(caught.value) and "[secret]" in str(caught.value)
            assert SECRET not in repr(vars(pool["a"]._client)) and SECRET not in repr(
                pool["a"]._client._http.caller
            )  # type: ignore[attr-defined]
        assert (
            server.headers[0]["Authorization"] == SECRET
            and server.headers[0]["X-Cost"] == "$5 a day"
        )


async def test_missing_variable_is_named_before_anything_is_sent() -> None:
    models = {"a": (MODEL, provider("http://127.0.0.1:1/v1"))}
    with pytest.raises(
        PermanentModelError,
        match=r"header Authorization of provider 'p'.*TOKEN.*not set",
    ):
        async with open_models(models, settings=RunSettings(), env={}):
            pass


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "API-Key"])
def test_literal_secrets_are_refused_and_not_repeated(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(
        "name: d\nnum_records: 1\ncolumns:\n  - {column_type: sampler, name: u, sampler_type: uuid, params: {}}\n"
        f"model_providers:\n  - {{name: p, endpoint: 'http://x/v1', extra_headers: {{{name}: 'Bearer {SECRET}'}}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(
        ConfigError, match=rf"extra_headers.*{name}: \$MY_VARIABLE"
    ) as caught:
        load_dataset(path)
    assert SECRET not in str(caught.value)
