"""`select`: a record is drawn again until a candidate is kept, and what becomes of it depends on nothing but itself."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.errors import ConfigError
from sdg_core.execution.make_sample import make_sample
from sdg_core.plan.candidates import STRIDE
from sdg_core.store.failures import read_failures
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_groups import read_footer
from sdg_core.testing import Fault, ModelServer, status
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    stored_records,
    uuid,
)

GRADES = category("grade", 1, 2, 3, 4, 5)
COLUMNS = (
    uuid(),
    GRADES,
    llm("text", "write {{ id }}"),
    expression("size", "{{ text | length }}", dtype="int"),
)
KEEP = "{{ grade >= 4 and size is odd }}"
GRADE_AFTER_TEXT = "{{{{ [text, grade][1] {} }}}}"
"""A condition that is not decided before the text is there."""
DROP: dict[str, Any] = {"keep": KEEP, "candidates": 3}


def is_kept(row: dict[str, Any]) -> bool:
    return bool(row["grade"] >= 4 and row["size"] % 2)


def opened(
    base: Path, select: dict[str, Any] | None, *columns: dict[str, Any], **top: Any
) -> api.Dataset:
    root = top.pop("root", "root")
    chosen = {} if select is None else {"select": select}
    config = dataset_config(*(columns or COLUMNS), **chosen, **top)
    return open_dataset(
        base / "tickets.yaml", config, root=base / root, functions=top.get("functions")
    )


def every_candidate(
    base: Path, *, candidates: int, records: int = 25
) -> list[list[dict[str, Any]]]:
    """The rows of each record's candidates, made by a dataset that selects nothing."""
    plan = opened(base, None, root="plain").plan

    async def make() -> list[dict[str, Any]]:
        numbers = [
            record + candidate * STRIDE
            for candidate in range(candidates)
            for record in range(records)
        ]
        async with api_models(plan) as models:
            sample = await make_sample(plan, numbers, seeds=None, models=models)
        rows: list[dict[str, Any]] = sample.group.rows().table.to_pylist()
        return rows

    rows = asyncio.run(make())
    return [
        [rows[candidate * records + record] for candidate in range(candidates)]
        for record in range(records)
    ]


def api_models(plan: api.DatasetPlan) -> Any:
    from sdg_core.models.pool import open_models_of

    return open_models_of(plan, env={}, needed=True, on_notice=lambda message: None)


def expected_rows(made: list[list[dict[str, Any]]]) -> dict[int, dict[str, Any]]:
    """What a selection that drops keeps."""
    first = {
        record: next((row for row in rows if is_kept(row)), None)
        for record, rows in enumerate(made)
    }
    return {record: row for record, row in first.items() if row is not None}


def rejected(version: VersionLayout) -> pl.DataFrame:
    return pl.concat(
        pl.read_parquet(str(path)) for path in sorted(version.rejected.iterdir())
    )


def footers(version: VersionLayout) -> list[Any]:
    return [
        read_footer(version.row_group(index)) for index in version.existing_row_groups()
    ]


def test_the_first_candidate_that_is_kept_is_the_row(tmp_path: Path) -> None:
    made = every_candidate(tmp_path, candidates=3)
    expected = expected_rows(made)
    summary = api.generate(opened(tmp_path, DROP))
    assert stored_records(summary.version) == expected
    assert 0 < len(expected) < 25 and any(
        row != made[record][0] for record, row in expected.items()
    )
    assert (summary.generated, summary.failed, summary.dropped, summary.remaining) == (
        len(expected),
        0,
        25 - len(expected),
        0,
    )
    listed = rejected(summary.version)
    chosen = {
        record: rows.index(expected[record]) if record in expected else 3
        for record, rows in enumerate(made)
    }
    assert listed.select("record_index", "candidate").rows() == [
        (record, candidate)
        for record in range(25)
        for candidate in range(chosen[record])
    ]
    assert set(listed["reason"]) == {f"not true: {KEEP}"}
    for row in listed.rows(named=True):
        whole = made[row["record_index"]][row["candidate"]]
        expected_row = (
            whole if whole["grade"] >= 4 else {**whole, "text": None, "size": None}
        )
        assert {
            name: row[name] for name in ("id", "grade", "text", "size")
        } == expected_row


