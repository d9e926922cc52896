"""What the pages of a dataset show: numbers that plot, descriptions, failures, cost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression, llm

pytestmark = DAGSTER_WARNINGS

SERIES = {
    "dagster/partition_row_count",
    "records_missing",
    "records_failed",
    "records_generated",
    "carried",
    "replayed",
    "seconds",
    "usage/requests",
    "usage/prompt_tokens",
    "usage/completion_tokens",
    "would_cost/EUR",
}


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[CodeLocation, dg.DagsterInstance]]:
    """A dataset of which the records with n = 0 fail, generated and finished."""
    config = dataset_config(
        {**category("n", 0, 1), "description": "A number."},
        expression("q", "{{ 6 // n }}", dtype="int"),
        llm("text", "Say {{ q }}"),
        num_records=20,
        row_group_size=20,
    ) | {"run": {"max_failure_rate": 1.0}}
    config["model_configs"][0]["prices"] = {
        "prompt_tokens": 3.0,
        "completion_tokens": 15.0,
        "currency": "EUR",
    }
    location = CodeLocation(tmp_path_factory.mktemp("metadata"))
    location.write(config)
    allow = {"ops": {"tickets__dataset": {"config": {"max_missing_rate": 0.9}}}}
    with dg.instance_for_test() as instance:
        location.materialize(instance, "tickets/row_groups", partition="00000")
        location.materialize(instance, "tickets/dataset", config=allow)
        yield location, instance


def latest(instance: dg.DagsterInstance, name: str) -> dict[str, Any]:
    [record] = instance.fetch_materializations(
        dg.AssetKey(["tickets", name]), limit=1
    ).records
    assert record.asset_materialization is not None
    return {
        key: value.value for key, value in record.asset_materialization.metadata.items()
    }


def test_a_row_group_has_numbers_that_plot(
    made: tuple[CodeLocation, dg.DagsterInstance],
) -> None:
    found = latest(made[1], "row_groups")
    assert found.keys() >= SERIES
    assert all(isinstance(found[name], int | float) for name in SERIES)
    assert found["records_missing"] == found["records_failed"] > 0
    assert found["dagster/partition_row_count"] + found["records_missing"] == 20
    assert found["would_cost/EUR"] > 0


def test_failures_are_a_table_of_what_failed_how_often(
    made: tuple[CodeLocation, dg.DagsterInstance],
) -> None:
    for name in ("row_groups", "dataset"):
        found = latest(made[1], name)
        header, _, row = str(found["failures"]).splitlines()
        assert header == "| records | column | kind | message |"
        assert row.startswith(f"| {found['records_missing']} | q | expression |")


def test_the_finished_dataset_shows_rows_usage_cost_and_a_sample(
    made: tuple[CodeLocation, dg.DagsterInstance],
) -> None:
    location, instance = made
    found, rows = latest(instance, "dataset"), latest(instance, "row_groups")
    assert found["dagster/row_count"] == rows["dagster/partition_row_count"]
    assert found["usage/requests"] == rows["usage/requests"] and found[
        "would_cost/EUR"
    ] == pytest.approx(rows["would_cost/EUR"])
    assert str(found["usage"]).splitlines()[2].startswith("| writer |")
    assert str(found["sample"]).splitlines()[0] == "| n | q | text |"
    columns = {
        column.name: column.description
        for column in found["dagster/column_schema"].columns
    }
    assert columns == {"n": "A number.", "q": None, "text": None}


def test_definitions_describe_columns_before_any_data_is_there(
    made: tuple[CodeLocation, dg.DagsterInstance],
) -> None:
    definition = (
        made[0].repository().assets_defs_by_key[dg.AssetKey(["tickets", "row_groups"])]
    )
    metadata = definition.specs_by_key[dg.AssetKey(["tickets", "row_groups"])].metadata
    assert [column.name for column in metadata["dagster/column_schema"].columns] == [
        "n",
        "q",
        "text",
    ]
    lines = str(metadata["columns"].value).splitlines()
    assert lines[0] == "| column | kind | reads | description |"
    assert lines[2] == "| n | sampler category |  | A number. |" and lines[
        3
    ].startswith("| q | expression | n |")


def test_cells_that_were_not_paid_for_again_are_counted(tmp_path: Path) -> None:
    location = CodeLocation(tmp_path)
    columns = [
        category("n", 0, 1),
        llm("text", "Say {{ n }}"),
        expression("q", "{{ (text | length) // n }}", dtype="int"),
    ]
    settings = {
        "num_records": 20,
        "row_group_size": 20,
        "run": {"max_failure_rate": 1.0},
    }
    counts = []
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "instance")) as instance:
        for last in (
            columns[2],
            columns[2],
            expression("q", "{{ text | length }}", dtype="int"),
        ):
            location.write(dataset_config(*columns[:2], last, **settings))
            location.materialize(instance, "tickets/row_groups", partition="00000")
            found = latest(instance, "row_groups")
            counts.append(
                (found["records_missing"], found["carried"], found["replayed"])
            )
    remaining = counts[0][0]
    assert 0 < remaining < 20
    assert counts == [(remaining, 0, 0), (remaining, 0, remaining), (0, 20, 0)]
