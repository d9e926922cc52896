"""Almost-JSON: what reads in one way is read, what reads in several is asked for again, strict JSON is never touched."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.models.json_repair import NotRepairableError, repair_json
from sdg_core.models.structured import Extracted, InvalidResponseError, extract_json
from sdg_core.testing import ModelServer
from tests.support.sdg import (
    dataset_config,
    llm,
    object_of,
    open_dataset,
    stored_records,
    structured,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NESTED = JSON.filter(lambda value: isinstance(value, dict | list))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": [1, 2,],}', {"a": 1, "b": [1, 2]}),
        (
            "{'a': 'x', 'b': 'it's', 'c': \"it's\"}",
            {"a": "x", "b": "it's", "c": "it's"},
        ),
        ('{a: 1, b_c: "x", $d: {e-f: 2}}', {"a": 1, "b_c": "x", "$d": {"e-f": 2}}),
        ('{"a": True, "b": None, "c": [False]}', {"a": True, "b": None, "c": [False]}),
        ('{"a": 1, // one\n "b": 2, # two\n "c": /* 3 */ 4}', {"a": 1, "b": 2, "c": 4}),
        ('{"url": "http://x#y", "n": 1,}', {"url": "http://x#y", "n": 1}),
        ('{"a": "one\nline", "b": "a\ttab"}', {"a": "one\nline", "b": "a\ttab"}),
        ('{"a": "she said "hi" to me", "b": 2}', {"a": 'she said "hi" to me', "b": 2}),
        (
            '{"a": "\\alpha, \\\'x\\\', \\u00e9, \\ud83d\\ude00"}',
            {"a": "\\alpha, 'x', é, 😀"},
        ),
        ('{"a": .5, "b": +1, "c": 1.}', {"a": 0.5, "b": 1, "c": 1.0}),
        ("{“a”: “x”}", {"a": "x"}),
        ('{"a": 1\n "b": 2}', {"a": 1, "b": 2}),
        ('{"a": 1, "b": [1, 2', {"a": 1, "b": [1, 2]}),
        ('[{"a": 1}, {"a": 2}', [{"a": 1}, {"a": 2}]),
        ('Here:\n```json\n{"a": 1,}\n```\nAnything else?', {"a": 1}),
        ("```json\n{'a': 1", {"a": 1}),
        ("I think {a: 1, b: [2]} will do.", {"a": 1, "b": [2]}),
        ("{'a': {\"b\": 1}}", {"a": {"b": 1}}),
    ],
)
def test_read_as_it_is_meant(text: str, value: Any) -> None:
    assert extract_json(text, finish_reason="stop") == Extracted(value, repaired=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "cut o',
        '{"a": [1], "b":',
        '{"a": [1], "b',
        '{"a": hello}',
        '{"a": 1 "b": 2}',
        '{"a": 007}',
        '{"a": [1,, 2]}',
        '{"a": "b"]',
        '{"a": "she said "no", "b": 1}',
        '{"list": ["x", "y",\n...]}',
        "{name} and {other name}",
    ],
)
def test_what_reads_in_several_ways_is_not_repaired(text: str) -> None:
    with pytest.raises(InvalidResponseError):
        extract_json(text, finish_reason="stop")


def test_what_max_tokens_cut_off_is_not_closed() -> None:
    with pytest.raises(InvalidResponseError, match="max_tokens") as caught:
        extract_json('{"a": 1, "b": [1, 2', finish_reason="length")
    assert caught.value.truncated


@given(NESTED)
def test_strict_json_is_read_as_it_is(value: Any) -> None:
    text = orjson.dumps(value).decode()
    assert repair_json(text) == (value, len(text))
    assert extract_json(text) == Extracted(value)


@given(NESTED)
def test_json_as_python_writes_it(value: Any) -> None:
    # JSON has no two-digit escapes
    text = re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", repr(value))
    if "\\U" not in text:
        assert repair_json(text)[0] == value


@given(st.text(alphabet="{}[]\"':,\\/#*\n a1.-tT“”"))
def test_any_text_is_read_or_refused(text: str) -> None:
    for start in (place for place, character in enumerate(text) if character in "{["):
        try:
            _, end = repair_json(text, start)
        except NotRepairableError:
            continue
        assert start < end <= len(text)


@pytest.mark.parametrize(
    ("reply", "made"), [("{'age': 36, /* so */}", 3), ("{age: 'old',}", 0)]
)
async def test_a_run_takes_a_repaired_reply_of_its_schema_and_counts_it(
    reply: str, made: int, tmp_path: Path
) -> None:
    column = structured("person", "Describe somebody.", object_of(age="integer"))
    async with ModelServer(
        message=lambda body: {"role": "assistant", "content": reply}
    ) as server:
        config = dataset_config(llm("x", "x"), endpoint=server.url) | {
            "columns": [column],
            "num_records": 3,
        }
        dataset = open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "data")
        await api.agenerate(dataset)
    status = api.status(dataset)
    assert (status.records, status.failed) == (made, 3 - made)
    assert status.usage.get("writer", {}).get("repaired", 0) == made
    rows = (
        stored_records(dataset.layout.version(status.version)).values() if made else ()
    )
    assert [row["person"] for row in rows] == [{"age": 36}] * made
