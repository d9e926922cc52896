"""All definitions of the code location by name. A change here is a change that people see: look at it, then write it down."""

from typing import Any

import dagster as dg
import pytest

from sdg_assets.definitions import defs
from tests.support.dagster_process import DAGSTER_WARNINGS

pytestmark = DAGSTER_WARNINGS

DAGSTERS_OWN = {"dagster/component_origin", "dagster/code_references"}
DATASET_CHECKS = ["row_count_matches_plan", "row_groups_complete_and_current"]
ROW_GROUPS_METADATA = [
    "columns",
    "dagster/column_schema",
    "sdg/config",
    "sdg/max_row_groups_per_run",
]
EXPECTED: dict[str, Any] = {
    "assets": {
        "python_docs/passages": [],
        "python_qa/dataset": ["columns", "dagster/column_schema", "sdg/finished_of"],
        "python_qa/row_groups": ROW_GROUPS_METADATA,
        "support_tickets/dataset": [
            "columns",
            "dagster/column_schema",
            "sdg/finished_of",
        ],
        "support_tickets/row_groups": ROW_GROUPS_METADATA,
    },
    "checks": {
        "python_qa/dataset": DATASET_CHECKS,
        "python_qa/row_groups": ["row_groups_match_plan"],
        "support_tickets/dataset": DATASET_CHECKS,
        "support_tickets/row_groups": ["row_groups_match_plan"],
    },
    "jobs": ["__ASSET_JOB", "reconcile", "reopen_dataset"],
    "sensors": {
        "automation": "STOPPED",
        "reconcile_events_with_files": "STOPPED",
        "reject_post_processed": "RUNNING",
        "resume_row_groups": "STOPPED",
    },
    "schedules": {"python_qa_schedule": "0 2 * * *"},
    "resources": ["store"],
}
RUN_CONFIG = {
    "python_qa__row_groups": [
        "max_conversation_correction_steps",
        "max_conversation_restarts",
        "max_cost",
        "max_failure_rate",
        "max_parallel_requests",
        "max_tokens",
        "num_retries",
        "resume",
        "stall_timeout",
        "subset",
        "when_claimed",
    ],
    "python_qa__dataset": ["allow_missing", "max_missing_rate"],
}


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    found = defs().get_repository_def()
    found.load_all_definitions()
    return found


def test_all_definitions(repository: dg.RepositoryDefinition) -> None:
    checks: dict[str, list[str]] = {}
    for key in repository.asset_graph.asset_check_keys:
        checks.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    jobs = [
        job.name
        for job in repository.get_all_jobs()
        if not job.name.startswith("__anonymous")
    ]
    assert {
        "assets": {
            key.to_user_string(): sorted(
                name
                for name in definition.specs_by_key[key].metadata
                if name not in DAGSTERS_OWN
            )
            for key, definition in repository.assets_defs_by_key.items()
        },
        "checks": {key: sorted(names) for key, names in checks.items()},
        "jobs": sorted(
            {"__ASSET_JOB" if name.startswith("__ASSET_JOB") else name for name in jobs}
        ),
        "sensors": {
            sensor.name: sensor.default_status.value
            for sensor in repository.sensor_defs
        },
        "schedules": {
            schedule.name: schedule.cron_schedule
            for schedule in repository.schedule_defs
        },
        "resources": sorted(repository.get_top_level_resources()),
    } == EXPECTED


def test_every_field_of_the_launchpad_is_described(
    repository: dg.RepositoryDefinition,
) -> None:
    for node, names in RUN_CONFIG.items():
        definition = next(
            d for d in repository.assets_defs_by_key.values() if d.op.name == node
        )
        schema = definition.op.config_schema
        assert schema is not None
        fields = schema.config_type.fields  # type: ignore[union-attr]
        assert sorted(fields) == names
        assert all(field.description for field in fields.values())


def test_what_people_see_first_is_described(
    repository: dg.RepositoryDefinition,
) -> None:
    for sensor in repository.sensor_defs:
        assert sensor.description, sensor.name
    for name in ("reconcile", "reopen_dataset"):
        assert repository.get_job(name).description
    for key, definition in repository.assets_defs_by_key.items():
        spec = definition.specs_by_key[key]
        assert spec.description and spec.group_name == key.path[0] and spec.kinds
