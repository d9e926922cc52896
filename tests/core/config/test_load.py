"""Dataset files, good and bad: what is accepted, and that every fault is reported at its place."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from sdg_core.config import yaml_document as document
from sdg_core.config.columns import SamplerColumn
from sdg_core.config.samplers import CategoryParams, UniformParams
from sdg_core.config.yaml_document import (
    DocumentSyntaxError,
    format_path,
    parse_document,
)
from sdg_core.errors import ConfigError, Problem
from sdg_core.plan.load import LoadedDataset, load_dataset

COLUMN = "columns:\n- {column_type: expression, name: a, expr: x}\n"


def load(
    folder: Path,
    text: str | bytes,
    *,
    name: str = "tickets.yaml",
    env: Mapping[str, str] | None = None,
) -> LoadedDataset:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_dataset(path, env=env or {})


def problems(
    folder: Path, text: str | bytes, *, env: Mapping[str, str] | None = None
) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, env=env)
    assert str(folder / "tickets.yaml") in str(caught.value)
    return list(caught.value.problems)


def only(
    folder: Path, text: str | bytes, *, env: Mapping[str, str] | None = None
) -> Problem:
    found = problems(folder, text, env=env)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def sampler(params: str, *, kind: str = "category", more: str = "") -> str:
    return f"columns:\n- column_type: sampler\n  name: a\n  sampler_type: {kind}\n{more}  params: {params}\n"


def provider(fields: str) -> str:
    return (
        f"{COLUMN}model_providers:\n- {{name: p, endpoint: 'http://x/v1', {fields}}}\n"
    )


def category_values(dataset: LoadedDataset) -> tuple[object, ...]:
    column = dataset.config.columns[0]
    assert isinstance(column, SamplerColumn) and isinstance(
        column.params, CategoryParams
    )
    return column.params.values


# What is accepted


def test_a_minimal_file_takes_its_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, COLUMN).config
    assert (config.name, config.num_records, config.row_group_size, config.seed) == (
        "tickets",
        None,
        1000,
        0,
    )


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a-B c.yaml", "a_b_c"),
        ("9lives.yml", "lives"),
        ("dataset.yaml", "folder"),
        ("7.yaml", "dataset"),
    ],
)
def test_the_name_defaults_to_the_file_or_its_folder(
    tmp_path: Path, file: str, name: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert load(folder, COLUMN, name=file).config.name == name


def test_json_is_read_as_well(tmp_path: Path) -> None:
    column = {"column_type": "expression", "name": "a", "expr": "{{ 1 }}"}
    text = json.dumps({"name": "x", "num_records": 3, "columns": [column]}, indent=2)
    assert load(tmp_path, text, name="x.json").config.num_records == 3


def test_a_builder_config_is_unwrapped_and_its_library_version_ignored(
    tmp_path: Path,
) -> None:
    text = "library_version: 1.2.3\nnum_records: 5\ndata_designer:\n  columns:\n  - {column_type: expression, name: a, expr: x}\n"
    assert load(tmp_path, text).config.num_records == 5


def test_buffer_size_is_an_alias(tmp_path: Path) -> None:
    assert load(tmp_path, COLUMN + "buffer_size: 7\n").config.row_group_size == 7


def test_quoted_numbers_stay_text(tmp_path: Path) -> None:
    assert category_values(
        load(tmp_path, sampler("{values: ['1.10', '007', 'yes', '2024-01-01']}"))
    ) == (
        "1.10",
        "007",
        "yes",
        "2024-01-01",
    )


def test_an_unquoted_date_is_the_text_that_was_written(tmp_path: Path) -> None:
    assert category_values(
        load(tmp_path, sampler("{values: [2024-01-01, 2024-01-02]}"))
    ) == (
        "2024-01-01",
        "2024-01-02",
    )


def test_whole_and_real_bounds_are_the_same(tmp_path: Path) -> None:
    column = load(
        tmp_path, sampler("{low: 0, high: 1}", kind="uniform")
    ).config.columns[0]
    other = load(
        tmp_path, sampler("{low: 0.0, high: 1.0}", kind="uniform")
    ).config.columns[0]
    assert isinstance(column, SamplerColumn) and isinstance(
        column.params, UniformParams
    )
    assert column == other and isinstance(column.params.low, float)


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = "columns:\n- &base {column_type: expression, name: a, expr: x}\n- {<<: *base, name: b}\n"
    assert [column.name for column in load(tmp_path, text).config.columns] == ["a", "b"]


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + COLUMN).config.columns[0].name == "a"


# Files that cannot be read


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; check the path"):
        load_dataset(tmp_path / "nowhere.yaml", env={})


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_dataset(tmp_path, env={})


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (b"name: \xff", None, "UTF-8"),
        (COLUMN + "x: '\x01'", 3, "character #x0001 is not allowed"),
        ("columns: [a\nname: b\n", 2, "did not find expected"),
        ("a:\n\tb: 1\n", 2, "cannot start any token"),
        (COLUMN + "---\n" + COLUMN, 3, "another document"),
        (
            COLUMN + "a: !!python/object:os.system x\n",
            3,
            "could not determine a constructor",
        ),
        (COLUMN + "? [a, b]\n: c\n", 3, "a key must be text"),
        ("a: &a [*a]\n" + COLUMN, 1, "refers to a value that contains it"),
        ("a: " + "[" * 5000 + "]" * 5000, None, "nested too deeply"),
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' is given twice"),
        ("columns:\n- name: a\n  name: b\n", 3, "key 'name' is given twice"),
    ],
)
def test_broken_text(
    tmp_path: Path, text: str | bytes, line: int | None, message: str
) -> None:
    problem = only(tmp_path, text)
    assert problem.line == line and message in problem.message


def test_aliases_that_multiply_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_VALUES", 10_000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(DocumentSyntaxError, match="more than 10,000 values"):
        parse_document("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "an empty file"),
        ("# x\n", "an empty file"),
        ("- a\n", "a list"),
        ("abc", "a str"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str, found: str) -> None:
    assert found in only(tmp_path, text).message


# Faults of structure


@pytest.mark.parametrize(
    ("text", "path", "line", "message"),
    [
        ("nme: x\n" + COLUMN, "nme", 1, "unknown key 'nme'; did you mean 'name'?"),
        (COLUMN + "zzz: x\n", "zzz", 3, "unknown key 'zzz'"),
        (
            "columns:\n- column_type: expression\n  name: a\n  expr: x\n  promt: y\n",
            "columns[0].promt",
            5,
            "did you mean 'prompt'?",
        ),
        (
            COLUMN + "run:\n  num_retris: 3\n",
            "run.num_retris",
            4,
            "did you mean 'num_retries'?",
        ),
        (COLUMN + "temperature: 1\n", "temperature", 3, "unknown key 'temperature'"),
        (
            COLUMN + "run: {temperature: 1}\n",
            "run.temperature",
            3,
            "unknown key 'temperature' here",
        ),
        (
            sampler("{values: [a], wieghts: [1]}"),
            "columns[0].params.wieghts",
            5,
            "did you mean 'weights'?",
        ),
        (
            COLUMN + "num_records: many\n",
            "num_records",
            3,
            "expected a whole number, got 'many'",
        ),
        (
            COLUMN + "num_records: '10'\n",
            "num_records",
            3,
            "expected a whole number, got '10'",
        ),
        (
            COLUMN + "num_records: 1.5\n",
            "num_records",
            3,
            "expected a whole number, got 1.5",
        ),
        (COLUMN + "num_records: yes\n", "num_records", 3, "YAML reads an unquoted yes"),
        (COLUMN + "num_records: 0\n", "num_records", 3, "greater than 0, got 0"),
        (COLUMN + "row_group_size: -1\n", "row_group_size", 3, "greater than 0"),
        (COLUMN + "seed: abc\n", "seed", 3, "expected a whole number"),
        (COLUMN + "name: 9x\n", "name", 3, "not a valid name"),
        (COLUMN + "name: ../x\n", "name", 3, "not a valid name"),
        (COLUMN + "name: yes\n", "name", 3, "expected text, got True; YAML reads"),
        (COLUMN + "1: x\n", "1", 3, "key 1 must be text; quote it"),
        ("name: a\n", "columns", 1, "required, but not given"),
        ("columns: []\n", "columns", 1, "expected at least one item"),
        ("columns:\n", "columns", 1, "expected a list"),
        ("columns: {a: {column_type: expression}}\n", "columns", 1, "expected a list"),
        ("columns: [null]\n", "columns[0]", 1, "expected a mapping"),
        ("columns:\n- {name: a}\n", "columns[0]", 2, "column_type is required"),
        (
            "columns:\n- {column_type: llm, name: a}\n",
            "columns[0]",
            2,
            "unknown column_type 'llm'; one of 'sampler'",
        ),
        (
            "columns:\n- {column_type: expression, name: a}\n",
            "columns[0].expr",
            2,
            "required, but not given",
        ),
        (
            "columns:\n- {column_type: expression, name: a+b, expr: x}\n",
            "columns[0].name",
            2,
            "got 'a+b'",
        ),
        (
            sampler("{values: [a]}", kind="categry"),
            "columns[0].sampler_type",
            4,
            "got 'categry'",
        ),
        (sampler("[1]"), "columns[0].params", 5, "expected a mapping"),
        (
            sampler("{values: [a, b], weights: [1]}"),
            "columns[0].params",
            5,
            "1 weight for 2 values",
        ),
        (
            sampler("{values: [a, b], weights: [0, 0]}"),
            "columns[0].params",
            5,
            "weights are all 0",
        ),
        (
            sampler("{values: [a, b], weights: [1, -1]}"),
            "columns[0].params.weights[1]",
            5,
            "greater than or equal to 0",
        ),
        (
            sampler("{values: [a, b], weights: [1, .nan]}"),
            "columns[0].params.weights[1]",
            5,
            "finite number",
        ),
        (
            sampler("{values: [a, b], weights: [1.0e+308, 1.0e+308]}"),
            "columns[0].params",
            5,
            "sum of the weights",
        ),
        (
            sampler("{values: []}"),
            "columns[0].params.values",
            5,
            "expected at least one item",
        ),
        (
            sampler("{values: [a, yes]}"),
            "columns[0].params.values[1]",
            5,
            "YAML reads an unquoted yes",
        ),
        (
            sampler("{values: [1.0, .nan]}"),
            "columns[0].params.values[1]",
            5,
            "not a finite number",
        ),
        (
            sampler("{values: [1, 99999999999999999999]}"),
            "columns[0].params.values[1]",
            5,
            "64 bits",
        ),
        (
            sampler("{values: [[a]]}"),
            "columns[0].params.values[0]",
            5,
            "expected text or a number",
        ),
        (
            sampler("{low: 5, high: 1}", kind="uniform"),
            "columns[0].params",
            5,
            "low 5 is above high 1",
        ),
        (
            sampler("{low: '0', high: 1}", kind="uniform"),
            "columns[0].params.low",
            5,
            "expected a number, got '0'",
        ),
        (
            sampler("{low: .inf, high: 1}", kind="uniform"),
            "columns[0].params.low",
            5,
            "finite",
        ),
        (
            sampler("{mean: 0, stddev: -1}", kind="gaussian"),
            "columns[0].params.stddev",
            5,
            "greater than or equal to 0",
        ),
        (
            sampler("{category: b, values: {1: [x]}}", kind="subcategory"),
            "columns[0].params.values.1",
            5,
            "key 1 must be text",
        ),
        (
            COLUMN + "run: {resume: maybe}\n",
            "run.resume",
            3,
            "'if_possible', 'always' or 'never', got 'maybe'",
        ),
        (
            COLUMN + "run: {max_failure_rate: 2}\n",
            "run.max_failure_rate",
            3,
            "less than or equal to 1",
        ),
        (
            COLUMN + "processors: [{processor_type: x, name: y}]\n",
            "processors[0]",
            3,
            "unknown processor_type 'x'",
        ),
        (
            COLUMN + "seed_config: {source: {seed_type: x}}\n",
            "seed_config.source",
            3,
            "unknown seed_type 'x'; one of",
        ),
        (
            COLUMN + "seed_config: {source: {query: x}}\n",
            "seed_config.source",
            3,
            "seed_type is required",
        ),
        (
            COLUMN + "seed_config: {source: {path: 5}}\n",
            "seed_config.source.path",
            3,
            "expected text, got 5",
        ),
        (
            COLUMN + "seed_config: {source: {path: []}}\n",
            "seed_config.source.path",
            3,
            "at least one item",
        ),
        (
            COLUMN + "seed_config: {source: {seed_type: dataset, dataset: X}}\n",
            "seed_config.source.dataset",
            3,
            "must match",
        ),
        (
            COLUMN
            + "seed_config: {source: {seed_type: dataset, dataset: x, extra: 1}}\n",
            "seed_config.source.extra",
            3,
            "unknown key 'extra'",
        ),
        (
            COLUMN + "seed_config: {source: {seed_type: sql, query: x}}\n",
            "seed_config.source",
            3,
            "give either url or url_env",
        ),
        (
            COLUMN + "seed_config: {source: {seed_type: hf, path: u/d}}\n",
            "seed_config.source.path",
            3,
            "datasets/user/name",
        ),
        (
            COLUMN + "seed_config: {source: {seed_type: custom, reader: Reader}}\n",
            "seed_config.source.reader",
            3,
            "expected a class",
        ),
        (
            COLUMN
            + "seed_config: {source: {path: x.csv}, selection_strategy: {start: 5, end: 1}}\n",
            "seed_config.selection_strategy",
            3,
            "start 5 is above end 1",
        ),
        (
            COLUMN
            + "seed_config: {source: {path: x.csv}, selection_strategy: {index: 4, num_partitions: 4}}\n",
            "seed_config.selection_strategy",
            3,
            "index 4 must be below num_partitions",
        ),
        (COLUMN + "row_group_size: 2\nbuffer_size: 3\n", "buffer_size", 4, "keep one"),
        (COLUMN + "buffer_size: x\n", "buffer_size", 3, "expected a whole number"),
        (
            provider("extra_body: {x: .inf}"),
            "model_providers[0].extra_body",
            4,
            "inf cannot be written as JSON",
        ),
        (
            provider("extra_body: {x: {1: y}}"),
            "model_providers[0].extra_body",
            4,
            "key 1 must be text",
        ),
        (
            provider("extra_body: {x: !!set {y}}"),
            "model_providers[0].extra_body",
            4,
            "a set cannot be written as JSON",
        ),
        (
            provider("endpoint_env: URL"),
            "model_providers[0].endpoint_env",
            4,
            "valid only with provider_type: simulated",
        ),
        (
            COLUMN + "model_providers:\n- {name: p}\n",
            "model_providers[0]",
            4,
            "has no endpoint",
        ),
        (
            COLUMN + "model_providers:\n- {name: p, endpoint: 'x:1'}\n",
            "model_providers[0]",
            4,
            "is not a URL",
        ),
        ("data_designer: 3\n", "data_designer", 1, "expected a mapping"),
        (
            "data_designer:\n  columns: []\n",
            "data_designer.columns",
            2,
            "at least one item",
        ),
        (
            "data_designer:\n  columns:\n  - {column_type: expression, name: a, expr: x}\nnum_records: x\n",
            "num_records",
            4,
            "whole",
        ),
        (
            "data_designer:\n  seed: 1\n  columns:\n  - {column_type: expression, name: a, expr: x}\nseed: 2\n",
            "seed",
            5,
            "also given in the data_designer block",
        ),
    ],
)
def test_one_fault_of_structure(
    tmp_path: Path, text: str, path: str, line: int, message: str
) -> None:
    problem = only(tmp_path, text)
    assert (problem.path, problem.line) == (path, line)
    assert message in problem.message


def test_every_fault_is_listed_in_one_error_by_line(tmp_path: Path) -> None:
    text = """\
