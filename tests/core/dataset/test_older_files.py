"""Files and a ledger that release 0.1 left when it was killed are resumed, described, processed, reported on and pruned."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from sdg_core import api

FIXTURE = Path(__file__).parents[2] / "fixtures" / "older"


@pytest.fixture
def older(tmp_path: Path) -> api.Dataset:
    shutil.copytree(FIXTURE, tmp_path / "older")
    return api.open_dataset(
        tmp_path / "older" / "dataset.yaml", root=str(tmp_path / "older" / "store")
    )


def rows(dataset: api.Dataset) -> pl.DataFrame:
    files = sorted(
        dataset.layout.version("c1e40b3076b4").row_groups.glob("batch_*.parquet")
    )
    return pl.concat([pl.read_parquet(file) for file in files])


def test_the_fingerprint_is_the_one_that_the_older_release_computed(
    older: api.Dataset,
) -> None:
    assert older.plan.fingerprint.config_hash.startswith("sha256:c1e40b3076b4")


def test_what_it_left_is_resumed_and_nothing_is_asked_twice(older: api.Dataset) -> None:
    status = api.status(older).to_dict()
    assert status["states"]["complete"]["keys"] == ["00000"] and status["states"][
        "missing"
    ]["keys"] == [
        "00001",
        "00002",
    ]
    before = rows(older)
    # row group 1 whole, and what had arrived of row group 2, two cells a record
    journaled = 38

    summary = api.generate(older)

    assert (summary.generated, summary.failed, summary.remaining, summary.adopted) == (
        20,
        0,
        0,
        1,
    )
    assert summary.replayed == journaled
    after = rows(older)
    assert after.height == 30 and after.head(10).equals(before)


def test_the_runs_of_the_older_release_are_history(older: api.Dataset) -> None:
    runs = [(run.version, run.outcome) for run in api.history(older)]
    assert runs == [("c1e40b3076b4", None), ("c1e40b3076b4", "done")]


def test_an_edit_starts_a_version_and_the_older_one_can_be_pruned(
    older: api.Dataset, tmp_path: Path
) -> None:
    api.generate(older)
    file = tmp_path / "older" / "dataset.yaml"
    file.write_text(file.read_text().replace("mean: 40", "mean: 50"))
    edited = api.open_dataset(file, root=str(file.parent / "store"))

    summary = api.generate(edited)

    assert (summary.generated, summary.carried) == (30, 60), (
        "replies of unchanged columns are carried over"
    )
    assert [version.name for version in api.prune(edited)] == ["c1e40b3076b4"]


def test_it_is_processed_reported_on_and_exported(
    older: api.Dataset, tmp_path: Path
) -> None:
    api.generate(older)
    assert api.process(older).num_rows == 30
    assert api.report(older).path.exists()
    assert api.export(older, tmp_path / "out.parquet").num_rows == 30