def test_what_was_rejected_is_counted_with_what_it_cost(tmp_path: Path) -> None:
    version = api.generate(opened(tmp_path, DROP)).version
    listed = rejected(version)
    selections = [footer.selection for footer in footers(version)]
    asked = sum(listed["grade"] >= 4)
    assert 0 < asked < len(listed)
    assert sum(selection.rejected for selection in selections) == len(listed)
    assert (
        sum(
            selection.usage["writer"]["requests"]
            for selection in selections
            if selection.usage
        )
        == asked
    )
    requests = sum(footer.usage["writer"]["requests"] for footer in footers(version))
    assert requests == asked + len(stored_records(version))


def test_a_record_without_a_row_is_complete_and_not_drawn_again(tmp_path: Path) -> None:
    dataset = opened(tmp_path, DROP)
    version = api.generate(dataset).version
    before = stored_records(version)
    assert {status.state for status in api.row_group_statuses(dataset)} == {
        api.RowGroupState.COMPLETE
    }
    again = api.generate(dataset)
    assert (again.generated, again.dropped, again.adopted) == (0, 0, 3)
    assert api.plan(dataset).nothing_to_do
    longer = opened(tmp_path, DROP, num_records=38)
    extended = api.generate(longer)
    whole = stored_records(
        api.generate(opened(tmp_path, DROP, num_records=38, root="whole")).version
    )
    assert stored_records(extended.version) == whole
    assert {record: whole[record] for record in before} == before
    assert rejected(extended.version).equals(
        rejected(VersionLayout(tmp_path / "whole" / "tickets" / version.name))
    )
    made, dropped = len(whole), 38 - len(whole)
    assert (
        sum(footer.num_rows for footer in footers(version)),
        sum(len(f.exhausted) for f in footers(version)),
    ) == (
        made,
        dropped,
    )
    processed = api.process(longer)
    assert processed.num_rows == made


def test_the_best_candidate_stands_in_where_none_is_kept(tmp_path: Path) -> None:
    made = every_candidate(tmp_path, candidates=3)
    select = {**DROP, "otherwise": "best", "best": "{{ grade * 100 + size }}"}
    summary = api.generate(opened(tmp_path, select))
    kept = expected_rows(made)
    expected = {
        record: kept.get(
            record, max(rows, key=lambda row: row["grade"] * 100 + row["size"])
        )
        for record, rows in enumerate(made)
    }
    assert stored_records(summary.version) == expected
    fallback = [
        record
        for footer in footers(summary.version)
        for record in footer.selection.fallback
    ]
    assert fallback == sorted(set(range(25)) - set(kept))
    assert len(rejected(summary.version)) == sum(
        rows.index(kept[record]) if record in kept else 2
        for record, rows in enumerate(made)
    )


def test_best_of_all_candidates_needs_no_condition(tmp_path: Path) -> None:
    made = every_candidate(tmp_path, candidates=4)
    select = {"candidates": 4, "otherwise": "best", "best": "grade"}
    version = api.generate(opened(tmp_path, select)).version
    assert stored_records(version) == {
        record: max(rows, key=lambda row: row["grade"])
        for record, rows in enumerate(made)
    }
    assert all(not footer.selection.fallback for footer in footers(version))
    assert set(rejected(version)["reason"]) == {"another candidate is better"}


def test_a_record_may_fail_instead(tmp_path: Path) -> None:
    expected = expected_rows(every_candidate(tmp_path, candidates=3))
    dataset = opened(
        tmp_path, {**DROP, "otherwise": "fail"}, run={"max_failure_rate": 1.0}
    )
    summary = api.generate(dataset)
    assert stored_records(summary.version) == expected
    assert (summary.failed, summary.remaining, summary.dropped) == (
        25 - len(expected),
        25 - len(expected),
        0,
    )
    found = [
        failure
        for index in range(3)
        for failure in read_failures(summary.version.failure_list(index))
    ]
    assert {failure.record for failure in found} == set(range(25)) - set(expected)
    assert {(failure.column, failure.kind) for failure in found} == {
        ("select", "rejected")
    }
    assert all("none of 3 candidates was kept" in failure.message for failure in found)


