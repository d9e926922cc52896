"""Faults of skips, custom columns and validation columns, found before anything runs; functions found, inspected and hashed."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from sdg_core.errors import ConfigError
from sdg_core.plan.compile import compile_plan, config_fingerprint
from sdg_core.plan.load import LoadedDataset, load_dataset

FUNCTIONS = """\
from pydantic import BaseModel
from sdg_core.custom import custom_column_generator

class Settings(BaseModel):
    times: int = 2

@custom_column_generator(required_columns=["a"], side_effect_columns=["extra"], model_aliases=["w"], version="3")
def declared(row, generator_params: Settings, models) -> int:
    return 1

def plain(row):
    return row["a"]

async def later(row) -> float:
    return 0.5

def strange(row, params):
    return 1

def nothing():
    return 1

def check(df):
    return df

NUMBER = 5
nameless = eval("lambda row: 1")
"""
A = {"column_type": "expression", "name": "a", "expr": "x"}
MODELS = {
    "model_providers": [{"name": "p", "provider_type": "simulated"}],
    "model_configs": [{"alias": "w", "model": "m", "provider": "p"}],
}


def custom(function: str = "./functions.py:plain", **more: Any) -> dict[str, Any]:
    return {
        "column_type": "custom",
        "name": "c",
        "generator_function": function,
        "required_columns": ["a"],
        **more,
    }


def validation(
    kind: str = "regex", params: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    params = params if params is not None else {"pattern": "x"}
    column = {
        "column_type": "validation",
        "name": "v",
        "target_columns": ["a"],
        "validator_type": kind,
    }
    return {**column, "validator_params": params, **more}


def load(
    folder: Path, *columns: dict[str, Any], source: str = FUNCTIONS, **top: Any
) -> LoadedDataset:
    (folder / "functions.py").write_text(source)
    path = folder / "d.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "num_records": 5,
                "row_group_size": 5,
                "columns": [A, *columns],
                **MODELS,
                **top,
            }
        )
    )
    return load_dataset(path, env={})


def faults(folder: Path, *columns: dict[str, Any], **top: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(folder, *columns, **top)
    return [(problem.path, problem.message) for problem in caught.value.problems]


SKIPPED = {"column_type": "expression", "name": "b", "expr": "{{ a }}"}


@pytest.mark.parametrize(
    ("skip", "path", "message"),
    [
        (
            {"when": "a == 1"},
            "columns[1].skip.when",
            "is plain text; write a template, such as {{ a == 1 }}",
        ),
        ({"when": "{{ 1 }}"}, "columns[1].skip.when", "reads no column"),
        ({"when": "{{ b }}"}, "columns[1].skip.when", "column 'b' reads itself"),
        (
            {"when": "{{ aa }}"},
            "columns[1].skip.when",
            "unknown column 'aa'; there is 'a', 'b'",
        ),
        ({"when": "{{ a"}, "columns[1].skip.when", "not a valid template"),
        (
            {"when": "{{ a }}", "value": ["x"]},
            "columns[1].skip.value",
            "a skipped cell holds null, text, a number",
        ),
        (
            {"when": "{{ a }}", "valu": 1},
            "columns[1].skip.valu",
            "did you mean 'value'?",
        ),
    ],
)
def test_faults_of_a_skip(
    tmp_path: Path, skip: dict[str, Any], path: str, message: str
) -> None:
    ((where, what),) = faults(tmp_path, {**SKIPPED, "skip": skip})
    assert where == path and message in what


def test_a_skip_value_has_to_fit(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        {**SKIPPED, "dtype": "int", "skip": {"when": "{{ a }}", "value": "none"}},
    )
    assert found == [
        ("columns[1].skip.value", "does not fit the column: 'none' is not of dtype int")
    ]


@pytest.mark.parametrize(
    "column",
    [
        {"column_type": "sampler", "name": "s", "sampler_type": "uuid", "params": {}},
        {"column_type": "seed-dataset", "name": "s"},
    ],
)
def test_samplers_and_seed_columns_are_never_skipped(
    tmp_path: Path, column: dict[str, Any]
) -> None:
    seeded = {"seed_config": {"source": {"seed_type": "local", "path": "x.csv"}}}
    load(tmp_path, {**column, "skip": None, "propagate_skip": True}, **seeded)
    found = faults(tmp_path, {**column, "skip": {"when": "{{ a }}"}}, **seeded)
    assert (
        len(found) == 1
        and found[0][0] == "columns[1]"
        and "is never skipped" in found[0][1]
    )


def test_conditions_and_functions_take_part_in_circles(tmp_path: Path) -> None:
    first = {**SKIPPED, "skip": {"when": "{{ extra }}"}}
    second = custom("./functions.py:declared", required_columns=["b"])
    ((path, message),) = faults(tmp_path, first, second)
    assert (path, message) == ("columns[1]", "dependency cycle: b -> c -> b")


@pytest.mark.parametrize(
    ("column", "path", "message"),
    [
        (
            custom("nowhere"),
            "generator_function",
            "'nowhere' is not a function: write module:function",
        ),
        (
            custom("no_such_module:f"),
            "generator_function",
            "no module named 'no_such_module'",
        ),
        (
            custom("./gone.py:f"),
            "generator_function",
            "gone.py does not exist; a relative path is relative to the dataset file",
        ),
        (
            custom("./functions.py:plane"),
            "generator_function",
            "has no function 'plane'; did you mean 'plain'?",
        ),
        (
            custom("./functions.py:NUMBER"),
            "generator_function",
            "is int, not a function",
        ),
        (
            custom("./functions.py:strange"),
            "generator_function",
            "takes (row, params); a custom function takes",
        ),
        (custom("./functions.py:nothing"), "generator_function", "takes ()"),
        (
            custom("./functions.py:nameless"),
            "generator_function",
            "declare a `version`",
        ),
        (
            custom(generator_params={"x": 1}),
            "generator_params",
            "takes no generator_params; remove them",
        ),
        (
            custom("./functions.py:declared", generator_params={"times": "often"}),
            "generator_params",
            "are not valid for Settings: times: Input should be a valid integer",
        ),
        (custom(required_columns=["b"]), "required_columns[0]", "unknown column 'b'"),
        (
            custom(required_columns=["c"]),
            "required_columns[0]",
            "column 'c' reads itself",
        ),
        (
            custom(side_effect_columns=["a"]),
            "side_effect_columns[0]",
            "another column is named 'a'",
        ),
        (
            custom(side_effect_columns=["c"]),
            "side_effect_columns[0]",
            "another column is named 'c'",
        ),
        (
            custom(side_effect_columns=["none"]),
            "side_effect_columns[0]",
            "has another meaning in templates",
        ),
        (
            custom(side_effect_types={"x": "int"}),
            "side_effect_types.x",
            "is not among side_effect_columns",
        ),
        (custom(output_type="integer"), "output_type", "'integer' is not a type"),
        (custom(model_aliases=["v"]), "model_aliases[0]", "no model has the alias 'v'"),
        (
            custom(allow_resize=True),
            "allow_resize",
            "valid only with generation_strategy: full_column",
        ),
        (
            custom(
                allow_resize=True,
                generation_strategy="full_column",
                skip={"when": "{{ a }}"},
            ),
            "skip",
            "has no cells to skip",
        ),
        (
            custom(side_effect_columns=["x"], skip={"when": "{{ x }}"}),
            "skip.when",
            "'x' is produced by this column",
        ),
    ],
)
def test_faults_of_a_custom_column(
    tmp_path: Path, column: dict[str, Any], path: str, message: str
) -> None:
    found = faults(tmp_path, column)
    assert found[0][0] == f"columns[1].{path}" and message in found[0][1]


def test_a_module_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    ((path, message),) = faults(tmp_path, custom(), source="import no_such_thing\n")
    assert path == "columns[1].generator_function"
    assert (
        "./functions.py cannot be imported: ModuleNotFoundError: No module named 'no_such_thing'"
        in message
    )


@pytest.mark.parametrize(
    ("column", "path", "message"),
    [
        (
            validation(params={"pattern": "("}),
            "validator_params.pattern",
            "unclosed group",
        ),
        (
            validation(params={"pattern": "(?=x)"}),
            "validator_params.pattern",
            "look-around",
        ),
        (
            validation("json_schema", {"schema": {"type": "strin"}}),
            "validator_params.json_schema",
            "not a JSON schema",
        ),
        (
            validation(
                "json_schema", {"json_schema": {"$ref": "http://127.0.0.1:9/x"}}
            ),
            "validator_params.json_schema",
            "is outside this schema",
        ),
        (
            validation("remote", {"endpoint_url": "ftp://x"}),
            "validator_params.endpoint_url",
            "not a URL",
        ),
        (
            validation("code", {"code_lang": "cobol"}),
            "validator_params.code_lang",
            "'python', 'sql:sqlite'",
        ),
        (
            validation("code", {}),
            "validator_params.code_lang",
            "required, but not given",
        ),
        (validation("spelling"), "validator_type", "'code', 'local_callable'"),
        (validation(target_columns=["b"]), "target_columns[0]", "unknown column 'b'"),
        (
            validation(target_columns=["a", "a"]),
            "target_columns",
            "names a column twice",
        ),
        (
            validation("local_callable", {"validation_function": "f"}),
            "validator_params.validation_function",
            "not a function",
        ),
        (
            validation(
                "local_callable", {"validation_function": "./functions.py:later"}
            ),
            "validator_params.validation_function",
            "is async",
        ),
        (
            validation(
                "remote",
                {"endpoint_url": "http://x", "output_schema": {"type": "string"}},
            ),
            "validator_params.output_schema",
            "a verdict is an object",
        ),
    ],
)
def test_faults_of_a_validation_column(
    tmp_path: Path, column: dict[str, Any], path: str, message: str
) -> None:
    found = faults(tmp_path, column)
    assert len(found) == 1, found
    assert found[0][0] == f"columns[1].{path}" and message in found[0][1]


def test_what_the_function_declares_becomes_part_of_the_config(tmp_path: Path) -> None:
    column = custom("./functions.py:declared")
    del column["required_columns"]
    loaded = load(tmp_path, column)
    found: Any = loaded.config.columns[1]
    assert (found.required_columns, found.side_effect_columns, found.model_aliases) == (
        ("a",),
        ("extra",),
        ("w",),
    )
    assert (found.output_type, found.version) == ("int", "3")
    function = loaded.functions["c"]
    assert (
        function.arguments == 3 and function.params.times == 2 and not function.is_async
    )
    plan = compile_plan(loaded, None)
    assert [(field.name, str(field.type)) for field in plan.schema] == [
        ("a", "string"),
        ("c", "int64"),
        ("extra", "string"),
    ]
    assert set(plan.models) == {"w"} and plan.simulated


def test_the_file_overrides_what_the_function_declares(tmp_path: Path) -> None:
    column = custom(
        "./functions.py:declared",
        required_columns=[],
        side_effect_columns=["other"],
        side_effect_types={"other": ["int"]},
        output_type={"x": "float"},
        model_aliases=[],
        version="4",
        generator_params={"times": 9},
    )
    loaded = load(tmp_path, column)
    found: Any = loaded.config.columns[1]
    assert (found.required_columns, found.side_effect_columns, found.version) == (
        (),
        ("other",),
        "4",
    )
    assert loaded.functions["c"].params.times == 9
    plan = compile_plan(loaded, None)
    assert str(plan.schema.field("c").type) == "struct<x: double>" and not plan.models


def test_a_function_may_be_passed_in_python(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(yaml.safe_dump({"num_records": 5, "columns": [A, custom("mine")]}))

    def mine(row: dict[str, Any]) -> str:
        return str(row["a"])

    loaded = load_dataset(path, env={}, functions={"mine": mine})
    assert loaded.functions["c"].call is mine
    with pytest.raises(ConfigError, match="did you mean 'mine'"):
        path.write_text(
            yaml.safe_dump({"num_records": 5, "columns": [A, custom("mime")]})
        )
        load_dataset(path, env={}, functions={"mine": mine})


def fingerprint(folder: Path, source: str = FUNCTIONS, **more: Any) -> str:
    return config_fingerprint(load(folder, custom(**more), source=source).config)


def test_the_source_of_the_function_counts_and_nothing_else_of_its_file(
    tmp_path: Path,
) -> None:
    first = fingerprint(tmp_path)
    assert (
        fingerprint(tmp_path, source=f"# a remark\n\n{FUNCTIONS}\nOTHER = 1\n") == first
    )
    changed = FUNCTIONS.replace('return row["a"]', 'return row["a"] * 2')
    assert fingerprint(tmp_path, source=changed) != first
    assert fingerprint(tmp_path, version="2") != first
    assert fingerprint(tmp_path, source=FUNCTIONS) == first


def test_the_source_of_a_validator_counts(tmp_path: Path) -> None:
    column = validation(
        "local_callable", {"validation_function": "./functions.py:check"}
    )
    first = config_fingerprint(load(tmp_path, column).config)
    changed = FUNCTIONS.replace("def check(df):\n", "def check(df):\n    # stricter\n")
    assert config_fingerprint(load(tmp_path, column, source=changed).config) != first


def test_the_row_group_size_counts_where_a_function_sees_the_row_group(
    tmp_path: Path,
) -> None:
    for more, counts in ({}, False), ({"generation_strategy": "full_column"}, True):
        parts = {
            config_fingerprint(
                load(tmp_path, custom(**more), row_group_size=size).config
            )
            for size in (5, 2)
        }
        assert (len(parts) == 2) is counts


def test_a_function_is_loaded_again_when_its_file_changed(tmp_path: Path) -> None:
    assert load(tmp_path, custom()).functions["c"].call({"a": 1}) == 1
    changed = FUNCTIONS.replace('return row["a"]', "return 2")
    assert load(tmp_path, custom(), source=changed).functions["c"].call({"a": 1}) == 2


def stages(folder: Path, *columns: dict[str, Any]) -> dict[str, tuple[int, int]]:
    graph = compile_plan(load(folder, *columns), None).graph
    return dict(graph.slots)


def test_places_of_columns(tmp_path: Path) -> None:
    text = {
        "column_type": "llm-text",
        "name": "t",
        "prompt": "{{ a }}",
        "model_alias": "w",
    }
    whole = custom(name="w1", required_columns=["t"], generation_strategy="full_column")
    after = {"column_type": "expression", "name": "e", "expr": "{{ w1 }}"}
    again = {
        "column_type": "llm-text",
        "name": "t2",
        "prompt": "{{ e }}",
        "model_alias": "w",
    }
    cell = custom(name="k")
    verdict = validation(target_columns=["t", "a"])
    found = stages(tmp_path, text, whole, after, again, cell, verdict)
    assert found == {
        "a": (0, 0),
        "t": (0, 1),
        "w1": (1, 0),
        "e": (1, 0),
        "t2": (1, 1),
        "k": (0, 1),
        "v": (0, 1),
    }


def test_a_column_that_changes_the_rows_comes_after_all_that_do_not_read_it(
    tmp_path: Path,
) -> None:
    resize = custom(name="r", generation_strategy="full_column", allow_resize=True)
    reader = {"column_type": "expression", "name": "e", "expr": "{{ r }}"}
    other = {
        "column_type": "sampler",
        "name": "o",
        "sampler_type": "uuid",
        "params": {},
    }
    second = custom(name="r2", generation_strategy="full_column", allow_resize=True)
    plan = compile_plan(load(tmp_path, resize, reader, other, second), None)
    assert plan.graph.order == ("a", "o", "r", "e", "r2")
    assert plan.resizes and plan.all_or_nothing


def test_the_public_decorator_leaves_the_function_as_it_is() -> None:
    namespace: dict[str, Any] = {}
    exec(dedent(FUNCTIONS), namespace)
    assert namespace["declared"]({}, None, None) == 1
