"""What deduplication takes for equal, of values of every type, and which record stays: as a plain comparison says."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.config.processors import DeduplicateProcessor, FilterProcessor
from sdg_core.errors import ConfigError, FilterError
from sdg_core.processing.row_processors import RowProcessors, open_row_processors
from tests.support.sdg import dataset_config, open_dataset, uuid

NAN = float("nan")
INF = float("inf")


def processors(**given_: Any) -> RowProcessors:
    processor = DeduplicateProcessor.model_validate(
        {"name": "same", "columns": ["value"], **given_}
    )
    return open_row_processors(
        [processor],
        open_source=lambda source: pytest.fail("there is no evaluation set"),
    )


def kept(
    table: pa.Table, *, batches: list[list[int]] | None = None, **given_: Any
) -> list[int]:
    """The records that stay, by their place in the table, whose rows come in these batches."""
    steps = processors(**given_)
    parts = batches if batches is not None else [[*range(table.num_rows)]]
    read = [
        (
            pl.Series(part, dtype=pl.Int64).to_numpy(),
            table.take(pa.array(part, pa.int64())),
        )
        for part in parts
    ]
    steps.prepare(lambda columns: iter(read))
    stays: list[int] = []
    for ids, rows in read:
        *_, (left, _, _) = steps.apply(ids, rows)
        stays += left.tolist()
    return sorted(stays)


@pytest.mark.parametrize(
    ("values", "kind", "stay"),
    [
        ([0.0, -0.0, 1.0], pa.float64(), [0, 2]),
        ([NAN, INF, -INF, NAN, INF, None, None], pa.float64(), [0, 1, 2, 5, 6]),
        ([0.1, 0.1, 0.2], pa.float32(), [0, 2]),
        ([2**53, 2**53 + 1, 2**53], pa.int64(), [0, 1]),
        (
            [[0.0], [-0.0], [NAN], [NAN], [None], [], [], None],
            pa.list_(pa.float64()),
            [0, 2, 4, 5, 7],
        ),
        ([["a", "b"], ["b", "a"], ["A", "b"]], pa.list_(pa.string()), [0, 1]),
        ([["a b"], ["a", "b"], ['a", "b']], pa.list_(pa.string()), [0, 1, 2]),
        (
            [
                {"a": 1, "b": None},
                {"a": 1, "b": None},
                {"a": 1, "b": "null"},
                {"a": 1, "b": "None"},
            ],
            None,
            [0, 2, 3],
        ),
        (
            [
                {"x": {"y": [0.0]}},
                {"x": {"y": [-0.0]}},
                {"x": {"y": None}},
                {"x": None},
            ],
            None,
            [0, 2, 3],
        ),
        ([b"a", b"a", b"\xff"], pa.binary(), [0, 2]),
        ([True, False, True], pa.bool_(), [0, 1]),
        (["null", None, "", " ", "NULL"], pa.string(), [0, 1, 2]),
        (["Straße", "STRASSE", "strasse"], pa.string(), [0, 1]),
    ],
)
def test_values_are_equal_where_they_say_the_same(
    values: list[Any], kind: pa.DataType | None, stay: list[int]
) -> None:
    assert kept(pa.table({"value": pa.array(values, kind)})) == stay


def test_columns_are_compared_one_by_one() -> None:
    rows = [
        ("a b", "c"),
        ("a", "b c"),
        ("a b", "C"),
        (None, "c"),
        ("", "c"),
        (None, None),
        (None, None),
    ]
    table = pa.table(
        {"value": [row[0] for row in rows], "other": [row[1] for row in rows]}
    )
    assert kept(table, columns=["value", "other"]) == [0, 1, 3, 4, 5, 6], (
        "a record of which nothing is known stays"
    )


VALUES = st.one_of(
    st.lists(st.sampled_from([0.0, -0.0, NAN, INF, -INF, None, 1.5]), max_size=9),
    st.lists(st.sampled_from(["a", "A ", "b", None, "", "nan", "null"]), max_size=9),
    st.lists(
        st.sampled_from(
            [{"a": 1.0}, {"a": NAN}, {"a": None}, None, {"a": -0.0}, {"a": 0.0}]
        ),
        max_size=9,
    ),
)


def plain(value: Any) -> Any:
    """What stands for a value: equal for equal ones only."""
    if isinstance(value, dict):
        return {name: plain(child) for name, child in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return " ".join(value.lower().split()) if isinstance(value, str) else value


@given(values=VALUES, keep=st.sampled_from(["first", "last", "best"]), data=st.data())
def test_who_stays_is_what_a_plain_comparison_says_in_any_order_and_batches(
    values: list[Any], keep: str, data: st.DataObject
) -> None:
    scores = data.draw(
        st.lists(
            st.sampled_from([None, NAN, 0.0, 1.0]),
            min_size=len(values),
            max_size=len(values),
        )
    )
    table = pa.table(
        {"value": pa.array(values), "score": pa.array(scores, pa.float64())}
    )
    order = data.draw(st.permutations(range(len(values))))
    size = data.draw(st.integers(1, 10))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    groups: list[list[int]] = []
    for place, value in enumerate(values):
        same = [
            group
            for group in groups
            if value is not None and plain(values[group[0]]) == plain(value)
        ]
        if same:
            same[0].append(place)
        else:
            groups.append([place])

    def score(place: int) -> float:
        found = scores[place]
        return -INF if found is None or math.isnan(found) else found

    expected = {
        "first": [min(group) for group in groups],
        "last": [max(group) for group in groups],
        "best": [
            min(group, key=lambda place: (-score(place), place)) for group in groups
        ],
    }[keep]
    more = {"score": "score"} if keep == "best" else {}
    assert kept(table, batches=batches, keep=keep, **more) == sorted(expected)


@pytest.mark.parametrize(
    ("scores", "score", "stays"),
    [
        ([None, True, False], "score", 1),
        ([None, -5.0, None], "{{ score }}", 1),
        ([{"q": 1}, {"q": 3}, None], "score.q", 1),
        ([None, None, None], "score", 0),
        ([3, None, 2], "{{ 4 if score is none else score }}", 1),
    ],
)
def test_the_best_by_scores_that_are_absent_or_no_numbers(
    scores: list[Any], score: str, stays: int
) -> None:
    table = pa.table({"value": ["a", "a", "a"], "score": scores})
    assert kept(table, keep="best", score=score) == [stays]


def test_a_condition_that_null_stands_in_the_way_of_leaves_the_record_out_with_that_reason() -> (
    None
):
    processor = FilterProcessor(name="good", keep="{{ score.q >= 4 }}")
    steps = open_row_processors(
        [processor],
        open_source=lambda source: pytest.fail("there is no evaluation set"),
    )
    table = pa.table({"score": [{"q": 5}, None, {"q": 3}]})
    left_out, (stays, _, _) = steps.apply(pl.Series([7, 8, 9]).to_numpy(), table)
    assert stays.tolist() == [7] and left_out[0].tolist() == [8, 9]
    assert str(left_out[2][0]).startswith(
        "not true: {{ score.q >= 4 }} ("
    ) and left_out[2][1] == ("not true: {{ score.q >= 4 }}")
    broken = open_row_processors(
        [FilterProcessor(name="good", keep="{{ 1 // score.q }}")],
        open_source=lambda source: pytest.fail("none"),
    )
    with pytest.raises(FilterError, match="processor 'good': record 0: "):
        list(broken.apply(pl.Series([0]).to_numpy(), pa.table({"score": [{"q": 0}]})))


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (
            {"processor_type": "filter", "column": "n"},
            r"\.column: 'n' holds int, but quality rules judge texts",
        ),
        (
            {"processor_type": "filter", "column": "v"},
            r"\.column: 'v' holds list.*quality rules judge texts",
        ),
        (
            {"method": "embedding", "columns": ["t"]},
            r"\.columns\[0\]: 't' holds str, but method embedding compares",
        ),
        ({"method": "embedding", "columns": ["n"]}, r"\.columns\[0\]: 'n' holds int"),
        (
            {"method": "embedding", "columns": ["w"]},
            r"\.columns\[0\]: 'w' holds list<\w+: string>",
        ),
    ],
)
def test_a_column_of_the_wrong_kind_is_found_before_anything_is_made(
    tmp_path: Path, processor: dict[str, Any], message: str
) -> None:
    pl.DataFrame({"n": [1], "t": ["a"], "v": [[1.0]], "w": [["a"]]}).write_parquet(
        tmp_path / "seed.parquet"
    )
    quality = (
        {"quality": [{"rule": "words", "at_least": 1}]} if "column" in processor else {}
    )
    config = dataset_config(
        uuid(),
        seed_config={"source": {"path": "seed.parquet"}},
        processors=[
            {"processor_type": "deduplicate", "name": "p", **processor, **quality}
        ],
    )
    with pytest.raises(ConfigError, match=rf"processors\[0\]{message}"):
        open_dataset(tmp_path / "a.yaml", config, root=tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_lists_of_numbers_are_vectors(tmp_path: Path) -> None:
    pl.DataFrame({"v": [[1, 0], [2, 0], [0, 1]]}).write_parquet(
        tmp_path / "seed.parquet"
    )
    same = {
        "processor_type": "deduplicate",
        "name": "p",
        "method": "embedding",
        "columns": ["v"],
    }
    seed = {"source": {"path": "seed.parquet"}}
    config = dataset_config(uuid(), seed_config=seed, num_records=3, processors=[same])
    dataset = open_dataset(tmp_path / "a.yaml", config, root=tmp_path / "root")
    api.generate(dataset)
    assert api.process(dataset).num_rows == 2
