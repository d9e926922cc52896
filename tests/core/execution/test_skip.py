"""Skipping: the same cells are skipped whether columns are computed for a row group at once or record by record, exactly those
that a plain reading of the rules says."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.testing import ModelServer
from tests.support.requirements import LONG
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    stored_records,
    write_config,
)

VALUES = ["x", "no", "1"]


@st.composite
def skipping_columns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Expressions over `a`, `b` and earlier ones, with skips of all sorts."""
    columns: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 6))):
        names = ["a", "b", *(column["name"] for column in columns)]
        reads = draw(
            st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
        )
        column = expression(
            f"e{number}",
            "".join(f"[{{{{ {name} }}}}]" for name in reads),
            drop=draw(st.booleans()),
        )
        if draw(st.booleans()):
            other = draw(st.sampled_from(names))
            when = draw(
                st.sampled_from(
                    [
                        f"{{{{ {other} }}}}",
                        f"{{{{ {other} == 'x' }}}}",
                        f"{{{{ {other} is none }}}}",
                        f"{{{{ {other} }}}}",
                    ]
                )
            )
            column["skip"] = {
                "when": when,
                "value": draw(st.sampled_from([None, "gone", ""])),
            }
        if draw(st.booleans()):
            column["propagate_skip"] = draw(st.booleans())
        columns.append(column)
    return columns


def expected(
    columns: list[dict[str, Any]], given_values: dict[str, Any]
) -> dict[str, Any]:
    """One record by the rules, read one after the other."""
    values = dict(given_values)
    skipped: set[str] = set()
    for column in columns:
        name, skip = column["name"], column.get("skip")
        reads = [part.strip("{} ") for part in column["expr"].strip("[]").split("][")]
        spread = column.get("propagate_skip", True) and any(
            other in skipped for other in reads
        )
        if spread or (skip is not None and _holds(skip["when"], values)):
            skipped.add(name)
            values[name] = skip["value"] if skip is not None else None
        else:
            values[name] = "".join(f"[{values[other]}]" for other in reads)
    return values


def _holds(when: str, values: dict[str, Any]) -> bool:
    inner = when.strip("{} ").split(" ", 1)
    value = values[inner[0]]
    if len(inner) == 2:
        return bool(value == "x" if inner[1] == "== 'x'" else value is None)
    return value is not None and value.lower() not in (
        "",
        "no",
        "none",
        "false",
        "null",
        "0",
        "[]",
    )


@settings(max_examples=40 if LONG else 20, deadline=None)
@given(columns=skipping_columns(), size=st.integers(1, 12))
def test_cells_are_skipped_by_the_rules_on_both_ways(
    columns: list[dict[str, Any]], size: int
) -> None:
    with TemporaryDirectory() as folder:
        for way, first in (
            ("group", [category("b", *VALUES)]),
            ("record", [category("c", *VALUES), {**_cell("b", "c")}]),
        ):
            config = dataset_config(
                category("a", *VALUES),
                *first,
                *columns,
                num_records=12,
                row_group_size=size,
            )
            dataset = open_dataset(
                Path(folder) / f"{way}.yaml",
                {**config, "name": way},
                root=Path(folder),
                functions={"same": _same},
            )
            assert bool(dataset.plan.graph.per_record) is (way == "record")
            api.generate(dataset)
            for row in stored_records(_version(dataset)).values():
                wanted = expected(columns, {"a": row["a"], "b": row["b"]})
                assert {name: row[name] for name in wanted} == wanted


def _same(row: dict[str, Any]) -> Any:
    return next(iter(row.values()))


def _cell(name: str, reads: str) -> dict[str, Any]:
    return {
        "column_type": "custom",
        "name": name,
        "generator_function": "same",
        "required_columns": [reads],
    }


def _version(dataset: api.Dataset) -> Any:
    return dataset.layout.version(dataset.plan.fingerprint.version)


def rows_of(
    folder: Path, *columns: dict[str, Any], functions: Any = None, **top: Any
) -> list[dict[str, Any]]:
    path = write_config(folder / "d.yaml", dataset_config(*columns, **top))
    found = api.preview(path, num_records=12, functions=functions)
    assert not found.failures, found.failures
    return found.table.to_pylist()


async def test_no_model_is_asked_for_a_skipped_cell(tmp_path: Path) -> None:
    async with ModelServer() as server:
        columns = [
            category("plan", "free", "pro"),
            llm(
                "text",
                "write for {{ plan }}",
                skip={"when": "{{ plan == 'free' }}", "value": "none"},
            ),
            llm("more", "go on: {{ text }}"),
            expression("tone", "{{ text }}", propagate_skip=False),
        ]
        config = dataset_config(*columns, endpoint=server.url, num_records=20)
        dataset = open_dataset(tmp_path / "d.yaml", config, root=tmp_path)
        await api.agenerate(dataset)
        rows = list(stored_records(_version(dataset)).values())
        asked = [row for row in rows if row["plan"] == "pro"]
        assert 0 < len(asked) < 20 and len(server.prompts) == 2 * len(asked)
        for row in rows:
            free = row["plan"] == "free"
            assert (
                row["text"] == "none",
                row["more"] is None,
                row["tone"] == "none",
            ) == (
                free,
                free,
                free,
            )


