"""Scalars of YAML 1.2's core schema, and JSON files as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.yaml_document import (
    DocumentSyntaxError,
    dump_document,
    parse_document,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10:30", "10:30"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("0x1F", 31),
        ("0o14", 12),
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("-0", 0),
        ("0", 0),
        ("0.5", 0.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("+12", 12),
        ("=", "="),
        ("12e", "12e"),
        ("1.2.3", "1.2.3"),
        ("2024-01-05", "2024-01-05"),
        ('"02144"', "02144"),
        (".inf", float("inf")),
        ("yes", True),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    found = parse_document(f"v: {text}").data["v"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", ["02144", "-007", "010.5"])
def test_leading_zeros_are_refused_with_the_cure(text: str) -> None:
    with pytest.raises(DocumentSyntaxError, match="quote it") as raised:
        parse_document(f"a: 1\nv: {text}")
    assert raised.value.line == 2


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_a_json_file_is_read_as_json_whatever_wrote_it(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps({"v": value}, indent=indent, ensure_ascii=ascii_only)
    document = parse_document(text, is_json=True)
    assert document.data == {"v": value}
    assert set(document.lines) == set(paths({"v": value}))


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        path,
        *(found for key, part in inner for found in paths(part, (*path, key))),
    ]


def test_lines_of_json() -> None:
    document = parse_document('{\n "a": [1,\n  {"b": 2}],\n "c": {}\n}', is_json=True)
    assert {path: line for path, line in document.lines.items() if path} == {
        ("a",): 2,
        ("a", 0): 2,
        ("a", 1): 3,
        ("a", 1, "b"): 3,
        ("c",): 4,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "given twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": "\\ud83d"}', "a lone surrogate"),
        ("{", "not JSON"),
        ('{"a": 1,}', "not JSON"),
    ],
)
def test_faults_of_json(text: str, message: str) -> None:
    with pytest.raises(DocumentSyntaxError, match=message):
        parse_document(text, is_json=True)


LIKE_NUMBERS = st.text("0123456789+-._eExXobn", min_size=1, max_size=6)


@given(
    st.lists(
        st.one_of(
            LIKE_NUMBERS,
            st.text(),
            st.sampled_from(["1e3", "0o17", "08", "yes", "null", "=", "2024-01-05"]),
            st.integers(),
            st.floats(allow_nan=False),
            st.booleans(),
        )
    )
)
def test_what_is_written_is_read_back(values: list[Any]) -> None:
    texts = [value for value in values if isinstance(value, str)]
    data = {"values": values, "nested": [dict.fromkeys(texts, 1)]}
    found = parse_document(dump_document(data)).data
    assert found == data
    assert [*map(type, found["values"])] == [*map(type, values)]