def test_without_select_the_fingerprint_is_as_before_and_with_it_another(
    tmp_path: Path,
) -> None:
    plain = opened(tmp_path, None).plan.fingerprint
    selecting = opened(tmp_path, DROP).plan.fingerprint
    assert plain.config_hash != selecting.config_hash
    assert plain.column_hashes == selecting.column_hashes
    assert (
        len(
            {
                opened(tmp_path, {**DROP, **more}).plan.fingerprint.config_hash
                for more in ({}, {"candidates": 4})
            }
        )
        == 2
    )


def test_every_candidate_has_the_seed_row_of_its_record(tmp_path: Path) -> None:
    pl.DataFrame({"topic": [f"t{number}" for number in range(7)]}).write_parquet(
        tmp_path / "seed.parquet"
    )
    seed_config = {"source": {"path": "seed.parquet"}}
    columns = (GRADES, expression("both", "{{ topic }} {{ grade }}"))
    select = {"keep": "{{ grade == 5 }}", "candidates": 30}
    version = api.generate(
        opened(tmp_path, select, *columns, seed_config=seed_config)
    ).version
    rows = stored_records(version)
    assert rows == {
        record: {"topic": f"t{record % 7}", "grade": 5, "both": f"t{record % 7} 5"}
        for record in rows
    }
    assert len(rows) > 20
    assert all(
        row["topic"] == f"t{row['record_index'] % 7}"
        for row in rejected(version).rows(named=True)
    )


