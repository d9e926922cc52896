"""The mistakes of a first day: each is answered with its value, its place, what to write instead, and the nearest right word."""

import re
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.errors import SdgError
from sdg_core.plan.checks.prompts import prompt_notices

MODELS = """
model_providers: [{name: r, provider_type: simulated}]
model_configs: [{alias: writer, model: x, provider: r}]
"""
TOP = f"name: m\nnum_records: 5\n{MODELS}"
PLAN = " - {column_type: sampler, name: plan, sampler_type: category, params: {values: [a]}}\n"
LLM = "column_type: llm-text, name: a, model_alias: writer"


def columns(*lines: str) -> str:
    return TOP + "columns:\n" + PLAN + "".join(f" - {line}\n" for line in lines)


def judge(options: str) -> str:
    score = f"{{name: q, description: d, options: {options}}}"
    return columns(
        f"{{column_type: llm-judge, name: j, model_alias: writer, prompt: '{{{{ plan }}}}', scores: [{score}]}}"
    )


def text(prompt: str) -> str:
    return columns(f"{{{LLM}, prompt: '{prompt}'}}")


MISTAKES = {
    "1 a misspelt key": (
        TOP.replace("num_records", "num_record") + "columns:\n" + PLAN,
        "line 2, num_record",
        "mean 'num_records'",
    ),
    "2 a misspelt kind of column": (
        columns("{column_type: llm_text, name: a, model_alias: writer, prompt: hi}"),
        "line 8, columns[1]: unknown column_type 'llm_text'",
        "did you mean 'llm-text'?",
    ),
    "3 a misspelt kind of sampler": (
        columns(
            "{column_type: sampler, name: b, sampler_type: categroy, params: {values: [a]}}"
        ),
        "columns[1].sampler_type: input should be",
        "got 'categroy'; did you mean 'category'?",
    ),
    "4 a misspelt parameter": (
        columns(
            "{column_type: sampler, name: b, sampler_type: category, params: {value: [a]}}"
        ),
        "columns[1].params.value: unknown key 'value'",
        "did you mean 'values'?",
    ),
    "5 weights that do not fit": (
        columns(
            "{column_type: sampler, name: b, sampler_type: category, params: {values: [a, b], weights: [1, 2, 3]}}"
        ),
        "columns[1].params",
        "3",
    ),
    "6 an unknown column": (
        text("{{ plann }}"),
        "columns[1].prompt",
        "did you mean 'plan'?",
    ),
    "7 an unknown field of a person": (
        columns(
            "{column_type: sampler, name: customer, sampler_type: person, params: {}}",
            f"{{{LLM}, prompt: '{{{{ customer.firstname }}}}'}}",
        ),
        "columns[2].prompt: 'customer' has no field 'firstname'",
        "did you mean 'first_name'?",
    ),
    "8 an unknown alias": (
        columns("{column_type: llm-text, name: a, model_alias: wrtier, prompt: hi}"),
        "columns[1].model_alias",
        "did you mean 'writer'?",
    ),
    "9 an unknown provider": (
        TOP.replace("provider: r}", "provider: rr}") + "columns:\n" + PLAN,
        "model_configs[0].provider: unknown provider 'rr'",
        "there is 'r'",
    ),
    "10 a brace too few": (
        text("hi {{ plan }"),
        "columns[1].prompt: not a valid template",
        "'hi {{ plan }'",
    ),
    "11 an unquoted template": (
        columns("{column_type: expression, name: b, expr: {{ plan }}}"),
        "line 8",
        "quote text",
    ),
    "11 an unquoted template at the end": (
        columns("column_type: expression\n   name: b\n   expr: {{ plan }} is good"),
        "line 10",
        'as in expr: "{{ plan }}"',
    ),
    "11 a colon in a text": (
        columns(
            "column_type: llm-text\n   name: a\n   prompt: Answer this: what is it\n   model_alias: writer"
        ),
        "line 10",
        "quote text that contains a colon",
    ),
    "11 a wrong indentation": (
        columns("column_type: llm-text\n  name: a"),
        "line 9",
        "check the indentation",
    ),
    "12 the key itself": (
        TOP.replace(
            "provider_type: simulated",
            "endpoint: 'http://x/v1', api_key: sk-proj-abcdefghijklmnopqrstuvwxyz0123",
        )
        + "columns:\n"
        + PLAN,
        "model_providers[0].api_key",
        "environment variable",
    ),
    "15 columns in a circle": (
        columns(
            "{column_type: expression, name: b, expr: '{{ c }}'}",
            "{column_type: expression, name: c, expr: '{{ b }}'}",
        ),
        "columns[1]",
        "b",
    ),
    "16 options that are a list": (
        judge("[bad, good]"),
        "scores[0].options: expected a mapping, got a list",
        "{1: bad",
    ),
    "17 a seed file that is missing": (
        columns() + "seed_config: {source: {path: no.csv}}\n",
        "no.csv",
        "->",
    ),
    "18 a condition on an unknown column": (
        columns(
            "{column_type: expression, name: b, expr: x, skip: {when: '{{ plann }}'}}"
        ),
        "columns[1].skip.when",
        "did you mean 'plan'?",
    ),
    "19 a parameter of inference beside the model": (
        TOP.replace("provider: r}", "provider: r, temperature: 0.5}")
        + "columns:\n"
        + PLAN,
        "model_configs[0].temperature: unknown key 'temperature'",
        "it belongs under inference_parameters",
    ),
    "fields in place of a schema": (
        columns(
            "{column_type: llm-structured, name: a, model_alias: writer, prompt: hi, output_format: {title: str}}"
        ),
        "columns[1].output_format: not a JSON schema",
        "{type: object, properties: {title: {type: string}}, required: [title]}",
    ),
    "type in place of column_type": (
        columns("{type: llm-text, name: a, model_alias: writer, prompt: hi}"),
        "columns[1]: column_type is required",
        "write column_type in place of 'type'",
    ),
    "a name with blanks": (
        columns().replace("name: m\n", "name: Support Tickets\n"),
        "'Support Tickets'",
        "support_tickets",
    ),
    "an unknown filter": (
        text("{{ plan | capitalise }}"),
        "columns[1].prompt",
        "did you mean 'capitalize'?",
    ),
    "a name twice": (
        columns(PLAN.removeprefix(" - ").strip()),
        "columns[1].name",
        "plan",
    ),
    "low above high": (
        columns(
            "{column_type: sampler, name: b, sampler_type: uniform, params: {low: 5, high: 1}}"
        ),
        "columns[1].params",
        "5",
    ),
    "a number with a suffix": (
        columns().replace("5\n", "5k\n", 1),
        "num_records: expected a whole number",
        "got '5k'",
    ),
    "a constraint on text": (
        columns()
        + "constraints: [{constraint_type: scalar_inequality, target_column: plan, operator: lt, rhs: 5}]\n",
        "constraints[0]",
        "plan",
    ),
    "a temperature of 5": (
        TOP.replace(
            "provider: r}", "provider: r, inference_parameters: {temperature: 5}}"
        )
        + "columns:\n"
        + PLAN,
        "inference_parameters.temperature",
        "got 5",
    ),
    "a misspelt inference parameter": (
        TOP.replace(
            "provider: r}",
            "provider: r, inference_parameters: {max_parallel_request: 5}}",
        )
        + "columns:\n"
        + PLAN,
        "max_parallel_request'",
        "did you mean 'max_parallel_requests'?",
    ),
    "an endpoint without a scheme": (
        TOP.replace("provider_type: simulated", "endpoint: localhost:8000/v1")
        + "columns:\n"
        + PLAN,
        "model_providers[0]: endpoint is not a URL",
        "http://",
    ),
    "a tab": (columns("column_type: expression\n\t name: b"), "line 9", "tabs"),
    "a text that begins with @": (
        columns("{column_type: expression, name: b, expr: @plan}"),
        "line 8",
        "begins with @",
    ),
    "a quote that is not closed": (
        columns("{column_type: expression, name: b, expr: 'it}"),
        "YAML",
        "quote is unclosed",
    ),
    "a key of another kind": (
        columns("{column_type: expression, name: b, expr: x, prompt: y}"),
        "columns[1].prompt: unknown key 'prompt'",
        "there is cast, column_type",
    ),
}


