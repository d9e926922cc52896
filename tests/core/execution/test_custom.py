"""Custom columns in a run: per record and whole, sync and async, with side effects, models, wrong answers, and changed rows."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdg_core import api
from sdg_core.errors import FunctionError, IncompleteError
from sdg_core.store.failures import read_failures
from sdg_core.store.row_group_state import RowGroupState
from sdg_core.store.row_groups import read_dropped, read_footer, read_rows
from sdg_core.testing import ModelServer
from tests.support.requirements import PATIENCE
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    stored_records,
    uuid,
    write_config,
)


def custom(
    name: str = "c",
    function: str = "f",
    *,
    reads: tuple[str, ...] = ("a",),
    **more: Any,
) -> dict[str, Any]:
    column = {
        "column_type": "custom",
        "name": name,
        "generator_function": function,
        "version": 1,
    }
    return {**column, "required_columns": list(reads), **more}


def whole(name: str = "c", function: str = "f", **more: Any) -> dict[str, Any]:
    return custom(name, function, generation_strategy="full_column", **more)


def opened(
    folder: Path,
    *columns: dict[str, Any],
    root: str = "root",
    functions: dict[str, Any],
    **top: Any,
) -> api.Dataset:
    config = dataset_config(*columns, **top)
    return open_dataset(
        folder / "d.yaml", config, root=folder / root, functions=functions
    )


def version_of(dataset: api.Dataset) -> Any:
    return dataset.layout.version(dataset.plan.fingerprint.version)


def stored(dataset: api.Dataset) -> dict[int, dict[str, Any]]:
    return stored_records(version_of(dataset))


def table_of(dataset: api.Dataset) -> list[dict[str, Any]]:
    version = version_of(dataset)
    return [
        row
        for i in version.existing_row_groups()
        for row in read_rows(version.row_group(i)).to_pylist()
    ]


def failures_of(dataset: api.Dataset) -> list[Any]:
    version = version_of(dataset)
    return [
        item
        for i in version.existing_row_groups()
        for item in read_failures(version.failure_list(i))
    ]


A = category("a", "x", "yy")


async def _later(row: dict[str, Any]) -> int:
    await asyncio.sleep(0)
    return len(row["a"])


@pytest.mark.parametrize(
    "function", [lambda row: len(row["a"]), _later], ids=["sync", "async"]
)
def test_functions_of_a_record(tmp_path: Path, function: Callable[..., Any]) -> None:
    columns = [A, custom(output_type="int"), expression("after", "{{ c }}!")]
    dataset = opened(tmp_path, *columns, functions={"f": function})
    summary = api.generate(dataset)
    assert (summary.generated, summary.failed) == (25, 0)
    assert all(
        (row["c"], row["after"]) == (len(row["a"]), f"{len(row['a'])}!")
        for row in stored(dataset).values()
    )


def test_functions_that_are_not_async_neither_block_nor_wait_for_each_other(
    tmp_path: Path,
) -> None:
    meeting = threading.Barrier(8, timeout=PATIENCE)

    def meet(row: dict[str, Any]) -> str:
        meeting.wait()
        return threading.current_thread().name

    dataset = opened(tmp_path, A, custom(), functions={"f": meet}, num_records=8)
    api.generate(dataset)
    names = {row["c"] for row in stored(dataset).values()}
    assert len(names) == 8 and all(name.startswith("sdg-custom") for name in names)


def test_a_function_sees_what_it_declares_and_only_copies_of_it(tmp_path: Path) -> None:
    seen: list[Any] = []

    def spoil(row: dict[str, Any]) -> list[int]:
        seen.append(sorted(row))
        row["numbers"].append(9)
        return row["numbers"]  # type: ignore[no-any-return]

    def numbers(row: dict[str, Any]) -> list[int]:
        return [1]

    columns = [
        A,
        custom("numbers", "numbers", reads=(), output_type=["int"]),
        custom("c", reads=("numbers",), output_type=["int"]),
    ]
    dataset = opened(tmp_path, *columns, functions={"f": spoil, "numbers": numbers})
    api.generate(dataset)
    assert seen == [["numbers"]] * 25
    assert {
        (tuple(row["numbers"]), tuple(row["c"])) for row in stored(dataset).values()
    } == {((1,), (1, 9))}


def test_a_row_may_be_returned_with_the_column_and_its_side_effects(
    tmp_path: Path,
) -> None:
    def row_back(
        row: dict[str, Any], generator_params: dict[str, Any]
    ) -> dict[str, Any]:
        row["c"] = row["a"] * generator_params["times"]
        row["size"] = len(row["c"])
        return row

    column = custom(
        side_effect_columns=["size"],
        side_effect_types={"size": "int"},
        generator_params={"times": 3},
        drop=True,
    )
    dataset = opened(
        tmp_path,
        expression("after", "{{ size }}"),
        A,
        column,
        functions={"f": row_back},
    )
    api.generate(dataset)
    assert dataset.plan.schema.names == ["after", "a", "c", "size"]
    assert all(
        (row["c"], row["size"], row["after"])
        == (row["a"] * 3, len(row["a"]) * 3, str(len(row["a"]) * 3))
        for row in stored(dataset).values()
    )


def _raise(error: BaseException) -> Callable[..., Any]:
    def function(row: dict[str, Any]) -> Any:
        if row["a"] == "x":
            raise error
        return "fine"

    return function


def _return(value: Any) -> Callable[..., Any]:
    return lambda row: value if row["a"] == "x" else "fine"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_raise(ValueError("no luck")), "raised ValueError: no luck"),
        (_raise(KeyError("b")), "raised KeyError: 'b'"),
        (_raise(StopIteration()), "StopIteration"),
        (_raise(SystemExit(3)), "raised SystemExit: 3"),
        (_return(5), "returned for 'c': 5 is int, not str; declare output_type"),
        (_return({"x": 1}), "is dict, not str"),
        (_return("\ud800"), "a lone surrogate"),
        (
            _return({"c": "v", "other": 1}),
            "returned 'other', which is neither its column nor declared",
        ),
    ],
)
def test_a_function_that_fails_costs_its_record(
    tmp_path: Path, function: Callable[..., Any], message: str
) -> None:
    dataset = opened(
        tmp_path, A, custom(), functions={"f": function}, run={"max_failure_rate": 1.0}
    )
    summary = api.generate(dataset)
    rows, failures = stored(dataset), failures_of(dataset)
    assert summary.failed == len(failures) == 25 - len(rows) > 0
    assert {row["a"] for row in rows.values()} == {"yy"}
    assert all(
        (f.kind, f.column) == ("custom", "c") and message in f.message for f in failures
    ), failures[0]


@pytest.mark.parametrize(
    ("returned", "message"),
    [("v", "expected a mapping with c, extra"), ({"c": "v"}, "did not return 'extra'")],
)
def test_side_effects_have_to_be_returned(
    tmp_path: Path, returned: Any, message: str
) -> None:
    column = custom(side_effect_columns=["extra"])
    dataset = opened(
        tmp_path,
        A,
        column,
        functions={"f": lambda row: returned},
        run={"max_failure_rate": 1.0},
    )
    api.generate(dataset)
    assert message in failures_of(dataset)[0].message


async def test_a_function_asks_models_like_a_column_does(tmp_path: Path) -> None:
    def ask(row: dict[str, Any], generator_params: Any, models: Any) -> str:
        text, trace = models["writer"].generate(
            f"{row['id']} sync", parser=str.upper, system_prompt="be brief"
        )
        assert [turn["role"] for turn in trace] == ["system", "user", "assistant"]
        return str(text)

    async def ask_async(row: dict[str, Any], generator_params: Any, models: Any) -> str:
        return str((await models["writer"].agenerate(f"{row['id']} async"))[0])

    async with ModelServer() as server:
        columns = [
            uuid(),
            custom("c", "f", reads=("id",), model_aliases=["writer"]),
            custom("d", "g", reads=("id",), model_aliases=["writer"]),
        ]
        config = dataset_config(
            *columns, llm("t", "{{ id }} column"), endpoint=server.url
        )
        dataset = open_dataset(
            tmp_path / "d.yaml",
            config,
            root=tmp_path,
            functions={"f": ask, "g": ask_async},
        )
        summary = await api.agenerate(dataset)
        assert summary.failed == 0, failures_of(dataset)
        rows = stored(dataset)
        assert sorted(server.prompts) == sorted(
            f"{row['id']} {way}"
            for row in rows.values()
            for way in ("sync", "async", "column")
        )
        assert all(
            row["c"].isupper() or row["c"] == row["c"].upper() for row in rows.values()
        )
        footer = read_footer(version_of(dataset).row_group(0))
        assert footer.usage["writer"]["requests"] == 30


def test_what_a_whole_column_function_asks_counts_for_its_column(
    tmp_path: Path,
) -> None:
    def ask(df: pl.DataFrame, generator_params: Any, models: Any) -> pl.DataFrame:
        return df.with_columns(
            c=pl.Series([str(models["writer"].generate(text)[0]) for text in df["a"]])
        )

    dataset = opened(
        tmp_path,
        A,
        whole(model_aliases=["writer"]),
        llm("t", "x"),
        functions={"f": ask},
    )
    api.generate(dataset)
    usage = api.status(dataset).usage_by_column
    assert {name: counts["writer"]["requests"] for name, counts in usage.items()} == {
        "c": 25,
        "t": 25,
    }


def test_an_undeclared_model_is_named(tmp_path: Path) -> None:
    def ask(row: dict[str, Any], generator_params: Any, models: Any) -> str:
        return str(models["writer"].generate("x"))

    columns = [A, custom(), llm("t", "x")]
    dataset = opened(
        tmp_path, *columns, functions={"f": ask}, run={"max_failure_rate": 1.0}
    )
    api.generate(dataset)
    assert (
        "is not among model_aliases of column 'c' (none)"
        in failures_of(dataset)[0].message
    )


def test_records_of_a_simulated_model_do_not_depend_on_the_way(tmp_path: Path) -> None:
    def ask(row: dict[str, Any], generator_params: Any, models: Any) -> str:
        return str(models["writer"].generate("the same for all")[0])

    columns = [A, custom(model_aliases=["writer"]), llm("t", "x")]
    found = []
    for size in (4, 25):
        dataset = opened(
            tmp_path,
            *columns,
            root=f"r{size}",
            functions={"f": ask},
            row_group_size=size,
        )
        api.generate(dataset)
        found.append(stored(dataset))
    assert found[0] == found[1] and len({row["c"] for row in found[0].values()}) > 1


# --- whole columns ----------------------------------------------------------------------------------------------------


def _upper(df: pl.DataFrame) -> pl.DataFrame:
    return df.with_columns(c=pl.col("a").str.to_uppercase())


async def _upper_later(df: pl.DataFrame) -> pl.DataFrame:
    await asyncio.sleep(0)
    return _upper(df).select("c")


@pytest.mark.parametrize("function", [_upper, _upper_later])
@pytest.mark.parametrize("after_model", [False, True])
def test_functions_of_a_whole_column(
    tmp_path: Path, function: Callable[..., Any], after_model: bool
) -> None:
    columns = [A, whole(), expression("after", "{{ c }}!")]
    if after_model:
        columns = [
            category("b", "x", "yy"),
            llm("a", "{{ b }}"),
            *columns[1:],
            llm("last", "{{ after }}"),
        ]
    dataset = opened(tmp_path, *columns, functions={"f": function})
    assert dataset.plan.graph.phases == 1 + after_model
    summary = api.generate(dataset)
    rows = stored(dataset)
    assert (summary.generated, len(rows)) == (25, 25)
    assert all(
        (row["c"], row["after"]) == (row["a"].upper(), f"{row['a'].upper()}!")
        for row in rows.values()
    )


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda df: df.head(3).with_columns(c=pl.lit("x")),
            "column 'c': f returned 3 rows, 10 expected",
        ),
        (lambda df: df, "did not return the column 'c'; it returned a"),
        (lambda df: df.to_dicts(), "returned list, not a polars DataFrame"),
        (lambda df: df.select("gone"), "raised ColumnNotFoundError"),
        (
            lambda df: df.with_columns(c=pl.lit(1.5)),
            "returned for 'c': 1.5 is float, not str",
        ),
        (lambda df: 1 / 0, "column 'c': f raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_whole_column_that_fails_stops_the_run(
    tmp_path: Path, function: Callable[..., Any], message: str
) -> None:
    dataset = opened(tmp_path, A, whole(), functions={"f": function})
    with pytest.raises(FunctionError) as caught:
        api.generate(dataset)
    assert message in str(caught.value)
    assert not version_of(dataset).existing_row_groups()


def test_failing_later_keeps_the_row_groups_that_are_finished(tmp_path: Path) -> None:
    calls: list[int] = []

    def fail_later(df: pl.DataFrame) -> pl.DataFrame:
        calls.append(df.height)
        if len(calls) == 2:
            raise ValueError("not today")
        return _upper(df)

    dataset = opened(tmp_path, A, whole(), functions={"f": fail_later})
    with pytest.raises(FunctionError, match="not today"):
        api.generate(dataset)
    assert version_of(dataset).existing_row_groups() == [0]
    summary = api.generate(dataset)
    assert (summary.adopted, summary.generated) == (1, 15) and len(
        stored(dataset)
    ) == 25


def test_failed_and_skipped_records_are_not_shown_to_functions(tmp_path: Path) -> None:
    sizes: list[tuple[int, ...]] = []

    def count(df: pl.DataFrame) -> pl.DataFrame:
        sizes.append(tuple(df["n"].to_list()))
        return df.select(c=pl.col("n") * 2, side=pl.col("n") + 0.5)

    columns = [
        category("a", "1", "2", "x"),
        expression("n", "{{ a }}", dtype="int"),
        whole(
            reads=("n",),
            output_type="int",
            side_effect_columns=["side"],
            side_effect_types={"side": "float"},
            skip={"when": "{{ n == 1 }}", "value": -1},
        ),
    ]
    dataset = opened(
        tmp_path, *columns, functions={"f": count}, run={"max_failure_rate": 1.0}
    )
    api.generate(dataset)
    assert all(set(size) == {2} for size in sizes)
    found = {(row["n"], row["c"], row["side"]) for row in stored(dataset).values()}
    assert found == {(1, -1, None), (2, 4, 2.5)}
    assert {f.column for f in failures_of(dataset)} == {"n"}


def test_a_function_that_reads_nothing_gets_the_record_index(tmp_path: Path) -> None:
    dataset = opened(
        tmp_path,
        A,
        whole(reads=(), output_type="int"),
        functions={"f": lambda df: df.select(c="record_index")},
    )
    api.generate(dataset)
    assert [row["c"] for row in stored(dataset).values()] == list(range(25))


def test_a_row_group_without_paid_cells_is_made_again_as_a_whole(
    tmp_path: Path,
) -> None:
    """A function may look at all rows: extension and resume give what one uninterrupted run gives."""

    def rank(df: pl.DataFrame) -> pl.DataFrame:
        return df.with_columns(c=pl.col("id").rank().cast(pl.Int64))

    columns = [uuid(), whole(reads=("id",), output_type="int")]
    at_once = opened(
        tmp_path, *columns, root="once", functions={"f": rank}, num_records=25
    )
    api.generate(at_once)
    for size in (3, 13, 25):
        grown = opened(
            tmp_path, *columns, root="grown", functions={"f": rank}, num_records=size
        )
        api.generate(grown)
    assert stored(grown) == stored(at_once)


# --- changed rows -----------------------------------------------------------------------------------------------------


def _distinct(df: pl.DataFrame) -> pl.DataFrame:
    """Every value of `a` once, with how often it was there: fewer rows, which depend on all of them."""
    return df.with_columns(c=pl.len().over("a").cast(pl.Int64)).unique(
        "a", keep="first", maintain_order=True
    )


def _twice(df: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([df.with_columns(c=pl.lit(1)), df.with_columns(c=pl.lit(2))]).sort(
        "id", "c"
    )


RESIZE: dict[str, Any] = {"output_type": "int", "allow_resize": True}


@pytest.mark.parametrize(("function", "rows"), [(_distinct, 2), (_twice, 20)])
def test_a_function_may_change_the_rows(
    tmp_path: Path, function: Callable[..., Any], rows: int
) -> None:
    columns = [
        uuid(),
        A,
        whole(**RESIZE),
        expression("after", "{{ c }} {{ a }}", drop=True),
    ]
    dataset = opened(tmp_path, *columns, functions={"f": function}, num_records=20)
    summary = api.generate(dataset)
    assert (summary.generated, summary.failed, summary.remaining) == (20, 0, 0)
    version = version_of(dataset)
    for index in (0, 1):
        footer = read_footer(version.row_group(index))
        assert (footer.size, footer.missing, footer.resized, footer.num_rows) == (
            10,
            [],
            True,
            rows,
        )
        dropped = read_dropped(version.dropped(index), footer.records()).to_pylist()
        kept = read_rows(version.row_group(index)).to_pylist()
        assert [row["after"] for row in dropped] == [
            f"{row['c']} {row['a']}" for row in kept
        ]
    assert api.generate(dataset).adopted == 2
    assert api.process(dataset).num_rows == 2 * rows


@pytest.mark.parametrize("function", [_distinct, _twice])
@pytest.mark.parametrize("model", [False, True])
def test_resume_and_extension_of_changed_rows_are_exact(
    tmp_path: Path, function: Callable[..., Any], model: bool
) -> None:
    columns = [uuid(), A, *([llm("t", "{{ id }}")] if model else []), whole(**RESIZE)]
    columns += [llm("u", "{{ c }} {{ a }}")] if model else []
    once = opened(
        tmp_path, *columns, root="once", functions={"f": function}, num_records=34
    )
    api.generate(once)
    for size, groups in ((5, None), (17, [1]), (17, None), (34, [3]), (34, None)):
        grown = opened(
            tmp_path,
            *columns,
            root="grown",
            functions={"f": function},
            num_records=size,
        )
        api.generate(grown, row_groups=groups)
    assert table_of(grown) == table_of(once)
    assert {s.state for s in api.row_group_statuses(grown)} == {RowGroupState.COMPLETE}


def test_a_row_group_with_changed_rows_is_all_or_nothing(tmp_path: Path) -> None:
    fine: set[str] = set()

    def picky(row: dict[str, Any]) -> str:
        if row["id"] in bad and not fine:
            raise ValueError("no")
        return "ok"

    columns = [
        uuid(),
        A,
        custom("p", "picky", reads=("id",)),
        whole(**RESIZE),
        expression("e", "{{ c }}"),
    ]
    functions = {"f": _twice, "picky": picky}
    probe = opened(tmp_path, uuid(), root="probe", functions={})
    api.generate(probe)
    bad = {stored(probe)[13]["id"]}
    dataset = opened(
        tmp_path, *columns, functions=functions, run={"max_failure_rate": 1.0}
    )
    summary = api.generate(dataset)
    version = version_of(dataset)
    assert (summary.generated, summary.failed, summary.remaining) == (15, 10, 10)
    footer = read_footer(version.row_group(1))
    assert (footer.num_rows, footer.missing, footer.resized) == (
        0,
        list(range(10, 20)),
        True,
    )
    (failure,) = failures_of(dataset)
    assert (failure.record, failure.column, failure.kind) == (13, "p", "custom")
    with pytest.raises(IncompleteError):
        api.process(dataset)
    fine.add("now")
    assert api.generate(dataset).generated == 10
    assert len(table_of(dataset)) == 50 and not failures_of(dataset)


def test_a_row_that_fails_after_the_change_costs_the_row_group(tmp_path: Path) -> None:
    columns = [
        uuid(),
        A,
        whole(**RESIZE),
        expression("e", "{{ 1 if c == 1 else 'x' }}", dtype="int"),
    ]
    dataset = opened(
        tmp_path,
        *columns,
        functions={"f": _twice},
        num_records=10,
        run={"max_failure_rate": 1.0},
    )
    summary = api.generate(dataset)
    assert (summary.generated, summary.remaining) == (0, 10)
    assert failures_of(dataset)[0].message.startswith(
        "row 1 of the resized row group: "
    )


def test_extending_a_changed_row_group_does_not_lose_it_when_that_fails(
    tmp_path: Path,
) -> None:
    broken: list[str] = []

    def picky(row: dict[str, Any]) -> str:
        if broken:
            raise ValueError("no")
        return "ok"

    columns = [uuid(), A, custom("p", "picky", reads=("id",)), whole(**RESIZE)]
    functions = {"f": _twice, "picky": picky}
    dataset = opened(tmp_path, *columns, functions=functions, num_records=5)
    api.generate(dataset)
    before = table_of(dataset)
    broken.append("now")
    grown = opened(
        tmp_path,
        *columns,
        functions=functions,
        num_records=8,
        run={"max_failure_rate": 1.0},
    )
    assert api.generate(grown).generated == 0
    assert table_of(grown) == before and len(before) == 10
    (status,) = api.row_group_statuses(grown)
    assert (status.state, len(status.remaining)) == (RowGroupState.PARTIAL, 8)
    broken.clear()
    api.generate(grown)
    assert len(table_of(grown)) == 16


def test_a_function_that_loses_a_column_is_told(tmp_path: Path) -> None:
    dataset = opened(
        tmp_path,
        uuid(),
        A,
        whole(**RESIZE),
        functions={"f": lambda df: _twice(df).drop("a")},
    )
    with pytest.raises(FunctionError, match="did not return the column 'a'"):
        api.generate(dataset)


def test_no_rows_at_all_is_an_answer_too(tmp_path: Path) -> None:
    dataset = opened(
        tmp_path,
        uuid(),
        A,
        whole(**RESIZE),
        functions={"f": lambda df: _twice(df).clear()},
    )
    assert api.generate(dataset).remaining == 0
    assert table_of(dataset) == [] and api.generate(dataset).adopted == 3


def test_preview_changes_rows_too(tmp_path: Path) -> None:
    path = write_config(
        tmp_path / "d.yaml",
        dataset_config(uuid(), A, llm("t", "{{ a }}"), whole(**RESIZE)),
    )
    found = api.preview(path, num_records=4, functions={"f": _twice})
    assert found.table.num_rows == 8 and not found.failures


def test_row_groups_without_rows_do_not_disturb_the_others(tmp_path: Path) -> None:
    """Data Designer's bugs X3 and X4: dropped columns were lost, and a schema transform failed, when a group had no rows."""
    broken = {"on": True}

    def picky(row: dict[str, Any]) -> str:
        if broken["on"]:
            raise ValueError("no")
        return "ok"

    transform = {
        "processor_type": "schema_transform",
        "name": "chat",
        "template": {"m": "{{ p }} {{ hidden }}"},
    }
    columns = [
        uuid(),
        expression("hidden", "{{ id }}", drop=True),
        custom("p", "picky", reads=("id",)),
    ]
    dataset = opened(
        tmp_path,
        *columns,
        functions={"picky": picky},
        run={"max_failure_rate": 1.0},
        processors=[transform],
    )
    assert api.generate(dataset, row_groups=[0]).failed == 10
    broken["on"] = False
    assert api.generate(dataset, row_groups=[1, 2]).generated == 15
    result = api.process(dataset, allow_missing=True)
    assert result.num_rows == 15
    (part,) = (result.version.processed / "chat").glob("*.parquet")
    assert all(
        text == f"ok {text[3:]}" and len(text) == 39
        for text in pl.read_parquet(part)["m"]
    )
    assert all(len(row["hidden"]) == 36 for row in stored(dataset).values())
