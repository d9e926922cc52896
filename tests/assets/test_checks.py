"""Asset checks: one verdict over the files of a run, and what is declared for the finished dataset."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from pydantic import ValidationError

from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_assets.checks.asset_checks import ALL_CURRENT, ROW_COUNT
from sdg_assets.checks.rule_evaluation import evaluate_rule
from sdg_assets.checks.rules import (
    Bounds,
    CategoryShares,
    Checks,
    DistinctShare,
    Length,
    Mean,
    NullShare,
    Rule,
    Unique,
)
from sdg_assets.checks.run_check import MATCH_PLAN
from sdg_assets.opened.dataset import OpenedDataset
from sdg_core import api
from sdg_core.counts import counted
from sdg_core.errors import IncompleteError, PlanError
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression, uuid

pytestmark = DAGSTER_WARNINGS

FRAME = pl.DataFrame(
    {
        "id": ["a", "b", "c", "c"],
        "plan": ["free", "pro", "free", None],
        "text": ["four", "sixsix", "", None],
        "words": [["x"], ["x", "y"], [], None],
        "judge": [{"tone": {"score": n}} for n in (1, 2, 3, 6)],
        "n": [1, 2, 3, 4],
    }
).lazy()


@pytest.fixture
def location(tmp_path: Path) -> CodeLocation:
    return CodeLocation(tmp_path)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def tickets(**more: Any) -> dict[str, Any]:
    return dataset_config(
        uuid(),
        category("plan", "free", "pro"),
        num_records=40,
        row_group_size=10,
        **more,
    )


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    return {
        evaluation.check_name: evaluation
        for evaluation in result.get_asset_check_evaluations()
    }


@pytest.mark.parametrize(
    ("rule", "passed", "value"),
    [
        (Unique(columns=["id"]), False, 1),
        (Unique(columns=["id"], at_most=1), True, 1),
        (Unique(columns=["id", "n"]), True, 0),
        (Unique(columns=["words"]), True, 0),
        (NullShare(column="plan", at_most=0.25), True, 0.25),
        (NullShare(column="plan", at_most=0.2), False, 0.25),
        (Length(column="text", at_least=1), False, 1 / 3),
        (Length(column="text", at_least=1, share_outside=0.5), True, 1 / 3),
        (Length(column="words", at_most=2), True, 0.0),
        (DistinctShare(column="plan", at_least=0.6), True, 2 / 3),
        (DistinctShare(column="plan", at_most=0.6), False, 2 / 3),
        (
            CategoryShares(column="plan", shares={"free": Bounds(at_most=0.7)}),
            True,
            0.0,
        ),
        (
            CategoryShares(
                column="plan", shares={"free": Bounds(at_most=0.7)}, only=True
            ),
            False,
            1.0,
        ),
        (
            CategoryShares(column="plan", shares={"team": Bounds(at_least=0.1)}),
            False,
            1.0,
        ),
        (CategoryShares(column="n", shares={"1": Bounds(at_least=0.25)}), True, 0.0),
        (Mean(column="judge.tone.score", at_least=3), True, 3.0),
        (Mean(column="n", at_most=2), False, 2.5),
    ],
    ids=repr,
)
def test_measures(rule: Rule, passed: bool, value: float) -> None:
    found = evaluate_rule(rule, FRAME)
    assert (found.passed, found.value) == (passed, pytest.approx(value)), (
        found.description
    )
    assert found.bound


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            Mean(column="nobody", at_least=1),
            "there is no column 'nobody'; there are id, plan",
        ),
        (
            Mean(column="judge.tone.grade", at_least=1),
            "there is no column 'judge.tone.grade'",
        ),
        (Mean(column="plan", at_least=1), "which has no mean"),
        (Length(column="n", at_least=1), "which has no length"),
    ],
    ids=repr,
)
def test_a_rule_that_does_not_fit_its_column_fails_and_says_why(
    rule: Rule, expected: str
) -> None:
    found = evaluate_rule(rule, FRAME)
    assert not found.passed and expected in found.description


@pytest.mark.parametrize(
    "rule",
    [Mean(column="n", at_least=1), DistinctShare(column="n", at_least=0.1)],
    ids=repr,
)
def test_a_number_that_there_is_none_of_is_out_of_bounds(rule: Rule) -> None:
    assert not evaluate_rule(rule, FRAME.filter(pl.col("n") > 10)).passed


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"mean": [{"column": "n"}]}, "give at_least, at_most, or both"),
        (
            {"mean": [{"column": "n", "at_least": 2, "at_most": 1}]},
            "at_least 2 is above at_most 1",
        ),
        ({"null_share": [{"column": "n", "at_most": 2}]}, "less than or equal to 1"),
        ({"unique": [{"columns": []}]}, "at least 1 item"),
        ({"median": [{"column": "n"}]}, "Extra inputs are not permitted"),
        (
            {"mean": [{"column": "n", "at_least": 1}, {"column": "n", "at_least": 2}]},
            "two checks for n",
        ),
        (
            {
                "mean": [{"column": "n", "at_least": 1, "name": "a"}],
                "unique": [{"columns": ["n"], "name": "a"}],
            },
            "two checks are named a",
        ),
    ],
    ids=str,
)
def test_faults_of_rules_are_named(rules: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Checks.model_validate(rules)


def test_a_rule_about_a_column_that_is_not_there_is_found_when_definitions_load(
    location: CodeLocation,
) -> None:
    location.write(
        tickets(), checks=Checks(mean=[Mean(column="grade.score", at_least=1)])
    )
    with pytest.raises(
        PlanError,
        match="check mean_grade_score: the dataset has no column 'grade.score'",
    ):
        location.definitions()


def test_a_ranged_run_has_one_verdict_over_its_files(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(tickets())
    result = location.materialize(
        instance, "tickets/row_groups", tags={RANGE_START: "00000", RANGE_END: "00002"}
    )
    [found] = result.get_asset_check_evaluations()
    assert found.check_name == MATCH_PLAN and found.passed
    assert {name: value.value for name, value in found.metadata.items()} == {
        "row_groups": 3,
        "rows": 30,
        "records_missing": 0,
        "faults": 0,
    }


def test_records_without_a_row_are_a_warning(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    columns = (category("n", 0, 1), expression("q", "{{ 6 // n }}", dtype="int"))
    location.write(
        dataset_config(*columns, num_records=10, row_group_size=10)
        | {"run": {"max_failure_rate": 1.0}}
    )
    result = location.materialize(instance, "tickets/row_groups", partition="00000")
    [found] = result.get_asset_check_evaluations()
    remaining = found.metadata["records_missing"].value
    assert not found.passed and found.severity is dg.AssetCheckSeverity.WARN
    assert (
        isinstance(remaining, int)
        and remaining > 0
        and counted(remaining, "record", "have") + " no row"
        in (found.description or "")
    )


def test_the_finished_dataset_is_checked_after_it_is_made(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    rules = Checks(
        unique=[Unique(columns=["id"])],
        category_shares=[
            CategoryShares(column="plan", shares={"free": Bounds(at_least=0.99)})
        ],
    )
    location.write(tickets(), checks=rules)
    api.generate(location.open("tickets"))
    result = location.materialize(instance, "tickets/dataset")
    found = evaluations(result)
    assert {name: evaluation.passed for name, evaluation in found.items()} == {
        ALL_CURRENT: True,
        ROW_COUNT: True,
        "unique_id": True,
        "category_shares_plan": False,
    }
    assert found[ROW_COUNT].metadata["measured"].value == 40
    assert (
        found["category_shares_plan"].metadata["bound"].value == "free: at least 0.99"
    )
    assert 0 < found["category_shares_plan"].metadata["share/free"].value < 0.99


def test_a_changed_config_and_a_lost_file_are_found_by_the_check_alone(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(tickets())
    summary = api.generate(location.open("tickets"))
    location.materialize(instance, "tickets/dataset")
    summary.version.row_group(2).unlink()
    found = run_checks(location, instance, ALL_CURRENT)
    assert (
        not found[ALL_CURRENT].passed and found[ALL_CURRENT].description == "missing: 2"
    )
    location.write(tickets(seed=8))
    assert (
        run_checks(location, instance, ALL_CURRENT)[ALL_CURRENT].description
        == "missing, stale: 0-3"
    )


def run_checks(
    location: CodeLocation, instance: dg.DagsterInstance, *names: str
) -> dict[str, Any]:
    key = dg.AssetKey(["tickets", "dataset"])
    job = location.repository().get_implicit_global_asset_job_def()
    chosen = job.get_subset(
        asset_selection=set(),
        asset_check_selection={dg.AssetCheckKey(key, n) for n in names},
    )
    return evaluations(chosen.execute_in_process(instance=instance))


def test_rows_that_are_neither_there_nor_listed_as_failed_fail_the_row_count(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    columns = (category("n", 0, 1), expression("q", "{{ 6 // n }}", dtype="int"))
    location.write(
        dataset_config(*columns, num_records=20, row_group_size=10)
        | {"run": {"max_failure_rate": 1.0}}
    )
    summary = api.generate(location.open("tickets"))
    config = {"ops": {"tickets__dataset": {"config": {"allow_missing": True}}}}
    found = evaluations(
        location.materialize(instance, "tickets/dataset", config=config)
    )
    assert (
        found[ROW_COUNT].passed
        and found[ROW_COUNT].metadata["records_missing"].value == summary.failed > 0
    )
    summary.version.failure_list(0).unlink()
    assert not run_checks(location, instance, ROW_COUNT)[ROW_COUNT].passed


def test_a_blocking_rule_holds_back_what_is_downstream_in_the_same_run(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    @dg.asset(deps=[dg.AssetKey(["tickets", "dataset"])])
    def published() -> None:
        raise AssertionError("must not run")

    rule = NullShare(column="plan", at_most=0.0, name="nulls", blocking=True)
    fails = Mean(column="n", at_least=7, blocking=True)
    columns = (category("plan", "free"), category("n", 1, 2))
    location.write(
        dataset_config(*columns), checks=Checks(null_share=[rule], mean=[fails])
    )
    location.add(published)
    api.generate(location.open("tickets"))
    result = location.materialize(
        instance, "tickets/dataset", "published", raise_on_error=False
    )
    assert not result.success
    assert (
        evaluations(result)["nulls"].passed and not evaluations(result)["mean_n"].passed
    )
    assert not result.asset_materializations_for_node("published")


def test_rules_of_a_dataset_that_is_not_finished_say_so(location: CodeLocation) -> None:
    location.write(tickets())
    api.generate(location.open("tickets"))
    with pytest.raises(
        IncompleteError, match="holds no finished dataset of this config"
    ):
        OpenedDataset(location.open("tickets")).finished_files()
