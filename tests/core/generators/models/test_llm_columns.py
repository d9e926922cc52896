"""Model columns end to end: against a real server, and simulated with resume and other row-group sizes."""

import base64
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from sdg_core import api
from sdg_core.config.run import RunSettings
from sdg_core.errors import ConfigError
from sdg_core.store.failures import read_failures
from sdg_core.testing import ModelServer
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    stored_records,
    uuid,
)

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "stars": {"type": "integer"},
        "more": {"type": "object"},
    },
    "required": ["title", "stars"],
}
SCORES = [
    {"name": "quality", "description": "how good", "options": {1: "bad", 2: "good"}},
    {"name": "tone", "description": "which", "options": {"Kind": "x", "Rude": "y"}},
]


def model_column(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"column_type": kind, "name": name, "model_alias": "writer", **more}


def config_for(
    *columns: dict[str, Any], endpoint: str | None = None, **top: Any
) -> dict[str, Any]:
    """As `dataset_config`, with models for every kind of column."""
    config = dataset_config(llm("unused", "x"), endpoint=endpoint, **top)
    (writer,) = config["model_configs"]
    others = [
        {
            "alias": kind,
            "model": kind,
            "provider": "p",
            "inference_parameters": {"generation_type": kind},
        }
        for kind in ("embedding", "image")
    ]
    return {**config, "columns": list(columns), "model_configs": [writer, *others]}


