"""Verdicts are pure: what each validator says of good, bad and hostile values, and of several targets at once."""

import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.columns import ValidationColumn
from sdg_core.plan.types.arrow import conform
from sdg_core.plan.types.verdicts import single_verdict_type, verdict_type
from sdg_core.plan.usercode.functions import UserFunction
from sdg_core.validators import python_code
from sdg_core.validators.base import ValidatorError
from sdg_core.validators.factory import validate_targets, value_validator
from sdg_core.validators.python_code import validate_python
from sdg_core.validators.rows import validate_by_function, verdicts


def column(kind: str, *targets: str, **params: Any) -> ValidationColumn:
    raw = {
        "name": "v",
        "target_columns": targets or ("a",),
        "validator_type": kind,
        "validator_params": params,
    }
    return ValidationColumn.model_validate(raw)


def judged(kind: str, *values: Any, **params: Any) -> list[dict[str, Any]]:
    checked = column(kind, **params)
    found = value_validator(checked.validator_params)(values)
    verdict = single_verdict_type(checked.validator_params)
    assert [conform(item, verdict) for item in found] == found, (
        "a verdict has the type that is announced"
    )
    return found


def valid(kind: str, *values: Any, **params: Any) -> list[bool]:
    return [item["is_valid"] for item in judged(kind, *values, **params)]


# --- Python -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "severity", "symbols"),
    [
        ("x = 1\n", "none", []),
        ("", "none", []),
        ("import os\n", "none", []),
        ("def f(:\n", "fatal", ["invalid-syntax"]),
        ("print(missing)\n", "error", ["F821"]),
        ("x = '\\d'\n", "none", []),
        ("if x == None:\n    pass\nx = 1\n", "error", ["F821"]),
        ("x = 1\nif x == None:\n    y = 2\n", "refactor", ["E711"]),
        ("def f():\n    global x\n    return 1\n", "warning", ["PLW0602"]),
        ("# ruff: noqa\nprint(missing)\n", "error", ["F821"]),
        ("print(missing)  # noqa\n", "error", ["F821"]),
        ("x = 1\x00\n", "fatal", ["invalid-syntax"]),
    ],
)
def test_python(text: str, severity: str, symbols: list[str]) -> None:
    (verdict,) = judged("code", text, code_lang="python")
    assert verdict["python_linter_severity"] == severity
    assert {message["symbol"] for message in verdict["python_linter_messages"]} >= set(
        symbols
    )
    assert verdict["is_valid"] is (severity not in ("fatal", "error"))
    assert (verdict["python_linter_score"] == 10.0) is (severity == "none")


def test_the_score_is_that_of_pylint() -> None:
    text = "x = 1\ny = 2\nif x == None:\n    y = 3\nz = 5\n"
    (verdict,) = judged("code", text, code_lang="python")
    assert (
        len(verdict["python_linter_messages"]) == 1
        and verdict["python_linter_score"] == 10.0 - 10.0 / 5
    )


def test_no_text_is_not_valid_python() -> None:
    assert valid("code", None, 5, code_lang="python") == [False, True]


def test_each_text_has_its_own_verdict_in_order() -> None:
    texts = [f"print(missing{n})\n" if n % 3 == 0 else f"x = {n}\n" for n in range(50)]
    assert valid("code", *texts, code_lang="python") == [n % 3 != 0 for n in range(50)]


def test_nothing_is_executed(tmp_path: Path) -> None:
    text = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    assert (
        valid("code", text, code_lang="python") == [True]
        and not (tmp_path / "ran").exists()
    )


def test_a_text_that_ends_the_linter_is_the_one_to_blame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = python_code._run

    def crash(texts: list[str]) -> list[list[dict[str, Any]]]:
        if any("bomb" in text for text in texts):
            raise ValidatorError("ruff ended with status -11")
        return run(texts)

    monkeypatch.setattr(python_code, "_run", crash)
    found = validate_python(["x = 1\n", "bomb = 1\n", "y = 1\n"])
    assert [item["is_valid"] for item in found] == [True, False, True]
    assert "cannot be linted" in found[1]["python_linter_messages"][0]["message"]


def test_a_linter_that_cannot_be_run_is_an_error_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("ruff")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(ValidatorError, match="ruff"):
        validate_python(["x = 1\n"])


# --- SQL --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "dialect", "expected"),
    [
        ("SELECT a FROM b WHERE c = 1", "ansi", True),
        ("select 1; select 2;", "ansi", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "postgres", True),
        ("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)", "sqlite", True),
        ("SELECT TOP 1 * FROM x", "tsql", True),
        ("SELECT TOP 1 * FROM x", "postgres", False),
        ("SELEC * FROM x", "ansi", False),
        ("SELECT * FRM x", "mysql", False),
        ("hello world", "ansi", False),
        ("42", "bigquery", False),
        ("", "ansi", False),
        ("select 'a", "ansi", False),
        ("select " + "(" * 5000 + "1" + ")" * 5000, "ansi", False),
        (None, "ansi", False),
    ],
)
def test_sql(text: str | None, dialect: str, expected: bool) -> None:
    (verdict,) = judged("code", text, code_lang=f"sql:{dialect}")
    assert verdict["is_valid"] is expected
    assert bool(verdict["error_messages"]) is not expected
    assert "\033" not in verdict["error_messages"]


