"""When a `skip.when` is true, and which values a skipped cell may hold."""

import pytest

from sdg_core.config.columns import (
    CustomColumn,
    ExpressionColumn,
    LlmTextColumn,
    SkippableColumn,
    ValidationColumn,
)
from sdg_core.plan.templates.render import RenderError, compiled
from sdg_core.plan.templates.skip import is_true, skip_value, truth_template


def truth(when: str, **values: object) -> bool:
    return is_true(compiled(truth_template(when)).render(values))


@pytest.mark.parametrize(
    ("when", "values", "expected"),
    [
        ("{{ a }}", {"a": True}, True),
        ("{{ a }}", {"a": False}, False),
        ("{{ a }}", {"a": 0}, False),
        ("{{ a }}", {"a": 0.0}, False),
        ("{{ a }}", {"a": 2}, True),
        ("{{ a }}", {"a": None}, False),
        ("{{ a }}", {"a": []}, False),
        ("{{ a }}", {"a": [0]}, True),
        ("{{ a }}", {"a": {}}, False),
        ("{{ a }}", {"a": {"x": 1}}, True),
        ("{{ a }}", {"a": ""}, False),
        ("{{ a }}", {"a": "  "}, False),
        ("{{ a }}", {"a": "no"}, False),
        ("{{ a }}", {"a": "No"}, False),
        ("{{ a }}", {"a": "false"}, False),
        ("{{ a }}", {"a": "None"}, False),
        ("{{ a }}", {"a": "0.0"}, False),
        ("{{ a }}", {"a": "yes"}, True),
        ("{{ a }}", {"a": "nothing"}, True),
        ("{{ a }}", {"a": "nan"}, True),
        ("{{ a == 'x' }}", {"a": "x"}, True),
        ("{{ a == 'x' }}", {"a": "y"}, False),
        ("{{ a > 2 and b }}", {"a": 3, "b": "no"}, False),
        ("{{- a -}}", {"a": 0}, False),
        (" {{ not a }}\n", {"a": ""}, True),
        ("{{ a }}{{ b }}", {"a": "", "b": ""}, False),
        ("{{ a }}{{ b }}", {"a": 0, "b": 0}, False),
        ("{{ a }} or {{ b }}", {"a": "", "b": ""}, True),
        ("{% if a %}yes{% endif %}", {"a": 1}, True),
        ("{% if a %}yes{% endif %}", {"a": 0}, False),
        ("{{ '}}' if a else '' }}", {"a": 0}, False),
        ("{{ {'x': {'y': a}}.x.y }}", {"a": 0}, False),
        ("{{ a is none }}", {"a": None}, True),
    ],
)
def test_truth_is_that_of_the_value(
    when: str, values: dict[str, object], expected: bool
) -> None:
    assert truth(when, **values) is expected


def test_what_is_undefined_is_an_error_and_not_true() -> None:
    with pytest.raises(RenderError):
        truth("{{ a.b }}", a={})


def expression(dtype: str, value: object) -> SkippableColumn:
    return ExpressionColumn.model_validate(
        {
            "name": "c",
            "expr": "{{ a }}",
            "dtype": dtype,
            "skip": {"when": "{{ a }}", "value": value},
        }
    )


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("str", "x", "x"),
        ("str", "", ""),
        ("str", 5, "5"),
        ("int", 5, 5),
        ("int", "5", 5),
        ("int", 5.0, 5),
        ("int", 2**62 + 1, 2**62 + 1),
        ("int", str(2**62 + 1), 2**62 + 1),
        ("float", 1, 1.0),
        ("float", "1.5", 1.5),
        ("bool", "no", False),
        ("bool", True, True),
        ("bool", 0, False),
        ("int", None, None),
    ],
)
def test_the_value_of_an_expression_is_coerced(
    dtype: str, value: object, expected: object
) -> None:
    found = skip_value(expression(dtype, value))
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int", "x"),
        ("int", 1.5),
        ("int", True),
        ("int", "nan"),
        ("int", "1e400"),
        ("float", "inf"),
        ("float", "x"),
        ("bool", "maybe"),
        ("bool", 2),
    ],
)
def test_a_value_that_is_none_of_the_dtype_is_refused(
    dtype: str, value: object
) -> None:
    with pytest.raises(ValueError, match=f"is not of dtype {dtype}"):
        skip_value(expression(dtype, value))


def test_the_value_of_other_columns_has_their_type() -> None:
    skip = {"when": "{{ a }}", "value": "none given"}
    text = LlmTextColumn.model_validate(
        {"name": "c", "prompt": "x", "model_alias": "w", "skip": skip}
    )
    assert skip_value(text) == "none given"
    number = {
        "name": "c",
        "generator_function": "m:f",
        "output_type": "int",
        "skip": skip,
    }
    with pytest.raises(ValueError, match="is str, not int"):
        skip_value(CustomColumn.model_validate(number))
    verdict = {
        "name": "c",
        "target_columns": ["a"],
        "validator_type": "regex",
        "validator_params": {"pattern": "x"},
        "skip": {"when": "{{ a }}", "value": True},
    }
    with pytest.raises(ValueError, match="is bool, not struct"):
        skip_value(ValidationColumn.model_validate(verdict))