@settings(max_examples=4)
@given(
    size=st.integers(3, 30),
    order=st.randoms(use_true_random=False),
    stops=st.lists(st.integers(1, 60), min_size=1, max_size=2),
    otherwise=st.sampled_from(["drop", "best"]),
)
def test_order_size_and_interruptions_change_nothing(
    size: int, order: random.Random, stops: list[int], otherwise: str
) -> None:
    """A run that ends early, whenever that is, and goes on in another order ends in the same rows and the same rejected ones."""
    more = {"otherwise": "best", "best": "grade"} if otherwise == "best" else {}
    with TemporaryDirectory() as place:
        base = Path(place)

        async def interrupted() -> None:
            async with ModelServer(
                answer=lambda prompt: f"{prompt} {len(prompt) * 'x'}{hash_of(prompt)}"
            ) as server:
                compare = opened(
                    base, {**DROP, **more}, endpoint=server.url, root="compare"
                )
                expected = (await api.agenerate(compare)).version
                dataset = opened(
                    base,
                    {**DROP, **more},
                    endpoint=server.url,
                    row_group_size=size,
                    root="cut",
                )
                groups = list(range(len(dataset.plan.row_groups)))
                for stop in stops:
                    order.shuffle(groups)
                    running = asyncio.create_task(
                        api.agenerate(
                            dataset, row_groups=groups[: len(groups) // 2 + 1]
                        )
                    )
                    await asyncio.wait(
                        [
                            running,
                            asyncio.create_task(
                                server.seen(len(server.prompts) + stop)
                            ),
                        ],
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    running.cancel()
                    await asyncio.wait([running])
                order.shuffle(groups)
                for group in groups:
                    version = (await api.agenerate(dataset, row_groups=[group])).version
                assert stored_records(version) == stored_records(expected)
                names = ["record_index", "candidate", "reason", "id", "text"]
                assert (
                    rejected(version).select(names).rows()
                    == rejected(expected).select(names).rows()
                )
                for total in ("rejected", "usage"):
                    assert added(version, total) == added(expected, total)

        asyncio.run(interrupted())


def hash_of(prompt: str) -> str:
    return "y" * (sum(prompt.encode()) % 7)


def added(version: VersionLayout, name: str) -> Any:
    """What the footers say of rejected candidates together."""
    selections = [footer.selection for footer in footers(version)]
    if name == "rejected":
        return sum(selection.rejected for selection in selections)
    return sum(
        selection.usage.get("writer", {}).get("requests", 0) for selection in selections
    )


async def test_nothing_paid_for_a_candidate_is_paid_for_twice(tmp_path: Path) -> None:
    """A server that refuses a while fails records in the middle of their candidates; the next run goes on there."""
    answered: Counter[str] = Counter()

    def answer(prompt: str) -> str:
        answered[prompt] += 1
        return f"{prompt}!"

    faults: list[Fault | None] = [
        None if place % 3 else status(400) for place in range(40)
    ]
    async with ModelServer(faults=faults, answer=answer) as server:
        select = {"keep": GRADE_AFTER_TEXT.format("== 5"), "candidates": 6}
        run = {"max_failure_rate": 1.0}
        dataset = opened(tmp_path, select, endpoint=server.url, run=run)
        first = await api.agenerate(dataset)
        assert first.failed == 14 and first.remaining == 14
        second = await api.agenerate(dataset)
        assert second.remaining == 0 and second.replayed > 0
        assert set(answered.values()) == {1}
        whole = await api.agenerate(
            opened(tmp_path, select, endpoint=server.url, run=run, root="whole")
        )
        assert stored_records(second.version) == stored_records(whole.version)
        assert rejected(second.version).equals(rejected(whole.version))
        assert added(second.version, "usage") == added(whole.version, "usage")
        used = [
            sum(footer.usage["writer"]["requests"] for footer in footers(run.version))
            for run in (second, whole)
        ]
        assert used[0] == used[1] + 14, "what was refused was asked for, too"


async def test_another_condition_takes_over_every_candidate_that_it_needs(
    tmp_path: Path,
) -> None:
    """Rejected candidates are kept for that: only candidates that nobody has drawn yet are paid for."""
    async with ModelServer() as server:
        strict = opened(
            tmp_path,
            {"keep": GRADE_AFTER_TEXT.format("== 5"), "candidates": 6},
            endpoint=server.url,
        )
        await api.agenerate(strict)
        asked = len(server.prompts)
        loose = opened(
            tmp_path, {"keep": "{{ grade >= 3 }}", "candidates": 6}, endpoint=server.url
        )
        summary = await api.agenerate(loose)
        assert len(server.prompts) == asked
        assert summary.version.name != strict.plan.fingerprint.version
        none = await api.agenerate(opened(tmp_path, None, endpoint=server.url))
        assert len(server.prompts) == asked
        fresh = await api.agenerate(
            opened(tmp_path, None, endpoint=server.url, root="fresh")
        )
        assert stored_records(none.version) == stored_records(fresh.version)


async def test_candidates_of_simulated_replies_differ(tmp_path: Path) -> None:
    """Where nothing that is read differs, the reply's own random words do."""
    version = (
        await api.agenerate(
            opened(
                tmp_path,
                {"keep": "{{ text == '' }}", "candidates": 3},
                llm("text", "say"),
            )
        )
    ).version
    assert len(set(rejected(version)["text"])) == 75


def test_a_condition_that_null_stands_in_the_way_of_is_not_true(tmp_path: Path) -> None:
    columns = (
        GRADES,
        expression(
            "half", "{{ grade }}", dtype="int", skip={"when": "{{ grade < 3 }}"}
        ),
    )
    version = api.generate(
        opened(tmp_path, {"keep": "{{ half | abs > 3 }}", "candidates": 2}, *columns)
    ).version
    assert {row["half"] for row in stored_records(version).values()} == {4, 5}
    assert any("(" in reason for reason in rejected(version)["reason"])


def test_a_condition_or_score_that_cannot_be_evaluated_fails_the_record(
    tmp_path: Path,
) -> None:
    for select in (
        {"keep": "{{ id.length > 3 }}", "candidates": 2},
        {"candidates": 2, "otherwise": "best", "best": "id"},
    ):
        dataset = opened(
            tmp_path,
            select,
            uuid(),
            root=str(len(select)),
            run={"max_failure_rate": 1.0},
        )
        summary = api.generate(dataset)
        assert (summary.generated, summary.failed) == (0, 25)
        failure = read_failures(summary.version.failure_list(0))[0]
        assert failure.column == "select" and (
            "keep: undefined" in failure.message or "not a number" in failure.message
        )


def test_a_preview_shows_kept_candidates_and_an_estimate_counts_all(
    tmp_path: Path,
) -> None:
    dataset = opened(tmp_path, DROP)
    rows = stored_records(api.generate(dataset).version)
    preview = api.preview(
        tmp_path / "tickets.yaml", num_records=25, root=str(tmp_path / "root")
    )
    assert preview.table.to_pylist() == list(rows.values())
    estimate = api.estimate(opened(tmp_path, DROP, root="new"), sample=25)
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    total = sum(footer.usage["writer"]["requests"] for footer in footers(version))
    assert estimate.usage["writer"]["requests"] == total


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            {"keep": "{{ grde > 3 }}"},
            "select.keep: unknown column 'grde'; did you mean 'grade'",
        ),
        ({"keep": "grade > 3"}, "select.keep: is plain text"),
        ({"keep": "{{ 1 > 0 }}"}, "select.keep: reads no column"),
        ({"keep": KEEP, "candidates": 0}, "select.candidates"),
        ({"keep": KEEP, "candidates": 101}, "select.candidates"),
        ({"keep": KEEP, "otherwise": "keep"}, "select.otherwise"),
        ({"keep": KEEP, "otherwise": "best"}, "select.*require each other"),
        ({"keep": KEEP, "best": "grade"}, "select.*require each other"),
        ({"candidates": 3}, "select.*give `keep`"),
        (
            {"otherwise": "best", "best": "{{ grde }}"},
            "select.best: unknown column 'grde'",
        ),
        ({"keep": "{{ [grade, 1] | random > 1 }}"}, "select.keep: the filter random"),
    ],
)
def test_what_cannot_be_right_is_said_with_its_place(
    tmp_path: Path, select: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(tmp_path, select)


def test_columns_of_whole_row_groups_and_records_that_never_change_are_refused(
    tmp_path: Path,
) -> None:
    whole = {
        "column_type": "custom",
        "name": "rank",
        "generator_function": "rank",
        "version": 1,
        "required_columns": ["grade"],
        "generation_strategy": "full_column",
    }
    config = dataset_config(GRADES, whole, select={"keep": "{{ grade > 3 }}"})
    with pytest.raises(
        ConfigError, match=r"columns\[1\]: 'rank' is computed for a whole row group"
    ):
        open_dataset(
            tmp_path / "t.yaml",
            config,
            root=tmp_path,
            functions={"rank": lambda frame: frame},
        )
    pl.DataFrame({"n": range(30)}).write_parquet(tmp_path / "seed.parquet")
    config = dataset_config(
        expression("m", "{{ n * 2 }}"),
        select={"keep": "{{ m > 3 }}"},
        seed_config={"source": {"path": "seed.parquet"}},
    )
    with pytest.raises(
        ConfigError,
        match="select.candidates: all candidates of a record would be the same",
    ):
        open_dataset(tmp_path / "t.yaml", config, root=tmp_path)


def test_a_condition_that_never_holds_stops_the_run(tmp_path: Path) -> None:
    dataset = opened(
        tmp_path,
        {"keep": "{{ grade > 5 }}", "candidates": 2},
        num_records=400,
        row_group_size=60,
    )
    with pytest.raises(
        api.RunAbortedError,
        match=r"all candidates of the first \d+ records were rejected",
    ):
        api.generate(dataset)
    assert 0 < api.status(dataset).remaining <= 300


def test_candidates_that_cannot_differ_are_named(tmp_path: Path) -> None:
    columns = (*COLUMNS, llm("fixed", "say"), llm("reads", "{{ fixed }}"))
    config = dataset_config(*columns, endpoint="http://127.0.0.1:9/v1", select=DROP)
    for model, expected in (
        ({}, []),
        ({"temperature": 0.0}, ["fixed", "reads"]),
        ({"extra_body": {"seed": 3}}, ["fixed", "reads"]),
    ):
        config["model_configs"][0]["inference_parameters"] = model
        reasons = api.plan(
            open_dataset(tmp_path / "a.yaml", config, root=tmp_path)
        ).reasons
        named = [
            reason.split("'")[1]
            for reason in reasons
            if "may get the same reply" in reason
        ]
        assert named == expected, "the other column reads an id that differs"
