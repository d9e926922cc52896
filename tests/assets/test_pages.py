"""What people see on the pages of Dagster: what they look for first, as they would write it, and small enough to keep."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from dagster._serdes import serialize_value

from sdg_assets.assets.sealed_guard import REASON_TAG
from sdg_assets.recording.metadata import preview
from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.errors import SdgError
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression, llm

pytestmark = DAGSTER_WARNINGS
ROW_GROUPS = dg.AssetKey(["tickets", "row_groups"])
HALF_FAIL = dataset_config(
    category("n", 0, 1),
    expression("q", "{{ 6 // n }}", dtype="int"),
    llm("t", "{{ q }}"),
)
HALF_FAIL |= {"run": {"max_failure_rate": 1.0, "num_retries": 2}, "num_records": 30}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "instance")) as instance:
        yield instance


def latest(instance: dg.DagsterInstance) -> dg.EventLogRecord:
    [record] = instance.fetch_materializations(ROW_GROUPS, limit=1).records
    return record


def test_what_one_looks_for_comes_first_and_labels_are_text(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    config = {
        **HALF_FAIL,
        "model_configs": [
            {**HALF_FAIL["model_configs"][0], "prices": {"prompt_tokens": 0.1}}
        ],
    }
    location.write(config)
    result = location.materialize(instance, "tickets/row_groups", partition="00001")
    event = latest(instance).asset_materialization
    assert event is not None
    names = list(event.metadata)
    assert names[:4] == [
        "records_generated",
        "records_failed",
        "seconds",
        "would_cost/USD",
    ]
    assert (
        names.index("preview")
        < names.index("config_fingerprint")
        < names.index("dagster/column_schema")
    )
    assert {name: event.metadata[name].value for name in ("row_group", "start")} == {
        "row_group": "1",
        "start": "10",
    }
    assert "usage/images" not in names
    assert "usage/cached_tokens" not in names
    (check,) = result.get_asset_check_evaluations()
    assert re.search(
        r"^\d+ records? ha(s|ve) no row, in row groups 00001: ", check.description or ""
    )


def test_a_hundred_columns_fit_into_a_small_event(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    text = "{{ n }} and a line of text that goes on for a while, as texts do in the real world"
    many = [
        {**expression(f"column_{i}", text), "description": "What it says."}
        for i in range(99)
    ]
    location.write(dataset_config(category("n", 1, 2), *many))
    location.materialize(instance, "tickets/row_groups", partition="00000")
    record = latest(instance)
    assert len(serialize_value(record.event_log_entry)) < 8000
    assert record.asset_materialization is not None
    assert "and 80 more columns" in str(
        record.asset_materialization.metadata["preview"].value
    )


def test_a_preview_of_nested_values_is_a_block_of_json_per_record() -> None:
    rows = [
        {"id": 1, "judge": {"score": None, "why": "it's so"}},
        {"id": 2, "judge": {"score": 3, "why": "b|c"}},
    ]
    shown = str(preview(pa.Table.from_pylist(rows)).value)
    assert shown.startswith(
        '**Record 1**\n\n- **id**: 1\n- **judge**: {"score":null,"why":"it\'s so"}\n\n**Record 2**'
    )
    flat = str(preview(pa.table({"a": ["x", None], "b": [True, False]})).value)
    assert flat.splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| x | true |",
        "| null | false |",
    ]


def test_a_row_group_without_rows_says_why_and_has_no_empty_preview(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    fails = dataset_config(
        category("n", 0), expression("q", "{{ 6 // n }}", dtype="int")
    )
    location.write({**fails, "run": {"max_failure_rate": 1.0, "max_missing_rate": 1.0}})
    location.materialize(instance, "tickets/row_groups", partition="00000")
    event = latest(instance).asset_materialization
    assert event is not None
    assert event.metadata["dagster/partition_row_count"].value == 0
    assert {"first_failure", "failures"} <= set(event.metadata)
    assert "preview" not in event.metadata


def test_a_check_describes_itself_as_its_file_does(tmp_path: Path) -> None:
    location = CodeLocation(tmp_path)
    rules = {"category_shares": [{"column": "n", "shares": {"1": {"at_least": 0.2}}}]}
    location.write(HALF_FAIL, checks=rules)
    specs = [
        spec
        for checks in location.repository().asset_checks_defs_by_key.values()
        for spec in checks.check_specs
    ]
    described = {spec.name: spec.description for spec in specs}
    assert (
        'category shares: column n, shares {"1":{"at_least":0.2}}' in described.values()
    )


def test_the_launchpad_offers_what_the_file_says(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    location.write(HALF_FAIL)
    asset = location.repository().assets_defs_by_key[ROW_GROUPS]
    offered = asset.op.config_schema.as_field().default_value
    assert offered["resume"] == "if_possible"
    assert offered["num_retries"] == 2
    assert offered["max_failure_rate"] == 1.0
    given = {"ops": {"tickets__row_groups": {"config": {**offered, "subset": "1"}}}}
    assert location.materialize(
        instance, "tickets/row_groups", partition="00001", config=given
    ).success


CLI_WORDS = re.compile(r"--\w|`sdg |FILE|generate (again|them first)")


def test_remedies_speak_of_run_config_and_jobs(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Every refusal that a run can meet, each by doing what is refused."""
    location = CodeLocation(tmp_path)
    location.write(HALF_FAIL)
    location.materialize(instance, "tickets/row_groups", partition="00000")
    refused: list[SdgError] = []

    def attempt(**changes: object) -> None:
        location.write({**HALF_FAIL, **changes})
        for verb in (
            lambda: api.generate(location.open("tickets"), resume="always"),
            lambda: api.process(location.open("tickets")),
        ):
            try:
                verb()
            except SdgError as error:
                refused.append(error)

    attempt(num_records=5)
    attempt(row_group_size=7)
    attempt(seed=99)
    attempt()
    api.process(location.open("tickets"), allow_missing=True)
    attempt()
    attempt(
        processors=[
            {
                "processor_type": "schema_transform",
                "name": "chat",
                "template": {"a": "{{ n }}"},
            }
        ]
    )
    assert len({error.remedy for error in refused}) > 4
    for error in refused:
        assert error.remedy is None or not CLI_WORDS.search(
            in_dagster(error).partition("\n  -> ")[2]
        ), error
        assert in_dagster(error).partition("\n")[0] == str(error).partition("\n")[0]


