import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.config.columns import ExpressionColumn
from sdg_core.errors import CellError
from sdg_core.generators import expressions
from sdg_core.generators.expressions import (
    Dtype,
    cast_text,
    evaluate_cell,
    evaluate_group,
)
from sdg_core.generators.single_precision import python_values
from sdg_core.plan.templates.render import compiled
from tests.support.requirements import LONG

DTYPES: list[Dtype] = ["str", "int", "float", "bool"]
TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=6)
SERIES = {
    pl.String: TEXT
    | st.sampled_from(["", "{{", "}}", "{{ a }}", "3", "true", "\r\n", "\x00"]),
    pl.Int64: st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    pl.UInt64: st.integers(0, 2**64 - 1),
    pl.Int8: st.integers(-128, 127),
    pl.Boolean: st.booleans(),
    pl.Float64: st.floats()
    | st.integers(-(10**7), 10**7).map(lambda n: n / 100)
    | st.integers(0, 2**50).map(lambda n: n / 32)
    | st.integers(0, 2**52).map(lambda n: n / 2**16),
    pl.Float32: st.floats(width=32),
    pl.Date: st.dates(),
    pl.List(pl.Int64): st.lists(st.integers(0, 3), max_size=2),
}
PIECES = st.sampled_from(
    [
        "{{ a }}",
        "{{b}}",
        "{{\n a\t}}",
        "{{- a -}}",
        "{{ a|string }}",
        "{{ b|upper }}",
        "{% if a %}y{% endif %}",
        "{# x #}",
        "{{ a == b }}",
        "{{ c }}",
        "{{ s.f }}",
        "{{ s.inner.g }}",
        "{{ s.absent }}",
        "{{ s.items }}",
        "{{ true }}",
        "{",
        "}",
        "{ {",
        "}}",
        "%}",
        "#}",
        " ",
        "\n",
        "\r\n",
        "$",
        "ü€𝄞",
        "x",
        "'",
        '"',
        "\\",
    ]
)


