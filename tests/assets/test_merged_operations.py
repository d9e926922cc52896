"""Definitions that were each given operations can be merged: sensors and jobs then look after all of them."""

from pathlib import Path
from typing import Any

import dagster as dg

from sdg_core import api
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS, make_home
from tests.support.location import MODULE
from tests.support.sdg import dataset_config, uuid

pytestmark = DAGSTER_WARNINGS

LOCATION = """
import dagster as dg
from pathlib import Path
from sdg_assets import Dataset, SourcePipeline, with_operations

HERE = Path(__file__).parent
CONTEXT = dg.ComponentTree.for_test().load_context

def one(component, name):
    return with_operations(component(config=str(HERE / name)).build_defs(CONTEXT))

defs = dg.Definitions.merge(one(Dataset, "tickets.yaml"), one(Dataset, "reviews.yaml"), one(SourcePipeline, "notes.yaml"))
"""
PIPELINE: dict[str, Any] = {
    "kind": "pipeline",
    "name": "notes",
    "sources": {"reader": "files", "path": "docs/*.txt"},
    "stages": [{"stage": "split", "column": "content", "unit": "words", "size": 2}],
}


def write(directory: Path) -> CodeLocation:
    location = CodeLocation(directory)
    for name in ("tickets", "reviews"):
        location.write({**dataset_config(uuid()), "name": name})
    (directory / "docs").mkdir(parents=True)
    (directory / "docs" / "a.txt").write_text("one two three")
    location.write(PIPELINE)
    return location


def test_merged_definitions_load_and_their_jobs_look_after_all(tmp_path: Path) -> None:
    home = make_home(tmp_path, module=MODULE)
    package = home.directory / MODULE.partition(".")[0]
    location = write(package)
    (package / "__init__.py").touch()
    (package / "definitions.py").write_text(LOCATION)
    for name in ("tickets", "reviews"):
        api.generate(api.open_dataset(package / f"{name}.yaml", root=str(home.root)))
    assert location.open("tickets").name == "tickets"
    for job in ("discover_sources", "reconcile"):
        done = home.run("job", "execute", "-m", MODULE, "-j", job)
        assert done.returncode == 0, done.stderr
    with home.instance() as instance:
        assert list(instance.get_dynamic_partitions("notes_sources")) == ["00000"]
    assert home.materialized_partitions("tickets/row_groups") == {
        "00000",
        "00001",
        "00002",
    }
    assert home.materialized_partitions("reviews/row_groups") == {
        "00000",
        "00001",
        "00002",
    }


def test_a_job_executed_by_itself_has_what_it_was_built_with(tmp_path: Path) -> None:
    location = write(tmp_path)
    api.generate(location.open("tickets"))
    job = location.definitions().resolve_job_def("reconcile")
    with dg.instance_for_test() as instance:
        assert job.execute_in_process(instance=instance).success
        assert (
            len(
                instance.get_materialized_partitions(
                    dg.AssetKey(["tickets", "row_groups"])
                )
            )
            == 3
        )
