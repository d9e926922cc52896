"""Records whose replies come later, as Dagster shows them."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, llm

ROW_GROUPS = dg.AssetKey(["tickets", "row_groups"])
pytestmark = DAGSTER_WARNINGS

CLIENT = """
from sdg_core.errors import ReplyDeferredError

class Later:
    async def complete(self, request):
        raise ReplyDeferredError("later")
"""


def test_what_waits_is_counted_and_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CLIENT, encoding="utf-8")
    skip = {"when": "{{ n == 0 }}", "value": "none"}
    config: dict[str, Any] = dataset_config(
        category("n", 0, 1), llm("text", "Say {{ n }}", skip=skip), num_records=20
    )
    config["model_providers"][0] |= {
        "provider_type": "custom",
        "client": "./own.py:Later",
    }
    location = CodeLocation(tmp_path)
    with dg.instance_for_test() as instance:
        location.write(config)
        assert location.materialize(
            instance, "tickets/row_groups", partition="00000"
        ).success
        [record] = instance.fetch_materializations(ROW_GROUPS, limit=1).records
        assert record.asset_materialization is not None
        found = {
            name: value.value
            for name, value in record.asset_materialization.metadata.items()
        }
        assert (
            found["records_waiting"] == found["records_missing"] > 0
            and found["records_failed"] == 0
        )

        all_wait = dataset_config(llm("text", "Say it"), run={"max_missing_rate": 0.5})
        location.write(all_wait | {"model_providers": config["model_providers"]})
        with pytest.raises(
            dg.DagsterExecutionInterruptedError,
            match="every record of row groups 1 waits for a deferred reply",
        ):
            location.materialize(instance, "tickets/row_groups", partition="00001")
        [run] = instance.get_runs(limit=1)
        assert (
            run.status is dg.DagsterRunStatus.CANCELED
            and run.tags["sdg/rejected"] == "waiting"
        )
        assert (
            "materialize them again once the replies have arrived"
            in run.tags["sdg/reason"]
        )
        partitions = location.repository().assets_defs_by_key[ROW_GROUPS].partitions_def
        assert partitions is not None
        shown = (
            instance.get_status_by_partition(
                ROW_GROUPS, partitions.get_partition_keys(), partitions
            )
            or {}
        )
        assert shown["00001"] is None, "neither made nor failed"
