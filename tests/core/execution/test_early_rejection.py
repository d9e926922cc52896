"""A candidate that a cheap column rejects is not paid for further, and what becomes of a record is the same as if it were."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.errors import CellError
from sdg_core.plan.templates.conjunction import conjuncts
from sdg_core.plan.templates.render import compiled
from sdg_core.plan.templates.skip import is_true, truth_template
from sdg_core.store.row_groups import read_footer
from sdg_core.testing import ModelServer
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    stored_records,
    uuid,
)

COLUMNS = (
    uuid(),
    category("grade", 1, 2, 3, 4, 5),
    llm("aside", "aside {{ id }}"),
    llm("text", "text {{ id }}"),
    expression("size", "{{ text | length }}", dtype="int"),
    llm("review", "review {{ text }}"),
)


async def asked(
    base: Path, keep: str, **more: Any
) -> tuple[Counter[str], api.VersionLayout]:
    """How often each model column was asked for, by its prompt's first word, and what was made."""
    async with ModelServer(
        answer=lambda prompt: f"{prompt} {'x' * (sum(prompt.encode()) % 7)}"
    ) as server:
        select = {"keep": keep, "candidates": 3, **more}
        config = dataset_config(
            *COLUMNS, endpoint=server.url, num_records=12, select=select
        )
        dataset = open_dataset(
            base / "tickets.yaml", config, root=base / f"root{len(keep)}"
        )
        version = (await api.agenerate(dataset)).version
        return Counter(prompt.split()[0] for prompt in server.prompts), version


def rejected_rows(version: api.VersionLayout) -> list[dict[str, Any]]:
    return pl.concat(
        pl.read_parquet(str(path)) for path in sorted(version.rejected.iterdir())
    ).to_dicts()


@pytest.mark.parametrize(
    "keep", ["{{ grade >= 4 and size is odd }}", "{{ size is odd and grade >= 4 }}"]
)
async def test_nothing_is_asked_for_a_candidate_after_it_is_rejected(
    tmp_path: Path, keep: str
) -> None:
    counts, version = await asked(tmp_path, keep)
    rows = stored_records(version)
    rejected = rejected_rows(version)
    cheap = [row for row in rejected if row["grade"] < 4]
    odd = [row for row in rejected if row["grade"] >= 4]
    assert cheap and odd and rows
    assert counts == {
        "text": len(rows) + len(odd),
        "review": len(rows),
        "aside": len(rows),
    }
    assert all(
        row["text"] is row["size"] is row["review"] is row["aside"] is None
        for row in cheap
    )
    assert all(
        row["size"] % 2 == 0 and row["review"] is row["aside"] is None for row in odd
    )
    assert {row["reason"] for row in rejected} == {f"not true: {keep}"}
    usage: Counter[str] = Counter()
    for index in version.existing_row_groups():
        selection = read_footer(version.row_group(index)).selection
        assert selection is not None
        usage.update(
            {alias: used["requests"] for alias, used in selection.usage.items()}
        )
    assert usage == {"writer": len(odd)}, "the cost of what was rejected"


async def test_the_rows_are_those_of_a_condition_that_is_decided_at_the_end(
    tmp_path: Path,
) -> None:
    early, version = await asked(tmp_path, "{{ grade >= 4 and size is odd }}")
    late, whole = await asked(
        tmp_path, "{{ [review, grade >= 4 and size % 2 == 1][1] }}"
    )
    assert stored_records(version) == stored_records(whole)
    assert [
        (row["record_index"], row["candidate"]) for row in rejected_rows(version)
    ] == [(row["record_index"], row["candidate"]) for row in rejected_rows(whole)]
    assert late["text"] > early["text"] and late["text"] == late["review"] == len(
        stored_records(whole)
    ) + len(rejected_rows(whole))


async def test_a_rejected_candidate_that_may_become_the_row_is_whole(
    tmp_path: Path,
) -> None:
    counts, version = await asked(
        tmp_path, "{{ grade > 5 }}", otherwise="best", best="grade"
    )
    assert counts == {"text": 36, "review": 36, "aside": 36}
    assert all(
        row["review"] and row["aside"] for row in stored_records(version).values()
    )


async def test_what_was_not_made_of_a_rejected_candidate_is_made_for_another_condition(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        for keep, base in (
            ("{{ grade == 5 and text }}", "root"),
            ("{{ grade >= 3 }}", "root"),
            ("{{ grade >= 3 }}", "new"),
        ):
            config = dataset_config(
                *COLUMNS, endpoint=server.url, num_records=12, select={"keep": keep}
            )
            before = len(server.prompts)
            dataset = open_dataset(
                tmp_path / "tickets.yaml", config, root=tmp_path / base
            )
            summary = await api.agenerate(dataset)
            rows = stored_records(summary.version)
            if base == "root" and "3" in keep:
                carried = rows
                kept_before = sum(row["grade"] == 5 for row in rows.values())
                assert (
                    0
                    < len(server.prompts) - before
                    <= 3 * (len(rows) - kept_before)
                    < 3 * len(rows)
                )
        assert rows == carried


@pytest.mark.parametrize(
    ("keep", "count"),
    [
        ("{{ a and b }}", 2),
        ("{{- a > 1 and not b and c in [1, 2] -}}", 3),
        ("{{ (a and b) }}", 1),
        ("{{ a or b and c }}", 1),
        ("{{ a and (b or c) }}", 2),
        ("{{ a if b and c else c }}", 1),
        ("{{ a }} and {{ b }}", 1),
        ("{% if a and b %}1{% endif %}", 1),
        ("{{ a == ' and ' }}", 1),
        ("{{ `a` and b }}", 2),
        ("{{ [a, b] and {'x': c}['x'] }}", 2),
        ("{{ a, b and c }}", 1),
    ],
)
def test_a_condition_has_as_many_parts_as_its_outermost_and_joins(
    keep: str, count: int
) -> None:
    assert len(conjuncts(keep)) == count


TERMS = (
    "a",
    "not b",
    "a > 1",
    "b in [1, 'x']",
    "c",
    "(a or c)",
    "c | length > 1",
    "b is string",
    "a == c",
)
VALUES = st.sampled_from([0, 1, 2, "", "x", "no", "false", True, None, [], [1], 0.0])


@given(
    terms=st.lists(st.sampled_from(TERMS), min_size=2, max_size=4),
    values=st.tuples(VALUES, VALUES, VALUES),
)
def test_the_whole_is_true_exactly_where_every_part_is(
    terms: list[str], values: tuple[Any, Any, Any]
) -> None:
    keep = "{{ " + " and ".join(terms) + " }}"
    row = dict(zip("abc", values, strict=True))
    try:
        whole = is_true(compiled(truth_template(keep)).render(row))
        parts = [is_true(compiled(part).render(row)) for part in conjuncts(keep)]
    except CellError:
        return
    assert len(parts) == len(terms) and whole == all(parts)
