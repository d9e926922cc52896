"""What a person does in Dagster's UI, by the requests that the UI sends."""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tests.support.requirements import PATIENCE

REPOSITORY = "__repository__"
ASSET_JOB = "__ASSET_JOB"
RANGE_START, RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], *, what: str) -> T:
    """The first result of `condition` that is not None. Raises TimeoutError that says `what` was waited for."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if (result := condition()) is not None:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s")
        # Each look costs the webserver, or an instance opened here, tens of milliseconds.
        time.sleep(1.0)


class DagsterGraphql:
    """The webserver at `url`, and the code location that it serves."""

    def __init__(self, url: str, *, location: str) -> None:
        self.url = url
        self.location = location

    def graphql(
        self, query: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The data of a GraphQL answer. Raises AssertionError if it has errors."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        assert isinstance(data, dict)
        return data

    def launch_range(
        self,
        asset: str,
        first: str,
        last: str,
        *,
        tags: Mapping[str, str] | None = None,
        config: Any = None,
    ) -> str:
        """Launch a run over a range of partitions, as the UI does; its id."""
        all_tags = {RANGE_START: first, RANGE_END: last, **(tags or {})}
        params = {
            "selector": {
                "repositoryName": REPOSITORY,
                "repositoryLocationName": self.location,
                "jobName": ASSET_JOB,
                "assetSelection": [{"path": asset.split("/")}],
            },
            "runConfigData": config or {},
            "executionMetadata": {
                "tags": [
                    {"key": key, "value": value} for key, value in all_tags.items()
                ]
            },
        }
        result = self.graphql(_LAUNCH_RUN, {"params": params})["launchRun"]
        assert result["__typename"] == "LaunchRunSuccess", result
        return str(result["run"]["runId"])

    def launch_backfill(
        self,
        asset: str,
        partitions: Sequence[str],
        *,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Launch a backfill, as the UI does; its id."""
        params = {
            "assetSelection": [{"path": asset.split("/")}],
            "partitionNames": list(partitions),
            "tags": [
                {"key": key, "value": value} for key, value in (tags or {}).items()
            ],
        }
        result = self.graphql(_LAUNCH_BACKFILL, {"params": params})[
            "launchPartitionBackfill"
        ]
        assert result["__typename"] == "LaunchBackfillSuccess", result
        return str(result["backfillId"])

    def run_of_backfill(self, backfill_id: str) -> str:
        """The id of a backfill's first run, once the daemon has made it."""

        def run_id() -> str | None:
            return next(iter(self.runs_of_backfill(backfill_id)), None)

        return wait_for(run_id, what=f"a run of backfill {backfill_id}")

    def backfill_started(self, backfill_id: str) -> bool:
        """Wait until a backfill has a run, or has failed without one, as it does for partitions that the daemon does not know."""

        def started() -> bool | None:
            if self.runs_of_backfill(backfill_id):
                return True
            status = self.graphql(_BACKFILL, {"id": backfill_id})[
                "partitionBackfillOrError"
            ]["status"]
            return False if status == "FAILED" else None

        return wait_for(started, what=f"the start of backfill {backfill_id}")

    def finished(self, run_id: str) -> str:
        """The status that a run ends with."""

        def status() -> str | None:
            now = self.graphql(
                "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }",
                {"id": run_id},
            )["runOrError"]["status"]
            return str(now) if now in ("SUCCESS", "FAILURE", "CANCELED") else None

        return wait_for(status, what=f"the end of run {run_id}")

    def terminate(self, run_id: str) -> None:
        """Ask for the end of a run, as the UI's *Terminate* does."""
        result = self.graphql(_TERMINATE, {"id": run_id})["terminateRun"]
        assert result["__typename"] == "TerminateRunSuccess", result

    def cancel_backfill(self, backfill_id: str) -> None:
        """Cancel a backfill and its runs."""
        result = self.graphql(_CANCEL_BACKFILL, {"id": backfill_id})[
            "cancelPartitionBackfill"
        ]
        assert result["__typename"] == "CancelBackfillSuccess", result

    def retry_backfill(self, backfill_id: str) -> str:
        """Launch a backfill for what another one did not materialize, as the UI's *Re-execute from failure* does; its id."""
        params = {"parentRunId": backfill_id, "strategy": "FROM_FAILURE"}
        result = self.graphql(_RETRY_BACKFILL, {"params": params})[
            "reexecutePartitionBackfill"
        ]
        assert result["__typename"] == "LaunchBackfillSuccess", result
        return str(result["backfillId"])

    def backfill_ended(self, backfill_id: str) -> str:
        """The status that a backfill ends with."""

        def status() -> str | None:
            now = self.graphql(_BACKFILL, {"id": backfill_id})[
                "partitionBackfillOrError"
            ]["status"]
            return (
                str(now) if now not in ("REQUESTED", "CANCELING", "FAILING") else None
            )

        return wait_for(status, what=f"the end of backfill {backfill_id}")

    def runs_of_backfill(self, backfill_id: str) -> list[str]:
        """The ids of a backfill's runs."""
        runs = self.graphql(_RUNS_OF_BACKFILL, {"id": backfill_id})["runsOrError"][
            "results"
        ]
        return [str(run["runId"]) for run in runs]

    def partitions(self, asset: str) -> dict[str, set[str]]:
        """The partitions of an asset by their colour on its page: materialized, failed, missing, materializing."""
        [node] = self.graphql(_PARTITIONS, {"keys": [{"path": asset.split("/")}]})[
            "assetNodes"
        ]
        found = node["assetPartitionStatuses"]
        return {
            "materialized": set(found["materializedPartitions"]),
            "failed": set(found["failedPartitions"]),
            "missing": set(found["unmaterializedPartitions"]),
            "materializing": set(found["materializingPartitions"]),
        }

    def reload(self) -> None:
        """Load the code location again, as the UI's *Reload* does."""
        result = self.graphql(_RELOAD, {"name": self.location})[
            "reloadRepositoryLocation"
        ]
        assert result["__typename"] == "WorkspaceLocationEntry", result

    def sensor_ticks(self, sensor: str) -> list[str]:
        """The status of a sensor's latest ticks."""
        selector = {
            "repositoryName": REPOSITORY,
            "repositoryLocationName": self.location,
            "sensorName": sensor,
        }
        found = self.graphql(_SENSOR_TICKS, {"selector": selector})
        assert "sensorState" in found["sensorOrError"], found
        return [
            tick["status"] for tick in found["sensorOrError"]["sensorState"]["ticks"]
        ]


_LAUNCH_RUN = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_LAUNCH_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_SENSOR_TICKS = """
query($selector: SensorSelector!) {
  workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { ... on PythonError { message } } } } }
  sensorOrError(sensorSelector: $selector) { ... on Sensor { sensorState { ticks(limit: 5) { status } } } }
}
"""
_TERMINATE = """
mutation($id: String!) {
  terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
}
"""
_CANCEL_BACKFILL = """
mutation($id: String!) {
  cancelPartitionBackfill(backfillId: $id) { __typename ... on PythonError { message } }
}
"""
_RETRY_BACKFILL = """
mutation($params: ReexecutionParams!) {
  reexecutePartitionBackfill(reexecutionParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_BACKFILL = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""
_RUNS_OF_BACKFILL = """
query($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) { ... on Runs { results { runId } } }
}
"""
_PARTITIONS = """
query($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) {
    assetPartitionStatuses {
      ... on DefaultPartitionStatuses {
        materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions
      }
    }
  }
}
"""
_RELOAD = """
mutation($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) { __typename ... on PythonError { message } }
}
"""