@st.composite
def columns(draw: st.DrawFn, length: int) -> pl.Series:
    dtype = draw(st.sampled_from(list(SERIES)))
    values = st.none() | SERIES[dtype]
    return pl.Series(
        draw(st.lists(values, min_size=length, max_size=length)), dtype=dtype
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[ExpressionColumn, dict[str, pl.Series], int]:
    length = draw(st.integers(0, 12))
    expr = "".join(draw(st.lists(PIECES, min_size=1, max_size=5)))
    try:
        compiled(expr)
    except ValueError:
        expr = "{{ a }}"
    column = _column(expr, draw(st.sampled_from(DTYPES)))
    frame = {name: draw(columns(length)) for name in ("a", "b")}
    return column, {**frame, "s": draw(structs(length))}, length


@st.composite
def structs(draw: st.DrawFn, length: int) -> pl.Series:
    """A struct column with a field inside a field; sometimes with rows that have no struct at all."""
    inner = pl.DataFrame({"g": draw(columns(length))}).to_struct("inner")
    whole = pl.DataFrame({"f": draw(columns(length)), "inner": inner}).to_struct("s")
    keep = pl.Series(
        draw(st.lists(st.booleans(), min_size=length, max_size=length)),
        dtype=pl.Boolean,
    )
    return (
        whole
        if draw(st.booleans())
        else pl.select(pl.when(keep).then(whole)).to_series().alias("s")
    )


def _column(expr: str, dtype: Dtype = "str") -> ExpressionColumn:
    return ExpressionColumn(name="out", expr=expr, dtype=dtype)


def _cell(column: ExpressionColumn, values: dict[str, Any]) -> tuple[Any, str | None]:
    try:
        return evaluate_cell(column, values), None
    except CellError as error:
        return None, error.message


@settings(max_examples=1500 if LONG else 500, deadline=None)
@given(case=cases())
def test_a_group_gives_what_its_cells_give(
    case: tuple[ExpressionColumn, dict[str, pl.Series], int],
) -> None:
    column, frame, length = case
    group = evaluate_group(column, frame=frame, length=length)
    lists = {name: python_values(series) for name, series in frame.items()}
    cells = [
        _cell(column, {name: values[row] for name, values in lists.items()})
        for row in range(length)
    ]
    assert group.values.to_list() == [value for value, _ in cells]
    assert group.failed == {
        row: reason for row, (_, reason) in enumerate(cells) if reason is not None
    }
    dtypes = {
        "str": pl.String,
        "int": pl.Int64,
        "float": pl.Float64,
        "bool": pl.Boolean,
    }
    assert (group.values.name, group.values.dtype) == ("out", dtypes[column.dtype])


@settings(max_examples=300, deadline=None)
@given(
    repeats=st.integers(1, 4),
    frame=st.tuples(columns(4), columns(4)),
    dtype=st.sampled_from(DTYPES),
)
def test_repeated_values_are_rendered_alike(
    repeats: int, frame: tuple[pl.Series, pl.Series], dtype: Dtype
) -> None:
    column = _column("{{ a|string }}{{ b|string|trim }}", dtype)
    once = evaluate_group(column, frame={"a": frame[0], "b": frame[1]}, length=4)
    duplicates = {
        "a": pl.concat([frame[0]] * repeats),
        "b": pl.concat([frame[1]] * repeats),
    }
    group = evaluate_group(column, frame=duplicates, length=4 * repeats)
    assert group.values.to_list() == once.values.to_list() * repeats
    assert group.failed == {
        4 * turn + row: why
        for turn in range(repeats)
        for row, why in once.failed.items()
    }


@pytest.mark.parametrize(
    "expr",
    ["{{ a }} is {{ b }}", "{{a}}", "text only, {a} and }}", "{{ a }}}", "$ {{\ta\n}}"],
)
def test_plain_joins_take_the_fast_path(
    expr: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = {"a": pl.Series(["x", None]), "b": pl.Series([1.25, None])}
    expected = [
        _cell(_column(expr), {"a": a, "b": b})[0]
        for a, b in (("x", 1.25), (None, None))
    ]
    monkeypatch.setattr(expressions, "_rows", None)
    assert (
        evaluate_group(_column(expr), frame=frame, length=2).values.to_list()
        == expected
    )


def test_fields_take_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    people = pl.Series(
        [
            {"name": "Ada", "home": {"city": "London"}},
            {"name": None, "home": {"city": "Paris"}},
        ]
    )
    monkeypatch.setattr(expressions, "_rows", None)
    group = evaluate_group(
        _column("{{ p.name }} in {{ p.home.city }}"), frame={"p": people}, length=2
    )
    assert group.values.to_list() == ["Ada in London", "None in Paris"]


@pytest.mark.parametrize(
    "expr",
    [
        "{{- a }}",
        "{{ a|upper }}",
        "{{{ a }}",
        "{% set a = 1 %}{{ a }}",
        "{{ true }}",
        "{{ a }}{#",
    ],
)
def test_everything_else_is_left_to_the_engine(expr: str) -> None:
    assert expressions._REFERENCE.search("{{ a }}")
    try:
        template = compiled(expr)
    except ValueError:
        return
    assert expressions._plain_parts(template) is None


def test_a_failing_cell_costs_its_own_record_only() -> None:
    frame = {"a": pl.Series([1, 0, 2])}
    group = evaluate_group(_column("{{ 10 // a }}", "int"), frame=frame, length=3)
    assert group.values.to_list() == [10, None, 5]
    assert group.failed == {1: "invalid operation: unable to calculate 10 // 0"}


def test_only_the_columns_that_are_read_become_python_values() -> None:
    unread = pl.Series([object()], dtype=pl.Object)
    group = evaluate_group(
        _column("{{ a|upper }}"),
        frame={"a": pl.Series(["x"]), "unread": unread},
        length=1,
    )
    assert group.values.to_list() == ["X"]


def test_a_column_that_is_not_there_fails_every_record_with_its_name() -> None:
    group = evaluate_group(_column("{{ b }}"), frame={}, length=2)
    assert group.failed == {0: "undefined value 'b'", 1: "undefined value 'b'"}


def test_an_empty_text_is_a_value() -> None:
    assert evaluate_cell(_column("{{ a }}"), {"a": ""}) == ""
    assert evaluate_group(
        _column("{{ a|trim }}"), frame={"a": pl.Series([" "])}, length=1
    ).values.to_list() == [""]


def test_dates_and_lists_of_seed_data_can_be_read() -> None:
    frame = {"a": pl.Series([datetime.date(2024, 3, 5)]), "b": pl.Series([[1, 2]])}
    group = evaluate_group(
        _column("{{ a }} {{ b[1] }} {{ b|length }}"), frame=frame, length=1
    )
    assert group.values.to_list() == ["2024-03-05 2 2"]


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        (" x ", "str", " x "),
        ("3", "int", 3),
        (" 3 ", "int", 3),
        ("3.0", "int", 3),
        ("-3e2", "int", -300),
        ("9223372036854775807", "int", 2**63 - 1),
        ("-9223372036854775808.0", "int", -(2**63)),
        (" 1.5 ", "float", 1.5),
        ("3", "float", 3.0),
        ("1e-3", "float", 0.001),
        ("True", "bool", True),
        (" yes ", "bool", True),
        ("1", "bool", True),
        ("FALSE", "bool", False),
        ("no", "bool", False),
        ("0", "bool", False),
    ],
)
def test_casts(text: str, dtype: Dtype, value: Any) -> None:
    assert (cast_text(text, dtype), type(cast_text(text, dtype))) == (
        value,
        type(value),
    )


@pytest.mark.parametrize(
    ("text", "dtype", "reason"),
    [
        ("3.5", "int", "'3.5' is not an int"),
        ("", "int", "'' is not an int"),
        ("True", "int", "'True' is not an int"),
        ("nan", "int", "'nan' is not an int"),
        (
            "9223372036854775808",
            "int",
            "'9223372036854775808' does not fit into 64 bits",
        ),
        ("1e999999999", "int", "'1e999999999' does not fit into 64 bits"),
        ("1e-999999999", "int", "'1e-999999999' is not an int"),
        ("9" * 5000, "int", f"'{'9' * 57}...' does not fit into 64 bits"),
        ("x", "float", "'x' is not a float"),
        ("nan", "float", "'nan' is not a finite float"),
        ("1e999", "float", "'1e999' is not a finite float"),
        ("2", "bool", "'2' is not a bool: true, false, yes, no, 1 or 0"),
        ("None", "bool", "'None' is not a bool: true, false, yes, no, 1 or 0"),
    ],
)
def test_casts_that_fail_show_the_text(text: str, dtype: Dtype, reason: str) -> None:
    with pytest.raises(CellError) as caught:
        cast_text(text, dtype)
    assert caught.value.message == reason