@pytest.fixture
def verbatim(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server says what the test tells it to say, even where a schema is asked for."""
    monkeypatch.setattr(
        "sdg_core.testing.model_server.json_answer", lambda *_, **__: None
    )


class Answers:
    """Answers by the number of the request, the last one for all that follow."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.asked = 0

    def __call__(self, prompt: str) -> str:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


async def made_with(
    tmp_path: Path, answer: Callable[[str], str], column: dict[str, Any], *, steps: int = 1, restarts: int = 2, records: int = 1
) -> tuple[dict[int, dict[str, Any]], ModelServer, api.Dataset]:  # fmt: skip
    """One column made with a server's answers."""
    settings = {
        "max_conversation_correction_steps": steps,
        "max_conversation_restarts": restarts,
    }
    async with ModelServer(answer=answer) as server:
        config = config_for(
            uuid(), column, endpoint=server.url, num_records=records, run=settings
        )
        dataset = open_dataset(
            tmp_path / "tickets.yaml", config, root=tmp_path / "root"
        )
        summary = await api.agenerate(dataset)
        return stored_records(summary.version), server, dataset


async def test_code_is_taken_out_of_the_reply(tmp_path: Path) -> None:
    column = model_column("llm-code", "code", prompt="Add {{ id }}", code_lang="python")
    records, server, _ = await made_with(
        tmp_path, lambda _: "So:\n```bash\nls\n```\n```python\nx = 1\n```\nYes.", column
    )
    assert records[0]["code"] == "x = 1"
    assert "```python" in server.prompts[0] and server.prompts[0].startswith("Add ")


async def test_what_is_wrong_is_fed_back_and_every_request_counts(
    tmp_path: Path,
) -> None:
    answers = Answers("```bash\nls\n```", "```python\nx = 1\n```")
    column = model_column(
        "llm-code", "code", prompt="x", code_lang="python", with_trace="all_messages"
    )
    records, server, dataset = await made_with(tmp_path, answers, column)
    assert records[0]["code"] == "x = 1"
    roles = [message["role"] for message in server.requests[1]["messages"]]
    assert (
        roles == ["user", "assistant", "user"]
        and "no fenced block marked python" in server.prompts[1]
    )
    trace = records[0]["code__trace"]
    assert [message["role"] for message in trace] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert trace[-1]["content"] == [{"type": "text", "text": "```python\nx = 1\n```"}]
    assert api.status(dataset).usage["writer"]["requests"] == 2


@pytest.mark.parametrize(("steps", "restarts"), [(0, 0), (0, 2), (2, 0), (1, 2)])
@pytest.mark.usefixtures("verbatim")
async def test_a_reply_that_is_never_right_fails_its_record(
    tmp_path: Path, steps: int, restarts: int
) -> None:
    column = model_column("llm-structured", "it", prompt="x", output_format=SCHEMA)
    answer = orjson.dumps({"title": "t", "stars": "many"}).decode()
    records, server, dataset = await made_with(
        tmp_path, lambda _: answer, column, steps=steps, restarts=restarts
    )
    turns = (steps + 1) * (restarts + 1)
    # The first reply shows that the server ignores response_format; then it is asked in words.
    sent = turns + 1
    assert records == {} and len(server.requests) == sent
    lengths = [len(request["messages"]) for request in server.requests[1:]]
    assert lengths == [
        1 + 2 * step for _ in range(restarts + 1) for step in range(steps + 1)
    ]
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    (failure,) = read_failures(version.failure_list(0))
    assert (failure.column, failure.kind, failure.attempts) == ("it", "malformed", sent)
    assert "stars" in failure.message
    assert api.status(dataset).usage["writer"]["requests"] == sent


@pytest.mark.usefixtures("verbatim")
async def test_settings_of_the_caller_decide_about_corrections(tmp_path: Path) -> None:
    async with ModelServer(answer=lambda _: "nothing") as server:
        config = config_for(
            model_column("llm-structured", "it", prompt="x", output_format=SCHEMA),
            endpoint=server.url,
        )
        dataset = open_dataset(
            tmp_path / "t.yaml", {**config, "num_records": 1}, root=tmp_path / "root"
        )
        none = RunSettings(
            max_conversation_correction_steps=0, max_conversation_restarts=0
        )
        await api.agenerate(dataset, settings=none)
        assert [len(request["messages"]) for request in server.requests] == [1, 1]


@pytest.mark.usefixtures("verbatim")
async def test_a_structured_reply_becomes_a_struct(tmp_path: Path) -> None:
    column = model_column("llm-structured", "it", prompt="x", output_format=SCHEMA)
    answer = (
        '```json\n{"title": "1.10", "stars": 3.0, "more": {"a": [1]}, "extra": 1}\n```'
    )
    records, _, dataset = await made_with(tmp_path, lambda _: answer, column)
    assert records[0]["it"] == {"title": "1.10", "stars": 3, "more": '{"a":[1]}'}
    assert (
        str(dataset.plan.schema.field("it").type)
        == "struct<title: string, stars: int64, more: string>"
    )


@pytest.mark.usefixtures("verbatim")
async def test_a_judge_gives_options_with_reasons(tmp_path: Path) -> None:
    column = model_column("llm-judge", "verdict", prompt="x", scores=SCORES)
    reply = {
        "quality": {"reasoning": "a", "score": "2"},
        "tone": {"reasoning": "b", "score": "rude", "sure": True},
    }
    records, server, _ = await made_with(
        tmp_path, lambda _: orjson.dumps(reply).decode(), column
    )
    assert records[0]["verdict"] == {
        "quality": {"reasoning": "a", "score": 2},
        "tone": {"reasoning": "b", "score": "Rude"},
    }
    assert "- Kind: x" in server.prompts[0]


@pytest.mark.usefixtures("verbatim")
async def test_a_score_that_is_no_option_is_corrected(tmp_path: Path) -> None:
    def reply(score: Any) -> str:
        given = {
            "quality": {"reasoning": "a", "score": score},
            "tone": {"reasoning": "b", "score": "Kind"},
        }
        return orjson.dumps(given).decode()

    column = model_column("llm-judge", "verdict", prompt="x", scores=SCORES)
    records, server, _ = await made_with(
        tmp_path, Answers(reply(7), reply(7), reply(1)), column
    )
    assert (
        records[0]["verdict"]["quality"]["score"] == 1
        and "quality.score" in server.prompts[-1]
    )


async def test_temperatures_are_drawn_per_record(tmp_path: Path) -> None:
    drawn = {"distribution_type": "uniform", "params": {"low": 0.5, "high": 0.75}}
    choice = {
        "distribution_type": "manual",
        "params": {"values": [0.25, 1.0], "weights": [1, 1]},
    }

    async def sent(size: int) -> list[tuple[str, float, float]]:
        async with ModelServer() as server:
            config = config_for(
                uuid(),
                llm("text", "{{ id }}"),
                endpoint=server.url,
                row_group_size=size,
            )
            config["model_configs"][0]["inference_parameters"] |= {
                "temperature": drawn,
                "top_p": choice,
            }
            dataset = open_dataset(
                tmp_path / "t.yaml", config, root=tmp_path / str(size)
            )
            await api.agenerate(dataset)
            return sorted(
                (r["messages"][0]["content"], r["temperature"], r["top_p"])
                for r in server.requests
            )

    first = await sent(10)
    assert first == await sent(7)
    temperatures = [temperature for _, temperature, _ in first]
    assert len(set(temperatures)) == 25 and all(
        0.5 <= value < 0.75 for value in temperatures
    )
    assert {top_p for _, _, top_p in first} == {0.25, 1.0}


async def test_images_of_a_column_go_with_the_prompt(tmp_path: Path) -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n123").decode()
    column = llm(
        "text",
        "What is it?",
        multi_modal_context=[{"modality": "image", "column_name": "image"}],
    )
    seen: list[Any] = []

    def answer(prompt: Any) -> str:
        seen.append(prompt)
        return "a thing"

    async with ModelServer(answer=answer) as server:
        config = config_for(
            expression("image", data), column, endpoint=server.url, num_records=1
        )
        await api.agenerate(
            open_dataset(tmp_path / "t.yaml", config, root=tmp_path / "root")
        )
        (message,) = server.requests[0]["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert message["content"][0]["image_url"]["url"] == f"data:image/png;base64,{data}"


ALL_KINDS = (
    category("topic", "a cat", "a dog", "a fish"),
    llm(
        "text",
        "Of {{ topic }}",
        with_trace="last_message",
        extract_reasoning_content=True,
        drop=True,
    ),
    model_column("llm-code", "code", prompt="{{ text }}", code_lang="sql:sqlite"),
    model_column(
        "llm-structured",
        "card",
        prompt="{{ text }}",
        output_format=SCHEMA,
        with_trace="all_messages",
    ),
    model_column("llm-judge", "verdict", prompt="{{ card.title }}", scores=SCORES),
    {
        **model_column("embedding", "vector", target_column="text"),
        "model_alias": "embedding",
    },
    {**model_column("image", "image", prompt="{{ topic }}"), "model_alias": "image"},
    llm(
        "look",
        "{{ verdict.quality.score }} {{ image | length }}",
        multi_modal_context=[{"modality": "image", "column_name": "image"}],
        skip={"when": "{{ verdict.tone.score == 'Rude' }}"},
        extract_reasoning_content=True,
    ),
)


def test_every_kind_is_the_same_however_it_is_made(tmp_path: Path) -> None:
    config = config_for(*ALL_KINDS, num_records=17, row_group_size=5)
    whole = open_dataset(
        tmp_path / "a.yaml", {**config, "row_group_size": 17}, root=tmp_path / "whole"
    )
    expected = stored_records(api.generate(whole).version)
    assert (
        len(expected) == 17
        and 0 < sum(row["look"] is None for row in expected.values()) < 17
    )

    parts = open_dataset(
        tmp_path / "b.yaml", {**config, "num_records": 8}, root=tmp_path / "parts"
    )
    api.generate(parts, row_groups=[1])
    parts = open_dataset(tmp_path / "b.yaml", config, root=tmp_path / "parts")
    summary = api.generate(parts)
    assert stored_records(summary.version) == expected
    for index, row in expected.items():
        assert row["image"] == [f"images/image/{index}.png"]
        stored = (summary.version.directory / row["image"][0]).read_bytes()
        assert (
            stored
            == (
                tmp_path / "whole" / "tickets" / summary.version.name / row["image"][0]
            ).read_bytes()
        )
        assert (
            row["vector"]["num_embeddings"] == 1
            and len(row["vector"]["embeddings"][0]) == row["vector"]["dimension"]
        )
    assert api.generate(parts).generated == 0

    result = api.process(parts)
    frame = pl.read_parquet(result.outputs[0] / "*.parquet")
    assert frame.columns == [
        "topic", "code", "card", "card__trace", "verdict", "vector", "image", "look", "look__reasoning_content",
    ]  # fmt: skip
    assert parts.plan.dropped == {"text", "text__trace", "text__reasoning_content"}


def test_a_preview_keeps_images_in_their_cells(tmp_path: Path) -> None:
    dataset = open_dataset(
        tmp_path / "t.yaml", config_for(*ALL_KINDS), root=tmp_path / "root"
    )
    shown = api.preview(tmp_path / "t.yaml", num_records=3, root=str(tmp_path / "root"))
    assert shown.table.schema.equals(dataset.plan.schema) and shown.failures == ()
    assert all(
        base64.b64decode(row["image"][0]).startswith(b"\x89PNG")
        for row in shown.table.to_pylist()
    )
    assert not (tmp_path / "root").exists()
    assert Counter(shown.usage)["image"] == shown.usage["image"]


def test_a_pydantic_class_stands_for_its_schema(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(
        "from pydantic import BaseModel\nclass Card(BaseModel):\n    title: str\n    stars: int | None = None\n"
    )
    column = model_column(
        "llm-structured", "card", prompt="x", output_format="./shapes.py:Card"
    )
    dataset = open_dataset(
        tmp_path / "t.yaml", config_for(column, num_records=3), root=tmp_path / "root"
    )
    assert (
        str(dataset.plan.schema.field("card").type)
        == "struct<title: string, stars: int64>"
    )
    before = dataset.plan.fingerprint.config_hash
    (tmp_path / "shapes.py").write_text(
        "from pydantic import BaseModel\nclass Card(BaseModel):\n    title: str\n"
    )
    assert (
        open_dataset(
            tmp_path / "t.yaml", config_for(column), root=tmp_path / "r"
        ).plan.fingerprint.config_hash
        != before
    )


@pytest.mark.parametrize(
    ("column", "where", "message"),
    [
        (model_column("llm-code", "c", prompt="x", code_lang="perl"), "code_lang", "'python'"),
        (model_column("llm-structured", "c", prompt="x", output_format={"type": "thing"}), "output_format", "JSON schema"),
        (model_column("llm-structured", "c", prompt="x", output_format=3), "output_format", "module:Class"),
        (model_column("llm-structured", "c", prompt="x", output_format="nowhere_to_be:Found"), "output_format", "no module"),
        (model_column("llm-structured", "c", prompt="x", output_format="./no.py:Found"), "output_format", "does not exist"),
        (model_column("llm-structured", "c", prompt="x", output_format="json:loads"), "output_format", "dataset_callable"),
        (model_column("llm-judge", "c", prompt="x", scores=[]), "scores", "at least one"),
        (model_column("llm-judge", "c", prompt="x", scores=[SCORES[0], SCORES[0]]), "scores", "'quality'; rename"),
        (model_column("llm-judge", "c", prompt="{{ nope }}", scores=SCORES), "prompt", "unknown column 'nope'"),
        (model_column("embedding", "c", target_column="nope"), "target_column", "unknown column 'nope'"),
        ({**model_column("image", "c", prompt="x"), "model_alias": "nope"}, "model_alias", "'nope'"),
        (llm("c", "x", multi_modal_context=[{"modality": "smell", "column_name": "id"}]), "multi_modal_context[0]", "modality"),
        (llm("c", "x", multi_modal_context=[{"modality": "image", "column_name": "nope"}]), "column_name", "'nope'"),
        (llm("c", "{{ judged.qualty.score }}"), "prompt", "'judged' has no field 'qualty'; did you mean 'quality'?"),
        (llm("c", "{{ judged.tone.points }}"), "prompt", "'judged.tone' has no field 'points'"),
        (llm("judged__trace", "x"), "name", "another column is named"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_beforehand(
    tmp_path: Path, column: dict[str, Any], where: str, message: str
) -> None:
    judged = model_column(
        "llm-judge", "judged", prompt="x", scores=SCORES, with_trace="all_messages"
    )
    with pytest.raises(ConfigError) as raised:
        open_dataset(
            tmp_path / "t.yaml",
            config_for(uuid(), judged, column),
            root=tmp_path / "root",
        )
    assert any(
        where in problem.path and message in problem.message
        for problem in raised.value.problems
    ), raised.value
