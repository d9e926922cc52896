"""Whatever a template or a text makes of a process of its own or of a thread, the event loop answers meanwhile."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.config.models import ModelProvider
from sdg_core.models.providers import openai
from sdg_core.models.providers.http import HttpSender
from sdg_core.models.providers.openai_wire import decode_reply
from sdg_core.models.types import ChatResponse
from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.plan.templates import isolated
from sdg_core.plan.templates.render import Template
from sdg_core.redaction import Redaction
from sdg_core.testing import ModelServer
from tests.support.requirements import PATIENCE
from tests.support.sdg import category, dataset_config

HEAVY = "{% set a = plan %}" + "{% set a = a ~ a %}" * 30 + "{{ a[:1] }}"
TRUE = HEAVY + "true"


@pytest.fixture
async def renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Renderings apart end once the loop of the test has answered, and fail if it does not."""
    loop = asyncio.get_running_loop()
    done: list[str] = []

    def render(source: str, values: Any, **options: Any) -> str:
        answered = threading.Event()
        loop.call_soon_threadsafe(answered.set)
        assert answered.wait(PATIENCE), "the loop stood still"
        done.append(source)
        return "true"

    monkeypatch.setattr(isolated, "render", render)
    return done


def text(name: str, **more: Any) -> dict[str, Any]:
    return {
        "column_type": "llm-text",
        "name": name,
        "prompt": "{{ plan }}",
        "model_alias": "writer",
        **more,
    }


COLUMNS = {
    "prompt": [text("t", prompt=HEAVY)],
    "system_prompt": [text("t", system_prompt=HEAVY)],
    "expression": [
        text("t"),
        {"column_type": "expression", "name": "e", "expr": HEAVY + "{{ t }}"},
    ],
    "skip": [
        text("u"),
        text("t", prompt="{{ u }}", skip={"when": HEAVY.replace("plan", "u")}),
    ],
    "image": [
        text("t"),
        {
            "column_type": "image",
            "name": "p",
            "prompt": HEAVY,
            "model_alias": "painter",
        },
    ],
    "select": [text("t")],
    "group": [{"column_type": "expression", "name": "e", "expr": HEAVY}],
}


@pytest.mark.parametrize("kind", COLUMNS)
async def test_templates_of_datasets(
    tmp_path: Path, kind: str, renderings: list[str]
) -> None:
    async with ModelServer() as server:
        config = dataset_config(
            category("plan", "a"), *COLUMNS[kind], endpoint=server.url
        ) | {"num_records": 2}
        if kind == "select":
            config["select"] = {"keep": TRUE, "candidates": 1, "otherwise": "drop"}
        painter = {
            "alias": "painter",
            "model": "dall-e",
            "inference_parameters": {"generation_type": "image"},
        }
        if kind == "image":
            config["model_configs"].append({**config["model_configs"][0], **painter})
        summary = await api.agenerate(api.open_dataset(config, root=tmp_path))
    assert summary.remaining == 0
    assert renderings


async def test_filters_of_pipelines(tmp_path: Path, renderings: list[str]) -> None:
    (tmp_path / "a.md").write_text("text")
    config = {
        "kind": "pipeline",
        "name": "notes",
        "sources": {"reader": "files", "path": "*.md"},
        "stages": [{"stage": "filter", "keep": HEAVY.replace("plan", "content")}],
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(config))
    await agenerate_pipeline(
        pipelines.open_pipeline(tmp_path / "pipeline.yaml", root=tmp_path / "root")
    )
    assert renderings


async def test_renderings_that_wait_for_each_other_end(renderings: list[str]) -> None:
    template = Template(HEAVY)
    texts = await asyncio.gather(
        *(template.render_in_loop({"plan": "x"}) for _ in range(5))
    )
    assert texts == ["true"] * 5


async def test_long_answers_are_decoded_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    decoded: list[int] = []

    def decode(body: bytes, **options: Any) -> ChatResponse:
        answered = threading.Event()
        loop.call_soon_threadsafe(answered.set)
        assert answered.wait(PATIENCE), "the loop stood still"
        decoded.append(len(body))
        return decode_reply(body, **options)

    monkeypatch.setattr(openai, "decode_reply", decode)
    async with ModelServer(answer=lambda prompt: "word " * 200_000) as server:
        config = dataset_config(
            category("plan", "a"), text("t"), endpoint=server.url
        ) | {"num_records": 2}
        summary = await api.agenerate(api.open_dataset(config, root=tmp_path))
    assert summary.remaining == 0
    assert len(decoded) == 2 and min(decoded) >= 1_000_000


async def test_long_images_are_searched_for_secrets_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    image = b"\x89PNG\r\n\x1a\n" + bytes(2**20)

    def body(self: Redaction, content: bytes) -> bytes:
        answered = threading.Event()
        loop.call_soon_threadsafe(answered.set)
        assert answered.wait(PATIENCE), "the loop stood still"
        return content

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=image, content_type="image/png")

    app = web.Application()
    app.router.add_get("/image.png", answer)
    async with TestServer(app) as server:
        base = server.make_url("/v1")
        provider = ModelProvider(name="p", endpoint=str(base))
        sender = HttpSender(provider, base, headers={}, api_key="sk-0123456789abcdef")
        monkeypatch.setattr(Redaction, "body", body)
        address = str(server.make_url("/image.png"))
        assert await sender.fetch(address, model="m", timeout=PATIENCE) == (
            image,
            "image/png",
        )
        await sender.aclose()
