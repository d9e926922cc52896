"""Records whose replies come later, as Dagster shows them."""

from pathlib import Path
from typing import Any

import dagster as dg

from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, llm

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
    config: dict[str, Any] = dataset_config(category("n", 0, 1), llm("text", "Say {{ n }}", skip=skip), num_records=20)
    config["model_providers"][0] |= {"provider_type": "custom", "client": "./own.py:Later"}
    location = CodeLocation(tmp_path)
    with dg.instance_for_test() as instance:
        location.write(config)
        assert location.materialize(instance, "tickets/row_groups", partition="00000").success
        [record] = instance.fetch_materializations(dg.AssetKey(["tickets", "row_groups"]), limit=1).records
        assert record.asset_materialization is not None
        found = {name: value.value for name, value in record.asset_materialization.metadata.items()}
        assert found["records_waiting"] == found["records_missing"] > 0 and found["records_failed"] == 0

        location.write(dataset_config(llm("text", "Say it")) | {"model_providers": config["model_providers"]})
        run = location.materialize(instance, "tickets/row_groups", partition="00001", raise_on_error=False)
        message = str(run.failure_data_for_node("tickets__row_groups"))
        assert "every record of row groups 1 waits for a reply that comes later" in message
        assert "no record could be made" not in message
