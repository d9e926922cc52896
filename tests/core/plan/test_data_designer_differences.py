"""The differences from Data Designer that its recipes showed, D1 to D20: each is gone, or ours on purpose.

A test or more for each difference, of a builder config that is read as it is. Some have a suite of their own besides: D3
seeds/test_text, D8 templates/test_against_jinja, D9 seeds/test_agent_rollouts and samplers/people/test_personas, D17
models/test_fences and models/test_json_repair, D18 seeds/test_where and seeds/test_chains.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core import api
from sdg_core.generators.models.code import extract_code
from sdg_core.models.simulated.media import small_image
from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.testing import ModelServer
from tests.support.sdg import (
    category,
    expression,
    llm,
    object_of,
    structured,
)

DECIMAL = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"},
    ]
}
TEXT_OR_WHOLE = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
OBJECT_OR_TEXT = {
    "anyOf": [
        {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]},
        {"type": "string"},
    ]
}
Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


def sampler(name: str, kind: str, **params: Any) -> dict[str, Any]:
    return {
        "column_type": "sampler",
        "name": name,
        "sampler_type": kind,
        "params": params,
    }


def written(
    folder: Path, *columns: dict[str, Any], endpoint: str | None = None, **block: Any
) -> Path:
    """A builder config with its provider beside the block: simulated, or the server at an endpoint."""
    provider = (
        {"provider_type": "simulated"} if endpoint is None else {"endpoint": endpoint}
    )
    models = block.pop("model_configs", [{"alias": "w", "model": "m", "provider": "p"}])
    content = {
        "data_designer": {"columns": list(columns), "model_configs": models, **block}
    }
    file = folder / "builder.yaml"
    file.write_text(
        yaml.safe_dump(
            {**content, "model_providers": [{"name": "p", **provider}]}, sort_keys=False
        ),
        encoding="utf-8",
    )
    return file


def rows(
    folder: Path, *columns: dict[str, Any], count: int = 3, **block: Any
) -> list[dict[str, Any]]:
    return api.preview(
        written(folder, *columns, **block), num_records=count
    ).table.to_pylist()


async def asked(
    folder: Path, *columns: dict[str, Any], answer: Answer, **block: Any
) -> tuple[list[Any], list[Any]]:
    """The rows of one record, and the requests that a server saw."""
    async with ModelServer(message=answer) as server:
        dataset = api.open_dataset(
            written(folder, *columns, endpoint=server.url, **block),
            root=str(folder / "root"),
            num_records=1,
        )
        summary = await api.agenerate(dataset)
        assert summary.failed == 0, summary.first_failure
        return dataset.scan().collect().to_dicts(), server.requests


def says(text: str) -> Answer:
    return lambda body: {"role": "assistant", "content": text}


@pytest.mark.asyncio
async def test_d1_the_schema_and_its_descriptions_are_in_the_prompt(
    tmp_path: Path,
) -> None:
    """With tools, too: generators/models/test_tools holds that no request has both tools and response_format."""
    column = structured(
        "it",
        "Say it.",
        object_of(tone={"type": "string", "description": "how loud it is"}),
        model_alias="w",
    )
    _, requests = await asked(tmp_path, column, answer=says('{"tone": "loud"}'))
    assert "how loud it is" in str(requests[0]["messages"])


@pytest.mark.asyncio
async def test_d2_custom_functions_ask_models_whose_temperature_is_drawn(
    tmp_path: Path,
) -> None:
    drawn = {"distribution_type": "uniform", "params": {"low": 0.2, "high": 0.3}}
    model = {
        "alias": "w",
        "model": "m",
        "provider": "p",
        "inference_parameters": {"temperature": drawn},
    }
    (tmp_path / "own.py").write_text(
        "async def ask(row, generator_params, models):\n    text, _ = await models['w'].agenerate('Hello')\n    return text\n",
        encoding="utf-8",
    )
    column = {
        "column_type": "custom",
        "name": "it",
        "generator_function": "./own.py:ask",
        "required_columns": ["c"],
        "model_aliases": ["w"],
    }
    made, requests = await asked(
        tmp_path,
        category("c", "a"),
        column,
        answer=says("Hi"),
        model_configs=[model],
        tool_configs=[],
    )
    assert made[0]["it"] == "Hi" and 0.2 <= requests[0]["temperature"] <= 0.3


def test_d3_seeds_keep_leading_zeros_and_long_numbers(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        'zip,id\n01234,12345678901234567890\n"00501",7\n', encoding="utf-8"
    )
    seed = {
        "source": {"seed_type": "local", "path": str(tmp_path / "s.csv")},
        "sampling_strategy": "ordered",
    }
    made = rows(
        tmp_path, expression("it", "{{ zip }} {{ id }}"), seed_config=seed, count=2
    )
    assert [row["it"] for row in made] == ["01234 12345678901234567890", "00501 7"]


@pytest.mark.asyncio
async def test_d4_images_come_before_the_text_and_nothing_is_added(
    tmp_path: Path,
) -> None:
    content = base64.b64encode(small_image(RandomStream(7, "page")).content).decode()
    context = [
        {
            "modality": "image",
            "column_name": "page",
            "data_type": "base64",
            "image_format": "png",
        }
    ]
    image = {
        "column_type": "image",
        "name": "it",
        "model_alias": "w",
        "prompt": "Edit",
        "multi_modal_context": context,
    }
    model = {"alias": "w", "model": "black-forest-labs/flux.2-pro", "provider": "p"}
    model["inference_parameters"] = {"generation_type": "image"}
    reply = {
        "role": "assistant",
        "images": [{"image_url": {"url": f"data:image/png;base64,{content}"}}],
    }
    _, requests = await asked(
        tmp_path,
        category("page", content),
        image,
        answer=lambda body: reply,
        model_configs=[model],
    )
    kinds = [part["type"] for part in requests[0]["messages"][-1]["content"]]
    assert kinds == ["image_url", "text"] and "modalities" not in requests[0]


def test_d5_json_text_is_read_where_a_template_looks_into_it(tmp_path: Path) -> None:
    columns = [
        category("j", '{"a": {"b": 5}}'),
        category("l", '["x","y"]'),
        category("v", "1.10"),
    ]
    text = "{{ j.a.b }} {% for x in l %}{{ x }};{% endfor %} {{ l[0] }} {{ l|length }} {{ v }} {{ j }}"
    assert (
        rows(tmp_path, *columns, expression("it", text))[0]["it"]
        == '5 x;y; x 2 1.10 {"a": {"b": 5}}'
    )


def test_d6_of_conditions_that_hold_the_last_counts(tmp_path: Path) -> None:
    conditions = {
        "age > 20": {"low": 10, "high": 11},
        "age > 60": {"low": 20, "high": 21},
    }
    column = {
        **sampler("it", "uniform", low=0, high=1),
        "conditional_params": conditions,
    }
    assert all(
        20 <= row["it"] <= 21 for row in rows(tmp_path, category("age", 70), column)
    )


@pytest.mark.asyncio
async def test_d7_one_line_end_at_the_end_of_a_prompt_goes(tmp_path: Path) -> None:
    column = llm("it", "Hello\n\n", model_alias="w", system_prompt="Be kind.\n")
    _, requests = await asked(tmp_path, column, answer=says("Hi"))
    assert [message["content"] for message in requests[0]["messages"]] == [
        "Be kind.",
        "Hello\n",
    ]


def test_d8_functions_of_templates_that_are_allowed_there(tmp_path: Path) -> None:
    text = (
        "{{ range(1, 4)|random in [1, 2, 3] }} {{ c|truncate(2, true, '', 0) }} {{ c|replace('a', 'b', 1) }} {{ '%03d' % 5 }} "
        "{{ c.zfill(5) }} {{ {'k': [1, 2]}|jsonpath('$.k[*]') }} {{ ['b', 'A']|sort(true) }} {{ c|forceescape }}"
    )
    found = rows(tmp_path, category("c", "aa<"), expression("it", text))[0]["it"]
    assert found == "True aa ba< 005 00aa< [1, 2] ['b', 'A'] aa&lt;"


def test_d9_people_have_the_fields_that_they_have_there(tmp_path: Path) -> None:
    person = sampler("who", "person", locale="en_US", with_synthetic_personas=True)
    text = "{{ who.openness.t_score }}/{{ who.ethnic_background }}/{{ who.persona }}"
    assert all(
        "None" not in row["it"]
        for row in rows(tmp_path, person, expression("it", text))
    )


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("int", "1.87", 1), ("int", "-1.87", -1), ("bool", "2", True), ("bool", "0.5", False), ("bool", "maybe", False),
        ("bool", "True", True), ("float", "nan", None), ("float", " 1.5", 1.5),
    ],
)  # fmt: skip
def test_d10_expressions_are_cast_as_they_are_there(
    tmp_path: Path, dtype: str, text: str, value: Any
) -> None:
    assert (
        rows(tmp_path, expression("it", text, dtype=dtype), count=1)[0]["it"] == value
    )


def test_d11_fields_that_nobody_has_are_refused_and_null_is_none(
    tmp_path: Path,
) -> None:
    """There both are empty text: a misspelt field would go unnoticed."""
    with pytest.raises(
        api.ConfigError, match="no field 'firstname'; did you mean 'first_name'"
    ):
        rows(
            tmp_path, sampler("who", "person"), expression("it", "{{ who.firstname }}")
        )
    made = rows(
        tmp_path, sampler("who", "person"), expression("it", "{{ who.unit }}"), count=20
    )
    assert {row["it"] for row in made if row["who"]["unit"] is None} == {"None"}


@pytest.mark.parametrize(
    "params",
    [{}, {"prefix": "ü-"}, {"uppercase": True}, {"prefix": "x", "uppercase": True}],
)
def test_d12_uuids_are_those_of_ours_without_hyphens(
    tmp_path: Path, params: dict[str, Any]
) -> None:
    made = rows(tmp_path, sampler("it", "uuid", **params), count=50)
    ours = rows(tmp_path, sampler("it", "uuid", hyphens=True, **params), count=50)
    prefix = params.get("prefix", "")
    for row, own in zip(made, ours, strict=True):
        assert row["it"] == prefix + own["it"].removeprefix(prefix).replace("-", "")
    assert (
        rows(tmp_path, sampler("it", "uuid", **params), count=1)[0]["it"]
        == made[0]["it"]
    )


def test_d12_no_parameters_at_all_mean_the_same(tmp_path: Path) -> None:
    assert all(
        len(row["it"]) == 32
        for row in rows(tmp_path, {**sampler("it", "uuid"), "params": None})
    )


def test_d13_decimal_places_with_whole_numbers_round_once(tmp_path: Path) -> None:
    """Times never before `start` and constraints that redraw both sides are ours on purpose (from-data-designer.md)."""
    plain = {**sampler("a", "gaussian", mean=4, stddev=2), "convert_to": "int"}
    twice = {
        **sampler("a", "gaussian", mean=4, stddev=2, decimal_places=1),
        "convert_to": "int",
    }
    assert rows(tmp_path, plain, count=500) == rows(tmp_path, twice, count=500)


@pytest.mark.asyncio
async def test_d14_unions_are_kept_as_they_are_said(tmp_path: Path) -> None:
    schema = object_of(
        p=DECIMAL, q=DECIMAL, t=TEXT_OR_WHOLE, n=TEXT_OR_WHOLE, m=OBJECT_OR_TEXT, a={}
    )
    column = structured("v", "x", schema, model_alias="w")
    reply = '{"p": "10.50", "q": 3, "t": "txt", "n": 7, "m": {"k": 5}, "a": "any"}'
    shown = expression(
        "it", "{{ v.p }} {{ v.q }} {{ v.t }} {{ v.n }} {{ v.m.k }} {{ v.a }}"
    )
    made, _ = await asked(tmp_path, column, shown, answer=says(reply))
    assert made[0]["v"] == {
        "p": 10.5,
        "q": 3.0,
        "t": "txt",
        "n": "7",
        "m": '{"k":5}',
        "a": "any",
    }
    assert made[0]["it"] == "10.5 3.0 txt 7 5 any"


def test_d14_a_file_of_ones_own_says_so(tmp_path: Path) -> None:
    column = structured(
        "v", "x", object_of(t=TEXT_OR_WHOLE, p=DECIMAL), model_alias="w"
    )
    for value, price in (("json", "string"), ("text", "double")):
        file = tmp_path / f"{value}.yaml"
        provider = {"name": "p", "provider_type": "simulated"}
        models = [{"alias": "w", "model": "m", "provider": "p"}]
        content = {
            "columns": [{**column, "open_values": value}],
            "model_providers": [provider],
            "model_configs": models,
        }
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        preview = api.preview(file, num_records=1)
        assert (
            str(preview.table.schema.field("v").type)
            == f"struct<t: string, p: {price}>"
        )
        text = preview.table.to_pylist()[0]["v"]["t"]
        assert (
            text.startswith('"' if value == "json" else "[simulated]") or text.isdigit()
        )


def test_d15_schema_transform_writes_json(tmp_path: Path) -> None:
    template = {"w": "{{ who }}", "t": "{{ true }}", "n": "{{ c }}"}
    processor = {
        "processor_type": "schema_transform",
        "name": "out",
        "template": template,
    }
    file = written(
        tmp_path, sampler("who", "person"), category("c", "x"), processors=[processor]
    )
    dataset = api.open_dataset(file, root=str(tmp_path / "root"), num_records=2)
    api.generate(dataset)
    api.process(dataset)
    out = api.export(dataset, tmp_path / "out.jsonl", processor="out").path.read_text(
        encoding="utf-8"
    )
    row = yaml.safe_load(out.splitlines()[0])
    assert (
        yaml.safe_load(row["w"])["locale"] == "en_US"
        and row["t"] == "true"
        and row["n"] == "x"
    )


def test_d15_a_list_of_different_kinds_is_refused_before_anything_is_paid(
    tmp_path: Path,
) -> None:
    processor = {
        "processor_type": "schema_transform",
        "name": "out",
        "template": {"l": ["{{ c }}", 1]},
    }
    with pytest.raises(api.ConfigError, match="the items of a list must have one type"):
        rows(tmp_path, category("c", "x"), processors=[processor])


@pytest.mark.parametrize(
    "start",
    [
        "2024/01/15",
        "Jan 15 2024",
        "January 15, 2024",
        "20240115",
        "2024-01-15T00:00:00Z",
    ],
)
def test_d16_times_in_other_notations(tmp_path: Path, start: str) -> None:
    made = rows(
        tmp_path, sampler("it", "datetime", start=start, end="2024-01-16", unit="h")
    )
    assert all(row["it"].startswith("2024-01-15T") for row in made)


def test_d16_names_empty_prompts_and_values_of_several_kinds(tmp_path: Path) -> None:
    columns = [
        sampler("größe", "category", values=["a", 1]),
        sampler("my column", "category", values=[True, False]),
        sampler("1st", "subcategory", category="größe", values={"a": ["x"], "1": [2]}),
        llm("a-b", "", model_alias="w", system_prompt=""),
    ]
    processor = {
        "processor_type": "schema_transform",
        "name": "my rows",
        "template": {"a": "{{ `my column` }}"},
    }
    made = rows(tmp_path, *columns, processors=[processor], count=20)
    assert {(row["größe"], row["1st"]) for row in made} == {("a", "x"), ("1", "2")}
    assert {row["my column"] for row in made} == {0, 1}


def test_d16_multi_modal_context_without_modality_is_an_image(tmp_path: Path) -> None:
    context = [{"column_name": "url", "data_type": "url", "image_format": "png"}]
    column = llm("it", "Look", model_alias="w", multi_modal_context=context)
    assert rows(tmp_path, category("url", "http://x.example/y.png"), column)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("So:\n```\nx = 1\n```", "x = 1"),
        ("  ```python\n  x = 1\n  ```", "x = 1"),
        ("```python\n\nx = 1\n\n```", "x = 1"),
    ],
)
def test_d17_code_is_read_from_replies_as_models_write_them(
    reply: str, code: str
) -> None:
    assert extract_code(reply, language="python").strip("\n") == code


@pytest.mark.asyncio
async def test_d17_json_that_is_almost_json_is_read(tmp_path: Path) -> None:
    made, requests = await asked(
        tmp_path,
        structured("v", "x", object_of(a="integer"), model_alias="w"),
        answer=says("Sure: {'a': 1,}"),
    )
    assert made[0]["v"] == {"a": 1} and len(requests) == 1


def test_d18_as_many_records_as_the_seed_has_rows(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("n\n1\n2\n3\n", encoding="utf-8")
    file = tmp_path / "own.yaml"
    content = {"num_records": "seed", "seed_config": {"source": {"path": "s.csv"}}}
    file.write_text(
        yaml.safe_dump({**content, "columns": [expression("it", "{{ n }}")]}),
        encoding="utf-8",
    )
    assert api.open_dataset(file, root=str(tmp_path / "root")).plan.num_records == 3


def test_d19_verdicts_of_sql_are_the_parsers_in_both(tmp_path: Path) -> None:
    """The parser is lenient with dialects; empty text is not SQL here, and is there."""
    column = {
        "column_type": "validation",
        "name": "v",
        "target_columns": ["q"],
        "validator_type": "code",
    }
    validation = {**column, "validator_params": {"code_lang": "sql:postgres"}}
    made = rows(
        tmp_path, category("q", "SELECT 1", "SELEC 1 FROM", " "), validation, count=20
    )
    assert {(row["q"], row["v"]["is_valid"]) for row in made} == {
        ("SELECT 1", True),
        ("SELEC 1 FROM", False),
        (" ", False),
    }


@pytest.mark.asyncio
async def test_d20_requests_have_what_the_config_says_and_no_more(
    tmp_path: Path,
) -> None:
    model = {"alias": "w", "model": "m", "provider": "p"}
    model["inference_parameters"] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 50,
        "extra_body": {"seed": 3},
    }
    _, requests = await asked(
        tmp_path,
        llm("it", "Hi", model_alias="w"),
        answer=says("Hi"),
        model_configs=[model],
    )
    sent = {
        name: value
        for name, value in requests[0].items()
        if name not in ("messages", "stream")
    }
    assert sent == {
        "model": "m",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 50,
        "seed": 3,
    }
