"""Every broken or hostile answer of `quirks`, by every kind of request: the record fails or has a value, and the run goes on.

No answer ends a run, holds it up beyond its timeout, sends the key elsewhere, leaves the key in a file, or has another address
asked.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sdg_core import api
from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.config.validators import RemoteParams
from sdg_core.errors import ModelError
from sdg_core.execution.summary import RunSummary
from sdg_core.models.providers.anthropic import AnthropicClient
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    EmbeddingRequest,
    ImageRequest,
    Message,
)
from sdg_core.plan.foreign import dump_exactly
from sdg_core.validators.base import ValidatorError
from sdg_core.validators.remote import RemoteValidator
from tests.hostile.quirks import (
    BODIES,
    KEY,
    QUIRKS,
    STATUSES,
    TRANSPORT,
    QuirkServer,
    quirk_server,
)
from tests.support.sdg import dataset_config, stored_records

KINDS = (
    "chat",
    "structured",
    "embedding",
    "image",
    "image-chat",
    "anthropic",
    "anthropic-structured",
)
SECONDS = 3.0
SECONDS_OF_RUNS = 3.0
CORRECTIONS = {"max_conversation_correction_steps": 0, "max_conversation_restarts": 0}
GOOD = {
    "odd-encoding",
    "status-103",
    "cookie",
    "gateway-header",
    "mark",
    "sse",
    "status-201",
    "status-206",
}
"""Of the answers that are not of one kind, those that a reply may be in."""
ASK_TO_WAIT = {name for name in QUIRKS if name.startswith("retry-")} | {
    "status-429",
    "error-codes",
    "error-number",
}
"""A server that only ever says this is waited for until the rule about stalls ends the run; no record fails."""
END_A_RUN = {"status-402"}
"""An account that is used up ends the run at once."""
IN_RUNS = [name for name in QUIRKS if name not in ASK_TO_WAIT | END_A_RUN]


@pytest.fixture(scope="module")
def server() -> Iterator[QuirkServer]:
    with quirk_server() as server:
        yield server
        assert server.asked == {*QUIRKS}, "a quirk was never asked for"
        assert server.other == [], "another address was asked"


def asked(client: ChatClient, kind: str, name: str) -> Any:
    prompt = f"quirk:{name} {'draw' if kind == 'image-chat' else 'say'}"
    parameters = InferenceParameters(timeout=SECONDS)
    if kind == "embedding":
        return client.embed(
            EmbeddingRequest(
                "m",
                (prompt,),
                InferenceParameters(generation_type="embedding", timeout=SECONDS),
            )
        )
    if kind.startswith("image"):
        model = "dall-e-3" if kind == "image" else "some-chat-model"
        return client.make_images(
            ImageRequest(
                model,
                prompt,
                InferenceParameters(generation_type="image", timeout=SECONDS),
            )
        )
    schema: Any = (
        {"type": "object", "properties": {"a": {"type": "integer"}}}
        if "structured" in kind
        else None
    )
    request = ChatRequest(
        "m",
        (Message("user", prompt),),
        parameters,
        response_schema=schema,
        schema_name="f",
    )
    return client.chat(request)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_raises_what_is_documented(
    kind: str, server: QuirkServer
) -> None:
    anthropic = kind.startswith("anthropic")
    provider = ModelProvider(
        name="p",
        endpoint=f"http://127.0.0.1:{server.port}" + ("" if anthropic else "/v1"),
    )
    client: ChatClient = (AnthropicClient if anthropic else OpenAIClient)(
        provider, api_key=KEY
    )
    faults: dict[str, str] = {}
    outcomes: dict[str, Any] = {}

    async def one(name: str) -> None:
        try:
            outcomes[name] = await asyncio.wait_for(
                asked(client, kind, name), SECONDS * 30
            )
        except ModelError as error:
            outcomes[name] = error
            if KEY in f"{error} {error.remedy}" or not str(error):
                faults[name] = str(error)
        except Exception as error:  # noqa: BLE001 - whatever else it is, it is the fault that is looked for
            faults[name] = f"{type(error).__name__}: {error}"[:300]

    for start in range(0, len(QUIRKS), 50):
        await asyncio.gather(*(one(name) for name in [*QUIRKS][start : start + 50]))
    await client.aclose()
    assert faults == {}
    fine = {
        name
        for name in (*TRANSPORT, *STATUSES, *BODIES)
        if not isinstance(outcomes[name], ModelError)
    }
    assert fine <= GOOD
    assert len(fine) >= 3, "replies in odd forms are replies all the same"
    for reply in outcomes.values():
        if not isinstance(reply, ModelError):
            usage = reply.usage
            assert all(
                0 <= count < 2**62
                for count in (
                    usage.prompt_tokens,
                    usage.completion_tokens,
                    usage.cached_tokens,
                )
            )
            dump_exactly(getattr(reply, "text", None))


async def test_a_remote_validator_says_what_is_wrong(server: QuirkServer) -> None:
    params = RemoteParams(
        endpoint_url=f"http://127.0.0.1:{server.port}/check",
        timeout=SECONDS,
        max_retries=0,
    )
    validator = RemoteValidator(params, verdict=pa.struct([("is_valid", pa.bool_())]))
    outcomes: dict[str, Any] = {}

    async def one(name: str) -> None:
        try:
            outcomes[name] = await asyncio.wait_for(
                validator.validate([{"text": f"quirk:{name}"}]), SECONDS * 30
            )
        except ValidatorError as error:
            outcomes[name] = error

    for start in range(0, len(QUIRKS), 50):
        await asyncio.gather(*(one(name) for name in [*QUIRKS][start : start + 50]))
    assert outcomes.keys() == QUIRKS.keys()
    assert all(isinstance(outcomes[name], ValidatorError) for name in TRANSPORT)


def column(kind: str) -> dict[str, Any]:
    base = {
        "name": "made",
        "prompt": f"quirk:{{{{ quirk }}}} {'draw' if kind == 'image-chat' else 'say'}",
        "model_alias": "w",
    }
    match kind:
        case "embedding":
            return {
                "column_type": "embedding",
                "name": "made",
                "target_column": "text",
                "model_alias": "w",
            }
        case "image" | "image-chat":
            return {"column_type": "image", **base}
        case "structured" | "anthropic-structured":
            schema = {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "required": ["a"],
            }
            return {"column_type": "llm-structured", **base, "output_format": schema}
        case _:
            return {"column_type": "llm-text", **base}


def generate(
    kind: str, server: QuirkServer, root: Path
) -> tuple[api.Dataset, RunSummary]:
    names = [*IN_RUNS, "none"]
    text = {
        "column_type": "expression",
        "name": "text",
        "expr": "quirk:{{ quirk }} please",
    }
    anthropic = kind.startswith("anthropic")
    generation = {
        "embedding": "embedding",
        "image": "image",
        "image-chat": "image",
    }.get(kind, "chat-completion")
    endpoint = f"http://127.0.0.1:{server.port}" + ("" if anthropic else "/v1")
    parameters = {
        "generation_type": generation,
        "timeout": SECONDS_OF_RUNS,
        "max_parallel_requests": 60,
    }
    model = {
        "alias": "w",
        "model": "dall-e-3" if kind == "image" else "m",
        "provider": "p",
        "inference_parameters": parameters,
    }
    (root / "names.csv").write_text("quirk\n" + "\n".join(names) + "\n")
    config = dataset_config(text, column(kind)) | {
        "num_records": len(names),
        "row_group_size": 100,
        "seed_config": {"source": {"seed_type": "local", "path": "names.csv"}},
        "model_providers": [
            {
                "name": "p",
                "provider_type": "anthropic" if anthropic else "openai",
                "endpoint": endpoint,
                "api_key": "MY_KEY",
            }
        ],
        "model_configs": [model],
        "run": {
            "num_retries": 0,
            "max_failure_rate": 1.0,
            "stall_timeout": 30.0,
            **CORRECTIONS,
        },
    }
    dataset = api.open_dataset(config, root=root, base=root, env={"MY_KEY": KEY})
    return dataset, api.generate(dataset)


@pytest.mark.parametrize("kind", ["chat", "structured", "embedding"])
def test_a_run_of_nothing_but_quirks_ends_and_keeps_what_is_good(
    kind: str, server: QuirkServer, tmp_path: Path
) -> None:
    dataset, summary = generate(kind, server, tmp_path)
    assert summary.generated + summary.failed == len(IN_RUNS) + 1
    version = summary.version
    records = stored_records(version)
    assert {*TRANSPORT} - GOOD <= {
        name for at, name in enumerate(IN_RUNS) if at not in records
    }
    assert len(records) == summary.generated > 0
    assert records[len(IN_RUNS)]["made"] is not None, "the one without a quirk"
    held = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert held == []
    rows = [
        json.loads(line)
        for file in version.directory.rglob("failures/*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert len(rows) == summary.failed
    if kind != "chat":
        return
    again = api.generate(dataset)
    assert again.generated + again.failed == summary.failed, (
        "only what failed is asked again, and the ledger is whole"
    )
