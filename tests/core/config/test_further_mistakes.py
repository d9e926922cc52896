"""Mistakes that people bring along from other tools: the word is answered with ours, the place and the remedy."""

from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.errors import SdgError
from tests.core.config.test_mistakes import LLM, TOP, columns, text


def sampler(kind: str, params: str) -> str:
    return columns(
        f"{{column_type: sampler, name: b, sampler_type: {kind}, params: {{{params}}}}}"
    )


def code(language: str) -> str:
    return columns(
        f"{{column_type: llm-code, name: b, model_alias: writer, prompt: x, code_lang: {language}}}"
    )


def model(more: str) -> str:
    return columns().replace("model: x,", f"model: x, {more},")


NORMAL = "low: 0, high: 1"
MISTAKES = {
    "the model of a column": (
        columns("{column_type: llm-text, name: a, model: writer, prompt: x}"),
        "columns[1].model",
        "'model_alias'",
    ),
    "messages": (
        columns(f"{{{LLM}, messages: [{{role: user}}]}}"),
        "columns[1].messages",
        "mean 'prompt'",
    ),
    "a list of prompts": (
        columns(f"{{{LLM}, prompt: [one, two]}}"),
        "columns[1].prompt",
        "instructions go into system_prompt",
    ),
    "choices": (
        sampler("category", "choices: [x]"),
        "columns[1].params.choices",
        "mean 'values'",
    ),
    "min": (
        sampler("uniform", "min: 1, high: 2"),
        "columns[1].params.min",
        "mean 'low'",
    ),
    "sigma": (
        sampler("gaussian", "mean: 1, sigma: 2"),
        "columns[1].params.sigma",
        "mean 'stddev'",
    ),
    "gender": (
        sampler("person", "gender: Female"),
        "columns[1].params.gender",
        "mean 'sex'",
    ),
    "normal": (
        sampler("normal", NORMAL),
        "columns[1].sampler_type",
        "got 'normal'; did you mean 'gaussian'?",
    ),
    "date": (
        sampler("date", NORMAL),
        "columns[1].sampler_type",
        "got 'date'; did you mean 'datetime'?",
    ),
    "js": (code("js"), "columns[1].code_lang", "got 'js'; did you mean 'javascript'?"),
    "sql": (code("sql"), "columns[1].code_lang", "got 'sql'; did you mean 'sql:ansi'?"),
    "columns by name": (
        TOP + "columns: {a: {column_type: sampler}}\n",
        "columns: expected a list",
        "as in - {name: plan, ...}",
    ),
    "seed data as the seed": (
        columns() + "seed: data.csv\n",
        "seed: expected a whole number",
        "seed data goes into seed_config",
    ),
    "seed data by a path": (
        columns() + "seed_config: data.csv\n",
        "seed_config",
        "as in {source: {path: data.csv}}",
    ),
    "a seed file": (
        columns() + "seed_file: data.csv\n",
        "seed_file",
        "mean 'seed_config'",
    ),
    "base_url": (
        columns().replace("provider_type: simulated", "base_url: http://x"),
        "base_url",
        "mean 'endpoint'",
    ),
    "a key beside the model": (
        model("api_key: K"),
        "model_configs[0].api_key",
        "it belongs in model_providers",
    ),
    "top_k": (
        model("inference_parameters: {top_k: 5}"),
        "top_k",
        "as in extra_body: {top_k: ...}",
    ),
    "prices per input": (
        model("prices: {input: 1}"),
        "prices.input",
        "mean 'prompt_tokens'",
    ),
    "batch_size": (
        columns() + "batch_size: 10\n",
        "batch_size",
        "mean 'row_group_size'",
    ),
    "a condition beside skip": (
        columns(f"{{{LLM}, prompt: x, skip: 'plan'}}"),
        "columns[1].skip",
        'as in {when: "{{ plan }}"}',
    ),
    "one equal sign": (
        columns(f"{{{LLM}, prompt: x, skip: {{when: 'plan = 1'}}}}"),
        "skip.when",
        "{{ plan == 1 }}",
    ),
    "else if": (
        text("{% if plan %}x{% else if plan %}y{% endif %}"),
        "columns[1].prompt",
        "write {% elif %}",
    ),
    "a sign for an operator": (
        sampler("uniform", NORMAL)
        + "constraints: [{target_column: b, operator: '>', rhs: 0.5}]\n",
        "constraints[0].operator",
        "got '>'; did you mean 'gt'?",
    ),
    "typographic quotes": (
        columns("{column_type: expression, name: b, expr: “{{ plan }}”}"),
        "line 8, YAML",
        "not recognize typographic quotes",
    ),
    "a type of Python": (
        columns(
            "{column_type: llm-structured, name: b, model_alias: writer, prompt: x, "
            "output_format: {type: object, properties: {a: {type: str}}}}"
        ),
        "columns[1].output_format",
        "did you mean 'string'?",
    ),
}


@pytest.mark.parametrize(("file", "place", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_once_with_place_and_remedy(
    tmp_path: Path, file: str, place: str, remedy: str
) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(file, encoding="utf-8")
    with pytest.raises(SdgError) as refused:
        api.open_dataset(path)
    assert place in str(refused.value) and remedy in str(refused.value), str(
        refused.value
    )
    assert len(getattr(refused.value, "problems", ())) == 1, str(refused.value)
