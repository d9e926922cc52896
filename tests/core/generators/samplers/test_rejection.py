"""Constraints: every record satisfies them, a record depends on its index only, and what cannot be satisfied says so."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sdg_core import api
from sdg_core.config.constraints import ColumnInequality, ScalarInequality
from sdg_core.errors import ConfigError, ConstraintError
from sdg_core.generators.dispatch import group_column
from sdg_core.generators.samplers.group_sampler import GroupSampler, measure_acceptance
from sdg_core.generators.samplers.rejection import MAX_ATTEMPTS, satisfied
from sdg_core.plan.dataset_plan import DatasetPlan

Columns = dict[str, pl.Series]


def sampler(
    name: str, kind: str, params: dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "column_type": "sampler",
        "name": name,
        "sampler_type": kind,
        "params": params,
        **more,
    }


def limit(target: str, operator: str, rhs: float | str) -> dict[str, Any]:
    return {"target_column": target, "operator": operator, "rhs": rhs}


UNIT = {"low": 0, "high": 1}
COLUMNS = [
    sampler("x", "uniform", UNIT),
    sampler("y", "uniform", UNIT),
    sampler("z", "gaussian", {"mean": 0, "stddev": 1}, convert_to="str"),
    sampler("kind", "category", {"values": ["low", "high"]}),
    {
        "column_type": "expression",
        "name": "steep",
        "expr": "{{ kind == 'high' }}",
        "dtype": "bool",
    },
    sampler(
        "age",
        "uniform",
        {"low": 0, "high": 20},
        conditional_params={"steep": {"low": 50, "high": 90}},
        convert_to="int",
    ),
    sampler(
        "start",
        "datetime",
        {"start": "2024-01-01", "end": "2024-03-01"},
        convert_to="%d.%m.%Y",
    ),
    sampler(
        "end", "datetime", {"start": "2024-01-15", "end": "2024-02-15", "unit": "h"}
    ),
    sampler(
        "later", "timedelta", {"dt_min": 0, "dt_max": 9, "reference_column_name": "end"}
    ),
    sampler("free", "uniform", UNIT),
]
CONSTRAINTS = [
    limit("x", "lt", "y"),
    limit("y", "ge", 0.25),
    limit("z", "gt", -1),
    limit("age", "ge", 10),
    limit("start", "le", "end"),
]


def opened(
    folder: Path,
    constraints: list[dict[str, Any]],
    *,
    columns: list[dict[str, Any]] = COLUMNS,
    seeds: str | None = None,
    num_records: int = 1000,
    row_group_size: int = 1000,
) -> api.Dataset:
    config: dict[str, Any] = {
        "columns": columns,
        "constraints": constraints,
        "num_records": num_records,
        "seed": 5,
    }
    config["row_group_size"] = row_group_size
    if seeds is not None:
        (folder / "seeds.csv").write_text(seeds)
        config["seed_config"] = {"source": {"path": "seeds.csv"}}
    folder.joinpath("dataset.yaml").write_text(
        yaml.safe_dump({"name": "bound", **config})
    )
    return api.open_dataset(folder / "dataset.yaml", root=str(folder / "data"))


def drawn(
    plan: DatasetPlan, indices: Any, *, seed_columns: Columns | None = None
) -> Columns:
    frame, sampler = dict(seed_columns or {}), GroupSampler(plan)
    for name in plan.graph.order:
        frame[name] = group_column(
            plan, name, indices=np.asarray(indices), frame=frame, sampler=sampler
        ).values
    return frame


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> DatasetPlan:
    return opened(tmp_path_factory.mktemp("bound"), CONSTRAINTS).plan


@pytest.fixture(scope="module")
def whole(bound: DatasetPlan) -> Columns:
    return drawn(bound, np.arange(4000))


def test_every_record_satisfies_every_constraint(whole: Columns) -> None:
    assert (whole["x"] < whole["y"]).all() and (whole["y"] >= 0.25).all()
    assert (whole["z"].cast(pl.Float64) > -1).all() and whole["z"].dtype == pl.String
    assert (whole["age"] >= 10).all()
    start = whole["start"].str.to_datetime("%d.%m.%Y")
    assert (start <= whole["end"].str.to_datetime()).all()
    assert not any(series.null_count() for series in whole.values())


def test_what_reads_a_bound_column_reads_the_accepted_draw(whole: Columns) -> None:
    assert ((whole["kind"] == "high") == whole["steep"]).all()
    assert (whole["steep"] == (whole["age"] >= 50)).all()
    delta = (
        whole["later"].str.to_datetime() - whole["end"].str.to_datetime()
    ).dt.total_seconds()
    assert set(delta.unique().to_list()) == {86_400 * days for days in range(9)}


def test_columns_that_share_nothing_are_bound_apart(
    bound: DatasetPlan, tmp_path: Path
) -> None:
    found = {
        tuple(sorted(one.samplers)): one.places for one in bound.graph.constraint_groups
    }
    assert found == {
        ("x", "y"): (0, 1),
        ("z",): (2,),
        ("age", "kind"): (3,),
        ("end", "start"): (4,),
    }
    free = opened(tmp_path, []).plan
    assert (
        drawn(free, np.arange(50))["free"].to_list()
        == drawn(bound, np.arange(50))["free"].to_list()
    )


def test_records_whose_first_draw_is_accepted_keep_it(
    whole: Columns, tmp_path: Path
) -> None:
    free = drawn(opened(tmp_path, []).plan, np.arange(4000))
    accepted = (free["x"] < free["y"]) & (free["y"] >= 0.25)
    assert 0.3 < accepted.mean() < 0.6  # type: ignore[operator]
    for name in ("x", "y"):
        assert (
            whole[name].filter(accepted).to_list()
            == free[name].filter(accepted).to_list()
        )


def test_the_joint_distribution_is_the_conditional_one(whole: Columns) -> None:
    """Under x < y and y >= 1/4, y has the density 2y/(1 - 1/16) and x is uniform below it; the high ages are as likely as
    the half of the low ones that is left."""
    y, x = whole["y"].to_numpy(), whole["x"].to_numpy()
    assert stats.kstest((y**2 - 1 / 16) / (15 / 16), "uniform").pvalue > 1e-4
    assert stats.kstest(x / y, "uniform").pvalue > 1e-4
    low = int((whole["kind"] == "low").sum())
    assert stats.binomtest(low, 4000, (10.5 / 20) / (1 + 10.5 / 20)).pvalue > 1e-4


@settings(deadline=None, max_examples=30)
@given(wanted=st.sets(st.integers(0, 3999), min_size=1, max_size=40))
def test_a_record_does_not_depend_on_who_is_drawn_with_it(
    bound: DatasetPlan, whole: Columns, wanted: set[int]
) -> None:
    indices = np.array(sorted(wanted))
    part = drawn(bound, indices)
    assert {name: series.to_list() for name, series in part.items()} == {
        name: whole[name].gather(indices).to_list() for name in part
    }


def test_row_groups_of_any_size_make_the_same_dataset(tmp_path: Path) -> None:
    tables = []
    for size in (1000, 170, 7):
        folder = tmp_path / str(size)
        folder.mkdir()
        dataset = opened(folder, CONSTRAINTS, num_records=200, row_group_size=size)
        api.generate(dataset, row_groups=[len(dataset.plan.row_groups) - 1])
        summary = api.generate(dataset)
        tables.append(
            pl.read_parquet(summary.version.row_groups / "*.parquet").to_dicts()
        )
    assert tables[0] == tables[1] == tables[2] and len(tables[0]) == 200


SEEDS = "price,day,name\n0.5,2024-02-01,a\n0.9,2024-01-20,b\n0.2,2024-02-20,c\n"


def test_seed_columns_may_stand_on_either_side_and_are_not_drawn(
    tmp_path: Path,
) -> None:
    constraints = [
        limit("x", "lt", "price"),
        limit("price", "ge", "y"),
        limit("start", "gt", "day"),
    ]
    dataset = opened(
        tmp_path, constraints, seeds=SEEDS, num_records=300, row_group_size=100
    )
    assert api.generate(dataset).failed == 0
    found = pl.read_parquet(
        dataset.layout.version(dataset.plan.fingerprint.version).row_groups
        / "*.parquet"
    )
    assert found["price"].to_list() == [0.5, 0.9, 0.2] * 100
    assert ((found["x"] < found["price"]) & (found["price"] >= found["y"])).all()
    assert (
        found["start"].str.to_datetime("%d.%m.%Y")
        > found["day"].cast(pl.String).str.to_datetime("%Y-%m-%d")
    ).all()


def test_records_that_their_seed_row_makes_impossible_fail_alone(
    tmp_path: Path,
) -> None:
    seeds = SEEDS.replace("0.9", "-1") + ",2024-02-20,d\n0.7,2024-02-20,e\n"
    dataset = opened(
        tmp_path,
        [limit("x", "lt", "price")],
        seeds=seeds,
        num_records=30,
        row_group_size=10,
    )
    summary = api.generate(dataset)
    assert (summary.generated, summary.failed) == (18, 12)
    layout = dataset.layout.version(dataset.plan.fingerprint.version)
    reasons = layout.failure_list(0).read_text()
    assert (
        f"constraint x < price was not satisfied by any of {MAX_ATTEMPTS:,} draws of record 1; acceptance rate"
        in reasons
    )
    assert [one.failing for one in measure_acceptance(dataset.plan, dataset.seeds)] == [
        12
    ]


def test_an_impossible_constraint_is_an_error_that_names_it(tmp_path: Path) -> None:
    dataset = opened(
        tmp_path, [limit("x", "lt", "y"), limit("x", "gt", 2)], num_records=50
    )
    for attempt in (
        lambda: api.measure_constraints(dataset),
        lambda: api.generate(dataset),
    ):
        with pytest.raises(
            ConstraintError,
            match=r"constraint x > 2 .*of record 0; acceptance rate 0 \(0 of ",
        ):
            attempt()
    assert not dataset.layout.directory.exists(), "no version is created for it"


def test_an_impossible_constraint_is_given_up_soon_where_many_records_say_so(
    tmp_path: Path,
) -> None:
    dataset = opened(tmp_path, [limit("x", "gt", 2)], num_records=100_000)
    with pytest.raises(ConstraintError, match="any of 103 draws"):
        api.measure_constraints(dataset)


def test_acceptance_is_measured(tmp_path: Path) -> None:
    dataset = opened(
        tmp_path, [limit("x", "lt", 0.2), limit("z", "lt", 0)], num_records=5000
    )
    rates = {
        measured.constraints: measured.rate
        for measured in api.measure_constraints(dataset)
    }
    assert rates.keys() == {("x < 0.2",), ("z < 0",)}
    assert abs(rates["x < 0.2",] - 0.2) < 0.02 and abs(rates["z < 0",] - 0.5) < 0.04


def test_a_rare_constraint_is_satisfied_all_the_same(tmp_path: Path) -> None:
    plan = opened(tmp_path, [limit("x", "lt", 0.02)], num_records=300).plan
    assert (drawn(plan, np.arange(300))["x"] < 0.02).all()


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (limit("kind", "lt", 3), "kind < 3 compares a text with a number"),
        (limit("start", "lt", 3), "start < 3 compares a time with a number"),
        (limit("x", "lt", "start"), "x < start compares a number with a time"),
        (limit("x", "lt", "name"), "x < name compares a number with a"),
        (limit("name", "lt", "nothing"), "unknown column 'nothing'"),
        (limit("price", "lt", 3), "neither side is a sampler"),
    ],
)
def test_sides_that_cannot_be_compared_are_refused(
    constraint: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, [constraint], seeds=SEEDS)
    assert message in str(caught.value) and "constraints[0]" in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("lt", [1, 0, 0, 0]),
        ("le", [1, 1, 0, 0]),
        ("gt", [0, 0, 1, 0]),
        ("ge", [0, 1, 1, 0]),
    ],
)
def test_operators_and_nulls(operator: Any, expected: list[int]) -> None:
    frame = {"a": pl.Series([1, 2, 3, None]), "b": pl.Series([2.0, 2.0, 2.0, 2.0])}
    scalar = ScalarInequality(target_column="a", operator=operator, rhs=2)
    column = ColumnInequality(target_column="a", operator=operator, rhs="b")
    assert (
        satisfied(scalar, frame).tolist()
        == satisfied(column, frame).tolist()
        == [bool(one) for one in expected]
    )
