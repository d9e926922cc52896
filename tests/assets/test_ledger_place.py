"""A ledger that is pointed at Dagster's own database, which has a table `runs` too."""

from pathlib import Path

import dagster as dg
import pytest

from sdg_core import api
from sdg_core.errors import LedgerError
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, open_dataset, uuid

pytestmark = DAGSTER_WARNINGS


def test_dagsters_own_database_is_refused_and_keeps_its_runs(tmp_path: Path) -> None:
    @dg.job
    def some_job() -> None: ...

    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        run_id = some_job.execute_in_process(instance=instance).run_id
        [database] = tmp_path.rglob("runs.db")
        dataset = open_dataset(
            tmp_path / "tickets.yaml",
            dataset_config(uuid()),
            root=tmp_path / "root",
            env={"SDG_LEDGER_URL": f"sqlite:///{database}"},
        )
        with pytest.raises(
            LedgerError,
            match=r"runs\.db belongs to another program(.|\n)*create a separate database",
        ):
            api.generate(dataset)
        assert instance.get_run_by_id(run_id) is not None
        assert not list((tmp_path / "root").rglob("*.parquet"))