# --- JSON schema and regular expressions ------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
    },
}


def test_json_lists_every_error_with_its_path() -> None:
    found = judged(
        "json_schema", '{"name": 5, "tags": ["a", "c", "d"]}', json_schema=SCHEMA
    )[0]
    assert {error["path"] for error in found["errors"]} == {
        "name",
        "tags[1]",
        "tags[2]",
    }
    assert found["is_valid"] is False


def test_json_values_may_be_text_or_structured() -> None:
    values: list[Any] = [
        '{"name": "x"}',
        {"name": "x"},
        {"name": "x", "tags": ["a"]},
        "{",
        {"tags": []},
        None,
        "null",
    ]
    assert valid("json_schema", *values, json_schema=SCHEMA) == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_regular_expressions_search_or_match_all_of_it() -> None:
    assert valid("regex", "xay", "b", None, pattern="a") == [True, False, False]
    assert valid("regex", "xay", "a", "a\n", "b", pattern="a|b", full_match=True) == [
        False,
        True,
        False,
        True,
    ]
    assert valid("regex", 42, pattern="^4") == [True]


def test_no_text_keeps_a_regular_expression_busy() -> None:
    assert valid("regex", "a" * 200_000 + "!", pattern="^(a+)+$") == [False]


# --- functions and endpoints ------------------------------------------------------------------------------------------


def by_function(call: Any, **params: Any) -> Any:
    checked = column("local_callable", validation_function="m:f", **params)
    frame = pl.DataFrame({"a": ["x", "yy"]})
    return validate_by_function(
        UserFunction("m:f", call, False),
        frame,
        verdict=single_verdict_type(checked.validator_params),
    )


def test_a_function_gives_verdicts() -> None:
    found = by_function(
        lambda df: df.with_columns(
            is_valid=pl.col("a") == "x", size=pl.col("a").str.len_chars()
        )
    )
    assert found == [
        {"is_valid": True, "details": '{"size":1}'},
        {"is_valid": False, "details": '{"size":2}'},
    ]
    assert by_function(
        lambda df: df.select(
            is_valid=pl.lit(None, pl.Boolean).repeat_by(1).explode()
        ).select(pl.col("is_valid").append(None))
    )[0] == {"is_valid": None, "details": None}


def test_an_output_schema_says_what_a_verdict_holds() -> None:
    schema = {
        "type": "object",
        "properties": {"is_valid": {"type": "boolean"}, "size": {"type": "integer"}},
    }
    size = pl.col("a").str.len_chars()
    whole = {
        "type": "object",
        "properties": {"data": {"type": "array", "items": schema}},
    }
    for output_schema in (schema, whole):
        found = by_function(
            lambda df: df.select(is_valid=size > 1, size=size),
            output_schema=output_schema,
        )
        assert found == [{"is_valid": False, "size": 1}, {"is_valid": True, "size": 2}]
    misfits = by_function(
        lambda df: df.select(is_valid=size > 1, size=pl.col("a")), output_schema=schema
    )
    assert all(
        isinstance(item, ValidatorError)
        and "does not match its output_schema" in item.message
        for item in misfits
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda df: 1 / 0, "m:f raised ZeroDivisionError"),
        (lambda df: df.to_dicts(), "returned list, not a polars DataFrame"),
        (lambda df: df.head(1), "returned 1 row for 2"),
    ],
)
def test_a_function_that_fails_gives_no_verdict(call: Any, message: str) -> None:
    with pytest.raises(ValidatorError, match=message):
        by_function(call)


def test_an_answer_without_a_verdict_costs_its_row_only() -> None:
    checked = column("remote", endpoint_url="http://x")
    answers = [{"is_valid": True}, {"is_valid": "yes"}, "nonsense", {"valid": True}]
    found = verdicts(
        answers, who="http://x", verdict=single_verdict_type(checked.validator_params)
    )
    assert found[0] == {"is_valid": True, "details": None}
    assert all(
        isinstance(item, ValidatorError)
        and "did not return true or false for 'is_valid'" in item.message
        for item in found[1:]
    )


# --- several targets --------------------------------------------------------------------------------------------------


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {name: st.sampled_from(["x", "y", ""]) for name in "abc"}
        ),
        max_size=20,
    )
)
def test_each_target_has_its_own_verdict(rows: list[dict[str, str]]) -> None:
    """Data Designer's bug X2: the second target got the verdict of record 0."""
    checked = column("regex", "a", "b", "c", pattern="x")
    found = validate_targets(
        value_validator(checked.validator_params), rows, checked.target_columns
    )
    for row, verdict in zip(rows, found, strict=True):
        alone = {name: {"is_valid": row[name] == "x"} for name in "abc"}
        assert verdict == {
            "is_valid": all(item["is_valid"] for item in alone.values()),
            **alone,
        }
        assert conform(verdict, verdict_type(checked)) == verdict


def test_one_target_has_the_verdict_itself() -> None:
    checked = column("regex", "a", pattern="x")
    assert validate_targets(
        value_validator(checked.validator_params), [{"a": "x"}], ["a"]
    ) == [{"is_valid": True}]
    assert str(verdict_type(checked)) == "struct<is_valid: bool>"
