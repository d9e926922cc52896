"""Processors that leave records out, as Dagster shows them: filtered is not failed."""

from pathlib import Path

import dagster as dg

from sdg_assets.checks.asset_checks import ROW_COUNT
from sdg_core import api
from tests.assets.test_checks import evaluations
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression, uuid

pytestmark = DAGSTER_WARNINGS


def test_the_row_count_allows_for_removed_records_besides_failed_ones(
    tmp_path: Path,
) -> None:
    location = CodeLocation(tmp_path)
    columns = (
        uuid(),
        category("n", 0, 1, 2, 3),
        expression("q", "{{ 6 // n }}", dtype="int"),
    )
    keep = {"processor_type": "filter", "name": "big", "keep": "{{ q >= 3 }}"}
    config = dataset_config(
        *columns, num_records=40, row_group_size=10, processors=[keep]
    )
    location.write(config | {"run": {"max_failure_rate": 1.0}})
    failed = api.generate(location.open("tickets")).failed
    with dg.instance_for_test() as instance:
        run = {"ops": {"tickets__dataset": {"config": {"allow_missing": True}}}}
        result = location.materialize(instance, "tickets/dataset", config=run)
        check = evaluations(result)[ROW_COUNT]
        [event] = [
            event.step_materialization_data.materialization
            for event in result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["tickets", "dataset"])
        ]
    removed = event.metadata["removed/big"].value
    assert failed > 0 and removed > 0
    assert (
        event.metadata["records_failed"].value == failed
        and event.metadata["records_removed"].value == removed
    )
    assert event.metadata["dagster/row_count"].value == 40 - failed - removed
    assert check.passed and check.metadata["records_removed"].value == removed


def test_records_of_which_no_candidate_was_kept_are_neither_missing_nor_failed(
    tmp_path: Path,
) -> None:
    location = CodeLocation(tmp_path)
    columns = (uuid(), category("n", 1, 2, 3))
    select = {"keep": "{{ n == 3 }}", "candidates": 2}
    location.write(
        dataset_config(*columns, num_records=40, row_group_size=20, select=select)
    )
    with dg.instance_for_test() as instance:
        for key in ("00000", "00001"):
            location.materialize(instance, "tickets/row_groups", partition=key)
        found = instance.fetch_materializations(
            dg.AssetKey(["tickets", "row_groups"]), limit=10
        ).records
        groups = [
            record.asset_materialization
            for record in found
            if record.asset_materialization is not None
        ]
        result = location.materialize(instance, "tickets/dataset")
        check = evaluations(result)[ROW_COUNT]
        [event] = result.asset_materializations_for_node("tickets__dataset")
    dropped = event.metadata["records_dropped"].value
    assert (
        dropped > 0
        and event.metadata["records_missing"].value
        == event.metadata["records_failed"].value
        == 0
    )
    assert event.metadata["dagster/row_count"].value == 40 - dropped
    assert sum(group.metadata["records_dropped"].value for group in groups) == dropped
    assert (
        sum(group.metadata["candidates_rejected"].value for group in groups) > dropped
    )
    assert all(group.metadata["records_missing"].value == 0 for group in groups)
    assert check.passed and check.metadata["records_dropped"].value == dropped