nme: x
num_records: 0
columns:
- column_type: expression
  name: a
  expr: "{{ zz }}"
  bogus: 1
- column_type: llm-text
  name: b
  prompt: "{{ a }} {{ nope }}"
  model_alias: w
- column_type: sampler
  name: c
  sampler_type: uniform
  params: {low: 5, high: 1}
- column_type: expression
  name: d
  expr: "{{ c }} {{ d }}"
processors:
- {processor_type: drop_columns, name: x, column_names: [q]}
run: {num_retris: 3}
"""
    found = problems(tmp_path, text)
    assert [(problem.path, problem.line) for problem in found] == [
        ("nme", 1),
        ("num_records", 2),
        ("columns[0].bogus", 7),
        (
            "columns[1].prompt",
            10,
        ),  # `a` and `c` are faulty themselves, so a reference to them is no fault
        ("columns[1].model_alias", 11),
        ("columns[2].params", 15),
        ("columns[3].expr", 18),
        ("processors[0].column_names[0]", 20),
        ("run.num_retris", 21),
    ]


def test_the_message_is_one_readable_block(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, COLUMN + "nun_records: 3\nseed: x\n")
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'tickets.yaml'}: 2 problems",
        "  line 3, nun_records: unknown key 'nun_records'; did you mean 'num_records'?",
        "  line 4, seed: expected a whole number, got 'x'; this is the seed of the random number "
        "generator; seed data goes into seed_config",
    ]


# Keys of accounts

SECRETS = [
    "sk-abc123",
    "sk-proj-Abc_Def-123",
    "AbcDefGhijklmnopqrstuvw1",
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz",
    "gsk_abcdefghijklmnopqrstuvwxyz0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "0123456789abcdef",
    "has space",
    "",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_literal_key_is_refused_and_never_printed(
    tmp_path: Path, secret: str
) -> None:
    problem = only(tmp_path, provider(f"api_key: '{secret}'"))
    assert problem.path == "model_providers[0].api_key"
    assert "names an environment variable" in problem.message
    assert not secret or secret not in str(problem)


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "KEY",
        "my_key",
        "_K1",
        "openaiKey",
        "AZURE_OPENAI_SERVICE_ACCOUNT_API_KEY",
    ],
)
def test_the_name_of_a_variable_is_accepted(tmp_path: Path, name: str) -> None:
    assert (
        load(tmp_path, provider(f"api_key: {name}")).config.model_providers[0].api_key
        == name
    )


@pytest.mark.parametrize(
    "text",
    [
        COLUMN + "model_providers: {name: p, api_key: sk-secret}\n",
        COLUMN + "model_providers: [sk-secret]\n",
        COLUMN + "model_providers: sk-secret\n",
        COLUMN
        + "model_providers: [{name: p, endpoint: 'http://x', api_key: [sk-secret]}]\n",
        COLUMN
        + "model_providers: [{name: p, endpoint: 'http://x', api_key: {k: sk-secret}}]\n",
        COLUMN + "model_providers: [{name: p, endpoint: 'u:sk-secret@x'}]\n",
        COLUMN + "model_providers: [{name: p, endpoint: 'http://u:sk-secret@x'}]\n",
        COLUMN
        + "model_providers: [{name: p, provider_type: simulated, endpoint_env: sk-secret}]\n",
        COLUMN
        + "model_providers: [{name: p, provider_type: sk-secret, endpoint: 'http://x'}]\n",
        COLUMN
        + "model_providers: [{name: p, endpoint: 'http://x', extra_headers: {A: [sk-secret]}}]\n",
        COLUMN
        + "model_providers: [{name: p, endpoint: 'http://x', apikey: sk-secret}]\n",
        COLUMN + "run: [{api_key: sk-secret}]\n",
        COLUMN
        + "model_providers: [{name: p, endpoint: 'http://x', api_key: sk-secret}]\nzzz: 1\nseed: x\n",
    ],
)
def test_a_misplaced_key_is_never_printed(tmp_path: Path, text: str) -> None:
    assert "sk-secret" not in " ".join(map(str, problems(tmp_path, text)))


# From rehearsal to a real run

REHEARSAL = """\
columns:
- {column_type: llm-text, name: a, prompt: hi, model_alias: w}
model_providers:
- {name: p, provider_type: simulated, endpoint_env: DEMO_URL}
model_configs:
- {alias: w, model: sim, provider: p, model_env: DEMO_MODEL}
"""


def test_without_the_variables_the_provider_is_simulated(tmp_path: Path) -> None:
    config = load(tmp_path, REHEARSAL, env={"DEMO_MODEL": "m"}).config
    assert (
        config.model_providers[0].provider_type == "simulated"
        and config.model_configs[0].model == "sim"
    )


def test_both_variables_turn_it_into_a_real_one(tmp_path: Path) -> None:
    config = load(
        tmp_path, REHEARSAL, env={"DEMO_URL": "http://h/v1", "DEMO_MODEL": "m"}
    ).config
    assert (
        config.model_providers[0].provider_type,
        config.model_providers[0].endpoint,
    ) == (
        "openai",
        "http://h/v1",
    )
    assert config.model_configs[0].model == "m"


def test_an_endpoint_without_a_model_is_a_fault(tmp_path: Path) -> None:
    problem = only(tmp_path, REHEARSAL, env={"DEMO_URL": "http://h/v1"})
    assert (problem.path, problem.line) == ("model_configs[0].model_env", 6)
    assert "DEMO_MODEL is not set" in problem.message


def test_a_variable_that_holds_no_url_is_a_fault(tmp_path: Path) -> None:
    problem = only(
        tmp_path, REHEARSAL, env={"DEMO_URL": "sk-secret", "DEMO_MODEL": "m"}
    )
    assert problem.path == "model_providers[0].endpoint_env"
    assert "DEMO_URL does not hold a URL" in problem.message and "sk-secret" not in str(
        problem
    )


def test_faulty_model_configs_are_reported_even_when_the_provider_is_switched(
    tmp_path: Path,
) -> None:
    text = REHEARSAL + "- oops\n"
    found = problems(tmp_path, text, env={"DEMO_URL": "http://h/v1", "DEMO_MODEL": "m"})
    assert "model_configs[1]" in [problem.path for problem in found]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "(top level)"),
        (("a",), "a"),
        (("columns", 2, "prompt"), "columns[2].prompt"),
        ((0,), "[0]"),
    ],
)
def test_paths_as_people_write_them(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text
