"""The report of a finished dataset on its page in Dagster: where it is, its columns in short, scores that plot."""

from pathlib import Path

import dagster as dg

from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, llm

pytestmark = DAGSTER_WARNINGS

JUDGE = {
    "column_type": "llm-judge",
    "name": "quality",
    "model_alias": "writer",
    "prompt": "judge {{ text }}",
    "scores": [
        {
            "name": "help",
            "description": "Does it help?",
            "options": {1: "not at all", 2: "a bit"},
        },
        {
            "name": "tone",
            "description": "How does it sound?",
            "options": {"rude": "r", "kind": "k"},
        },
    ],
}


def test_a_finished_dataset_names_its_report_and_sums_it_up(tmp_path: Path) -> None:
    location = CodeLocation(tmp_path)
    config = dataset_config(
        category("plan", "a|b", "pro"), llm("text", "{{ plan }}"), JUDGE
    )
    location.write({**config, "num_records": 10})
    with dg.instance_for_test() as instance:
        location.materialize(instance, "tickets/row_groups", partition="00000")
        for again in (False, True):
            result = location.materialize(instance, "tickets/dataset")
            (event,) = result.asset_materializations_for_node("tickets__dataset")
            assert event.metadata["adopted"].value is again
            check(event)
    version = location.open("tickets").layout.version(
        location.open("tickets").plan.fingerprint.version
    )
    assert version.report_html.exists()
    assert event.metadata["report"] == dg.MetadataValue.path(str(version.report_html))


def check(event: dg.AssetMaterialization) -> None:
    summary = event.metadata["report_summary"]
    assert isinstance(summary, dg.MarkdownMetadataValue)
    lines = str(summary.value).splitlines()
    assert (
        lines[0] == "| column | summary | null | distinct | type |" and len(lines) == 5
    )
    assert (
        lines[2].startswith("| plan | ")
        and lines[2].endswith(" | 0 | 2 | string |")
        and "a\\|b" in lines[2]
    )
    assert (
        "characters, mean" in lines[3]
        and lines[4].startswith("| quality | ")
        and "| struct\\<help:" in lines[4]
    )
    mean = event.metadata["mean/quality.help"].value
    assert isinstance(mean, float) and 1 <= mean <= 2
    assert "mean/quality.tone" not in event.metadata, (
        "scores that are words have no mean"
    )
