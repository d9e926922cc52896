"""Rehearsal replies fit: code is valid in its language, replies have the lengths that were asked for, by column."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import orjson
import pytest

from sdg_core import api
from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.config.replies import CodeLanguage
from sdg_core.errors import ConfigError
from sdg_core.generators.models.code import extract_code
from sdg_core.models.simulated.client import MARK, SimulatedClient
from sdg_core.models.types import ChatRequest, Message
from tests.support.sdg import dataset_config, llm, open_dataset, stored_records, uuid

LANGUAGES: Sequence[str] = get_args(CodeLanguage)
COMPILERS = {
    "bash": ("bash", "-n"),
    "c": ("gcc", "-fsyntax-only", "-x", "c"),
    "cpp": ("g++", "-fsyntax-only", "-x", "c++"),
    "javascript": ("node", "--check"),
}
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 30},
        "body": {"type": "string"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "mail": {"type": "string", "format": "email"},
        "parts": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "string"},
        },
    },
    "required": ["title", "body", "kind", "mail", "parts"],
}


async def no_wait(_: float) -> None: ...


async def ask(tokens: Any, *, seed: int = 0, **given: Any) -> str:
    simulation = {"reply_tokens": tokens} if tokens is not None else {}
    provider = ModelProvider.model_validate(
        {"name": "p", "provider_type": "simulated", "simulation": simulation}
    )
    request = ChatRequest(
        "m",
        (Message("user", "Write about hoses"),),
        InferenceParameters(),
        seed=seed,
        **given,
    )
    return (await SimulatedClient(provider, sleep=no_wait).chat(request)).text


@pytest.mark.parametrize("length", [None, 300])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_code_is_valid_in_its_language(
    language: str, length: int | None, tmp_path: Path
) -> None:
    name = language.partition(":")[0]
    texts = [await ask(length, seed=seed, code_language=name) for seed in range(3)]
    codes = [extract_code(text, language=name) for text in texts]
    assert len(set(codes)) == 3
    if length is not None:
        assert all(length * 4 * 0.9 < len(text) < length * 4 * 1.2 for text in texts)
    if name in COMPILERS and shutil.which(COMPILERS[name][0]):
        file = tmp_path / f"code.{'js' if name == 'javascript' else 'txt'}"
        file.write_text(codes[0] + "\n", encoding="utf-8")
        checked = subprocess.run(
            [*COMPILERS[name], str(file)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_validators_find_rehearsed_code_valid(tmp_path: Path) -> None:
    columns: list[dict[str, Any]] = [uuid()]
    for language in (
        "python",
        *(language for language in LANGUAGES if language.startswith("sql")),
    ):
        name = language.replace(":", "_")
        columns += [
            {**llm(name, "{{ id }}"), "column_type": "llm-code", "code_lang": language},
            {
                "column_type": "validation",
                "name": f"{name}_ok",
                "target_columns": [name],
                "validator_type": "code",
                "validator_params": {"code_lang": language},
            },
        ]
    config = dataset_config(llm("x", "x"), num_records=2) | {"columns": columns}
    config["model_providers"][0]["simulation"] = {"reply_tokens": {"python": 200}}
    rows = stored_records(
        api.generate(open_dataset(tmp_path / "t.yaml", config, root=tmp_path)).version
    ).values()
    verdicts = {
        name: row[name]["is_valid"]
        for row in rows
        for name in row
        if name.endswith("_ok")
    }
    assert verdicts and all(verdicts.values()), verdicts
    assert all(len(row["python"]) > 600 for row in rows)


@pytest.mark.parametrize("tokens", [15, 40, 700])
async def test_texts_have_about_the_length_that_is_asked_for(tokens: int) -> None:
    texts = [await ask(tokens, seed=seed) for seed in range(20)]
    assert (
        all(text.startswith(MARK) and text.endswith(".") for text in texts)
        and len(set(texts)) > 10
    )
    assert all(tokens - 8 <= -(-len(text) // 4) <= tokens for text in texts)


async def test_lengths_spread_as_they_are_asked_to() -> None:
    lengths = [
        len(await ask({"mean": 200, "stddev": 60}, seed=seed)) / 4
        for seed in range(200)
    ]
    assert 185 < fmean(lengths) < 210 and min(lengths) < 130 and max(lengths) > 270


async def test_json_grows_in_its_free_texts_only() -> None:
    value = orjson.loads(await ask(250, response_schema=SCHEMA))
    assert (
        len(value["title"]) <= 30
        and value["kind"] in "ab"
        and value["mail"].endswith("@example.com")
    )
    assert (
        250 * 4 * 0.8 < len(orjson.dumps(value)) < 250 * 4 * 1.1
        and len(value["parts"][0]) > 100
    )
    numbers = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }
    assert orjson.loads(await ask(250, response_schema=numbers)) == orjson.loads(
        await ask(None, response_schema=numbers)
    )


async def test_what_is_added_goes_on_with_the_reply_that_there_would_be() -> None:
    assert (await ask(500)).startswith(await ask(None))


def test_a_column_has_its_own_length_and_only_its_own_fingerprint_knows_it(
    tmp_path: Path,
) -> None:
    config = dataset_config(
        llm("short", "a"), llm("long", "b"), llm("usual", "c"), num_records=2
    )
    hashes = []
    for lengths in ({"long": 400}, {"long": 400, "short": {"mean": 10, "stddev": 2}}):
        config["model_providers"][0]["simulation"] = {"reply_tokens": lengths}
        dataset = open_dataset(tmp_path / "t.yaml", config, root=tmp_path)
        hashes.append(dataset.plan.fingerprint.column_hashes)
    assert {name for name in hashes[0] if hashes[0][name] != hashes[1][name]} == {
        "short"
    }
    [row, _] = stored_records(api.generate(dataset).version).values()
    assert (
        len(row["short"]) < 80
        and len(row["long"]) > 1500
        and 40 < len(row["usual"]) < 400
    )
    config["model_providers"][0]["simulation"] = {"reply_tokens": {"lang": 400}}
    with pytest.raises(ConfigError, match=r"reply_tokens\.lang.*did you mean 'long'"):
        open_dataset(tmp_path / "t.yaml", config, root=tmp_path)
    config["model_providers"][0]["simulation"] = {"reply_tokens": "many"}
    with pytest.raises(ConfigError, match="expected tokens, {mean: tokens"):
        open_dataset(tmp_path / "t.yaml", config, root=tmp_path)