def test_the_reason_of_a_rejection_is_on_the_run(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    location.write(dataset_config(category("n", 1, 2), num_records=10))
    dataset = location.open("tickets")
    api.generate(dataset)
    api.process(dataset)
    result = location.materialize(
        instance, "tickets/row_groups", partition="00000", raise_on_error=False
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert "was post-processed" in run.tags[REASON_TAG]
    assert "`reopen_dataset`" in run.tags[REASON_TAG]


def test_columns_that_nobody_described_say_where_they_come_from(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    (tmp_path / "products.csv").write_text("product\nlamp\n", encoding="utf-8")
    seeds = {
        "seed_config": {"source": {"seed_type": "local", "path": "products.csv"}},
        "num_records": 1,
    }
    location.write(
        dataset_config(
            {**expression("text", "{{ product }}"), "description": "A product."},
            **seeds,
        )
    )
    location.materialize(
        instance, "tickets/row_groups", "tickets/dataset", partition="00000"
    )
    for name in ("row_groups", "dataset"):
        event = instance.get_latest_materialization_event(
            dg.AssetKey(["tickets", name])
        )
        assert event is not None and event.asset_materialization is not None
        schema = event.asset_materialization.metadata["dagster/column_schema"].value
        assert isinstance(schema, dg.TableSchema)
        described = {column.name: column.description for column in schema.columns}
        assert described == {
            "product": "Seed data from products.csv.",
            "text": "A product.",
        }, name


def test_the_page_of_sources_begins_with_rows_and_failures(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    (tmp_path / "a.txt").write_text("one two", encoding="utf-8")
    columns = [
        {
            **expression("loud", "{{ content | upper }}"),
            "description": "The same, louder.",
        }
    ]
    stages = [{"stage": "columns", "columns": columns}]
    location.write(
        {
            "kind": "pipeline",
            "name": "notes",
            "sources": {"reader": "files", "path": "*.txt"},
            "stages": stages,
        }
    )
    location.tick(instance, "discover_sources")
    location.materialize(instance, "notes/sources", partition="00000")
    event = instance.get_latest_materialization_event(dg.AssetKey(["notes", "sources"]))
    assert event is not None and event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert list(metadata)[:4] == ["rows", "sources", "sources_failed", "tasks_read"]
    schema = metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    described = {column.name: column.description for column in schema.columns}
    assert described["loud"] == "The same, louder."
    assert described["_source"] == "The source of the row."