def test_a_condition_that_cannot_be_evaluated_fails_the_record_with_a_reason(
    tmp_path: Path,
) -> None:
    columns = [
        category("a", "1", "x"),
        expression("b", "{{ a }}", skip={"when": "{{ (a | int) > 0 }}"}),
    ]
    for way in ({}, {"c": _cell("c", "a")}):
        more = (
            [expression("b", "{{ c }}", skip={"when": "{{ (a | int) > 0 }}"})]
            if way
            else columns[1:]
        )
        path = write_config(
            tmp_path / "d.yaml", dataset_config(columns[0], *way.values(), *more)
        )
        found = api.preview(path, num_records=12, functions={"same": _same})
        assert found.failures and {row["a"] for row in found.table.to_pylist()} == {"1"}
        assert all(
            failure.column == "b" and failure.message.startswith("skip.when: ")
            for failure in found.failures
        )


def test_a_consumer_that_does_not_skip_finds_null_and_not_nan(tmp_path: Path) -> None:
    """Data Designer's bug X5: the template saw NaN."""
    number = expression("n", "5", dtype="float", skip={"when": "{{ a == 'x' }}"})
    column = expression("text", "C{{ n }}", propagate_skip=False)
    rows = rows_of(tmp_path, category("a", "x", "y"), number, column)
    assert {(row["a"], row["text"]) for row in rows} == {("x", "CNone"), ("y", "C5.0")}


@pytest.mark.parametrize("model", [False, True])
def test_a_validation_column_may_be_skipped(tmp_path: Path, model: bool) -> None:
    """Data Designer's bug X1: the whole row group was dropped."""
    checked = {
        "column_type": "validation",
        "name": "ok",
        "target_columns": ["text"],
        "validator_type": "regex",
        "validator_params": {"pattern": "^y"},
        "skip": {"when": "{{ a == 'x' }}"},
    }
    text = llm("text", "{{ a }}") if model else expression("text", "{{ a }}")
    rows = rows_of(
        tmp_path,
        category("a", "x", "y"),
        text,
        checked,
        expression("after", "{{ ok.is_valid }}"),
    )
    assert len(rows) == 12
    for row in rows:
        wanted = (
            (None, None)
            if row["a"] == "x"
            else ({"is_valid": not model}, str(not model))
        )
        assert (row["ok"], row["after"]) == wanted


def test_a_custom_column_and_its_side_effects_are_skipped_together(
    tmp_path: Path,
) -> None:
    calls: list[str] = []

    def both(row: dict[str, Any]) -> dict[str, Any]:
        calls.append(row["a"])
        return {"c": row["a"].upper(), "side": len(row["a"])}

    custom = {
        "column_type": "custom",
        "name": "c",
        "generator_function": "both",
        "required_columns": ["a"],
        "side_effect_columns": ["side"],
        "side_effect_types": {"side": "int"},
        "skip": {"when": "{{ a == 'x' }}", "value": "-"},
    }
    rows = rows_of(
        tmp_path,
        category("a", "x", "y"),
        custom,
        expression("after", "{{ side }}"),
        functions={"both": both},
    )
    found = {(row["a"], row["c"], row["side"], row["after"]) for row in rows}
    assert found == {("x", "-", None, None), ("y", "Y", 1, "1")} and set(calls) == {"y"}


def test_a_column_that_is_skipped_everywhere_keeps_its_type(tmp_path: Path) -> None:
    column = expression("n", "{{ a }}", dtype="int", skip={"when": "{{ a }}"})
    path = write_config(tmp_path / "d.yaml", dataset_config(category("a", 1), column))
    table = api.preview(path, num_records=3).table
    assert (
        table.column("n").null_count == 3
        and str(table.schema.field("n").type) == "int64"
    )


def test_skipped_columns_may_be_dropped(tmp_path: Path) -> None:
    columns = [
        category("a", "x", "y"),
        expression("b", "{{ a }}", drop=True, skip={"when": "{{ a == 'x' }}"}),
    ]
    dataset = open_dataset(tmp_path / "d.yaml", dataset_config(*columns), root=tmp_path)
    api.generate(dataset)
    for row in stored_records(_version(dataset)).values():
        assert row["b"] == (None if row["a"] == "x" else "y")
    assert dataset.plan.kept_schema.names == ["a"]
