"""Files and a ledger of a pipeline that an earlier commit left behind when it was killed.

One partition is finished; of the other two the replies are in the journal, and their claims are numbered as they were then.
"""

import shutil
from pathlib import Path

import pytest

from sdg_core.api import pipelines

FIXTURE = Path(__file__).parents[2] / "fixtures" / "older_pipeline"
VERSION = "2cc38746d324"


@pytest.fixture
def older(tmp_path: Path) -> pipelines.OpenPipeline:
    shutil.copytree(FIXTURE, tmp_path / "older")
    return opened(tmp_path)


def opened(directory: Path) -> pipelines.OpenPipeline:
    older = directory / "older"
    return pipelines.open_pipeline(older / "pipeline.yaml", root=str(older / "store"))


def test_what_it_left_is_resumed_and_nothing_is_asked_twice(
    older: pipelines.OpenPipeline,
) -> None:
    assert pipelines.status(older).version == VERSION
    states = [status.state for status in pipelines.status(older).partitions]
    assert states == ["complete", "missing", "missing"]
    finished = older.layout.version(VERSION).row_group(0)
    before = finished.read_bytes()

    summary = pipelines.generate(older)

    assert (summary.made, summary.failures, summary.replayed) == (2, (), 6)
    assert finished.read_bytes() == before
    assert pipelines.generate(older).made == 0


def test_its_runs_are_history(older: pipelines.OpenPipeline) -> None:
    assert [run.outcome for run in pipelines.status(older).runs] == [None, "done"]


def test_it_is_processed_and_reported_on(older: pipelines.OpenPipeline) -> None:
    pipelines.generate(older)
    assert pipelines.process(older).num_rows == 9
    assert pipelines.report(older).path.exists()


def test_an_edit_starts_a_version_and_the_older_one_can_be_pruned(
    older: pipelines.OpenPipeline, tmp_path: Path
) -> None:
    pipelines.generate(older)
    file = tmp_path / "older" / "pipeline.yaml"
    file.write_text(file.read_text().replace("'skip' not in", "'a2' not in"))
    edited = opened(tmp_path)

    assert pipelines.generate(edited).made == 3

    assert [version.name for version in pipelines.prune(edited).versions] == [VERSION]