@pytest.mark.parametrize(("file", "place", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered(
    tmp_path: Path, file: str, place: str, remedy: str
) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(file)
    with pytest.raises(SdgError) as refused:
        api.open_dataset(path)
    said = str(refused.value)
    assert place in said and remedy in said, said
    assert "sk-proj" not in said


def test_one_mistake_is_one_message(tmp_path: Path) -> None:
    for name, (file, _, _) in MISTAKES.items():
        path = tmp_path / "dataset.yaml"
        path.write_text(file)
        with pytest.raises(SdgError) as refused:
            api.open_dataset(path)
        problems = getattr(refused.value, "problems", (1,))
        assert len(problems) == 1 or name == "a name twice", str(refused.value)


def test_20_single_braces_are_announced() -> None:
    path_free = {
        "name": "m",
        "num_records": 5,
        "columns": [{"column_type": "llm-text", "name": "a"}],
    }
    path_free["columns"][0] |= {"model_alias": "writer", "prompt": "about {plan}"}  # type: ignore[index]
    path_free["columns"].insert(  # type: ignore[attr-defined]
        0,
        {
            "column_type": "sampler",
            "name": "plan",
            "sampler_type": "category",
            "params": {"values": ["a"]},
        },
    )
    models = {
        "model_providers": [{"name": "r", "provider_type": "simulated"}],
        "model_configs": [{"alias": "writer", "model": "x", "provider": "r"}],
    }
    plan = api.open_dataset({**path_free, **models}).plan
    (notice, *_) = prompt_notices(plan.config, names=plan.schema.names)
    assert "{plan}" in notice and "write {{ plan }}" in notice


def test_a_misspelt_file_is_answered_with_the_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "tickets.yaml").write_text(columns())
    for wrong in ("tickts.yaml", "tickets.yml", "ticket.yaml"):
        with pytest.raises(
            SdgError,
            match=re.escape(
                f"does not exist; did you mean {tmp_path / 'tickets.yaml'}?"
            ),
        ):
            api.open_dataset(tmp_path / wrong)
    with pytest.raises(SdgError, match=r"nor does its folder .*nowhere"):
        api.open_dataset(tmp_path / "nowhere" / "tickets.yaml")


def test_keys_of_providers_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(
        TOP.replace(
            "provider_type: simulated", "provider_typ: sk-secret, api_key: [sk-secret]"
        )
        + "columns:\n"
        + PLAN
    )
    with pytest.raises(SdgError) as refused:
        api.open_dataset(path)
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("selected", "words"),
    [
        ({"state": ["NYC"]}, "'NYC' is not a value of state; did you mean 'NY'?"),
        (
            {"region": ["Californa"]},
            "'Californa' is not a value of region; did you mean 'California'?",
        ),
        ({"state": ["NY", "California", "DC", "District of Columbia", "PR"]}, None),
        ({"city": ["Springfield"], "occupation": ["Baker"]}, None),
    ],
)
def test_people_are_selected_by_states_that_there_are(
    selected: dict[str, list[str]], words: str | None
) -> None:
    params = {"locale": "en_US", "select_field_values": selected}
    who = {
        "column_type": "sampler",
        "name": "who",
        "sampler_type": "person",
        "params": params,
    }
    config = {"name": "people", "num_records": 2, "columns": [who]}
    if words is None:
        assert api.open_dataset(config).plan.num_records == 2
    else:
        with pytest.raises(SdgError, match=re.escape(words)):
            api.open_dataset(config)


