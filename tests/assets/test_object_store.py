"""The same assets with the storage root in an object store."""

from pathlib import Path

import pytest

from sdg_core.store.layout import resolve_root
from tests.support.dagster_process import DAGSTER_WARNINGS, make_home
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.slow, *DAGSTER_WARNINGS]


def test_an_upstream_asset_row_groups_and_the_finished_dataset_lie_in_a_bucket(
    tmp_path: Path, s3: S3Server
) -> None:
    root = s3.new_root()
    home = make_home(
        tmp_path,
        env={**s3.env, "SDG_ROOT": root, "XDG_STATE_HOME": str(tmp_path / "state")},
    )
    for select, options in (
        ("python_docs/passages", []),
        ("python_qa/row_groups", ["--partition-range", "00000...00007"]),
        ("python_qa/dataset", []),
    ):
        result = home.materialize(select, *options)
        assert result.returncode == 0, result.stderr
    [passages] = home.materializations("python_docs/passages")
    assert (
        passages.metadata["dagster/uri"].value == f"{root}/python_docs/passages.parquet"
    )
    events = home.materializations("python_qa/row_groups")
    assert [event.partition for event in events] == [
        f"{index:05d}" for index in range(8)
    ]
    uris = [str(event.metadata["dagster/uri"].value) for event in events]
    assert all(
        uri.startswith(f"{root}/python_qa/") and uri.endswith(".parquet")
        for uri in uris
    )
    assert all(resolve_root(uri, env={}, base=tmp_path).is_file() for uri in uris)
    [finished] = home.materializations("python_qa/dataset")
    assert finished.metadata["dagster/row_count"].value == 2000
    assert str(finished.metadata["dagster/uri"].value).endswith("/processed/dataset")
    assert not home.root.exists(), "nothing is written where no root is"