def test_a_misspelt_seed_file_is_answered_with_the_one_that_is_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "products.csv").write_text("a\n1\n", encoding="utf-8")
    config = {
        "name": "t",
        "num_records": 1,
        "columns": [{"column_type": "seed-dataset", "name": "a"}],
        "seed_config": {
            "source": {"seed_type": "local", "path": str(tmp_path / "product.csv")}
        },
    }
    with pytest.raises(
        SdgError, match=re.escape("does not exist; did you mean 'products.csv'?")
    ):
        api.open_dataset(config)


IN_YAML = {
    "a tag": ("name: !mine x\n", "quote text that begins with !"),
    "a list behind a key": ("name: - x\n", "quote text that begins with -"),
    "an at sign in a list": ("columns: [@x]\n", "quote text that begins with @"),
    "an alias in a list": ("columns: [*x]\n", "quote text that begins with *"),
    "a backslash": ('name: "C:\\dir"\n', "single quotes"),
    "an apostrophe": ("name: 'it's'\n", "write a quote inside a text twice"),
    "two documents": ("name: a\n---\nname: b\n", "a file holds one dataset"),
    "a merge key as a value": ("name: <<\n", "quote it to make it text"),
}


@pytest.mark.parametrize("mistake", IN_YAML)
def test_what_is_no_yaml_is_answered_with_what_to_write(
    tmp_path: Path, mistake: str
) -> None:
    content, remedy = IN_YAML[mistake]
    (tmp_path / "d.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(api.ConfigError, match=re.escape(remedy)):
        api.open_dataset(tmp_path / "d.yaml")


def test_a_fault_of_json_is_called_one_of_json(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"columns": [1,]}', encoding="utf-8")
    with pytest.raises(api.ConfigError, match="line 1, JSON: not JSON"):
        api.open_dataset(tmp_path / "d.json")
