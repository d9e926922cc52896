"""Real Dagster processes on an instance of their own: command line, webserver, daemon.

A home holds a copy of the project's dagster.yaml, whose paths are relative to the working directory; so every process runs
there, and so does whoever opens the instance in this process. Data goes to the home's own storage root.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pytest

PROJECT = Path(__file__).resolve().parents[2]
MODULE = "sdg_assets.definitions"
LOCATION = MODULE
REPOSITORY = "__repository__"
ASSET_JOB = "__ASSET_JOB"
T = TypeVar("T")

DAGSTER_WARNINGS = [
    pytest.mark.filterwarnings(f"ignore::{warning}")
    for warning in ("dagster.BetaWarning", "dagster.PreviewWarning", "pydantic.warnings.PydanticDeprecatedSince20")
]
"""Marks for tests that load definitions in their own process: what Dagster warns of there is not ours to mend."""
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class DagsterHome:
    """An instance and a storage root that no other test shares."""

    directory: Path
    root: Path

    @property
    def env(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "SDG_"))}
        return {**env, "DAGSTER_HOME": str(self.directory), "SDG_ROOT": str(self.root), "PYTHONUNBUFFERED": "1"}

    def run(self, *arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """`dagster ...` in the home."""
        command = [sys.executable, "-m", "dagster", *arguments]
        return subprocess.run(
            command, cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )

    def materialize(self, select: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`dagster asset materialize`, as a person types it."""
        return self.run("asset", "materialize", "-m", MODULE, "--select", select, *options)

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The instance, opened in this process."""
        with contextlib.chdir(self.directory), dg.DagsterInstance.from_config(str(self.directory)) as instance:
            yield instance

    def runs(self) -> list[dg.DagsterRun]:
        """All runs, the latest first."""
        with self.instance() as instance:
            return list(instance.get_runs())

    def materializations(self, asset: str, *, run_id: str | None = None) -> list[dg.AssetMaterialization]:
        """Recorded materializations of an asset, oldest first; of one run if `run_id` is given."""
        with self.instance() as instance:
            records = instance.fetch_materializations(dg.AssetKey(asset.split("/")), limit=1000).records
        chosen = [record for record in reversed(records) if run_id is None or record.run_id == run_id]
        return [record.asset_materialization for record in chosen if record.asset_materialization is not None]

    def materialized_partitions(self, asset: str) -> set[str]:
        """Partitions that the asset's page shows green."""
        with self.instance() as instance:
            return set(instance.get_materialized_partitions(dg.AssetKey(asset.split("/"))))

    def messages(self, run_id: str) -> list[tuple[str | None, str]]:
        """Type and message of every event of a run."""
        with self.instance() as instance:
            records = instance.get_records_for_run(run_id).records
        entries = [record.event_log_entry for record in records]
        return [(e.dagster_event_type.value if e.dagster_event_type else None, e.message) for e in entries]


def make_home(directory: Path, *, root: Path | None = None) -> DagsterHome:
    """A new home below `directory`."""
    home = DagsterHome(directory / "home", root or directory / "data")
    home.directory.mkdir(parents=True)
    shutil.copy(PROJECT / "dagster.yaml", home.directory)
    return home


def wait_for(condition: Callable[[], T | None], *, what: str, timeout: float) -> T:
    """The first result of `condition` that is not None. Raises TimeoutError that says `what` was waited for."""
    deadline = time.monotonic() + timeout
    while True:
        if (result := condition()) is not None:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:.0f} s")
        time.sleep(0.2)


class Server:
    """A webserver and a daemon on a home. `stop` ends them with every process they started."""

    def __init__(self, home: DagsterHome) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start both and wait until both work."""
        port = self.url.rpartition(":")[2]
        self._launch("webserver", "dagster_webserver", "-h", "127.0.0.1", "-p", port, "-m", MODULE)
        wait_for(self._answering, what="the webserver answers", timeout=120)
        self._launch("daemon", "dagster._daemon", "run", "-m", MODULE)
        wait_for(self._sensor_ticked, what="the sensor's first tick", timeout=120)

    def stop(self) -> None:
        """End both and wait until they are gone."""
        for number, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 10.0)):
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            for process in self._processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=patience)

    def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data of a GraphQL answer. Raises AssertionError if it has errors."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        assert isinstance(data, dict)
        return data

    def launch_range(
        self, asset: str, first: str, last: str, *, tags: Mapping[str, str] | None = None, config: Any = None
    ) -> str:
        """Launch a run over a range of partitions, as the UI does; its id."""
        all_tags = {RANGE_START: first, RANGE_END: last, **(tags or {})}
        params = {
            "selector": {
                "repositoryName": REPOSITORY,
                "repositoryLocationName": LOCATION,
                "jobName": ASSET_JOB,
                "assetSelection": [{"path": asset.split("/")}],
            },
            "runConfigData": config or {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in all_tags.items()]},
        }
        result = self.graphql(_LAUNCH_RUN, {"params": params})["launchRun"]
        assert result["__typename"] == "LaunchRunSuccess", result
        return str(result["run"]["runId"])

    def launch_backfill(self, asset: str, partitions: Sequence[str], *, tags: Mapping[str, str] | None = None) -> str:
        """Launch a backfill, as the UI does; its id."""
        params = {
            "assetSelection": [{"path": asset.split("/")}],
            "partitionNames": list(partitions),
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        }
        result = self.graphql(_LAUNCH_BACKFILL, {"params": params})["launchPartitionBackfill"]
        assert result["__typename"] == "LaunchBackfillSuccess", result
        return str(result["backfillId"])

    def run_of_backfill(self, backfill_id: str, *, timeout: float) -> str:
        """The id of a backfill's first run, once the daemon has made it."""

        def run_id() -> str | None:
            runs = self.graphql(
                'query($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) '
                "{ ... on Runs { results { runId } } } }",
                {"id": backfill_id},
            )["runsOrError"]["results"]
            return str(runs[0]["runId"]) if runs else None

        return wait_for(run_id, what=f"a run of backfill {backfill_id}", timeout=timeout)

    def finished(self, run_id: str, *, timeout: float) -> str:
        """The status that a run ends with."""

        def status() -> str | None:
            now = self.graphql("query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", {"id": run_id})[
                "runOrError"
            ]["status"]
            return str(now) if now in ("SUCCESS", "FAILURE", "CANCELED") else None

        return wait_for(status, what=f"the end of run {run_id}", timeout=timeout)

    def _launch(self, name: str, module: str, *arguments: str) -> None:
        with (self.home.directory / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self.home.directory,
                env=self.home.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _check_alive(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = (self.home.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"the {name} ended with status {process.returncode}:\n{log[-4000:]}")

    def _answering(self) -> bool | None:
        self._check_alive()
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return None

    def _sensor_ticked(self) -> bool | None:
        # A run-status sensor's first tick only marks where it begins; runs queued before it are not seen.
        self._check_alive()
        selector = {
            "repositoryName": REPOSITORY,
            "repositoryLocationName": LOCATION,
            "sensorName": "reject_post_processed",
        }
        state = self.graphql(_SENSOR_TICKS, {"selector": selector})["sensorOrError"]["sensorState"]
        return True if any(tick["status"] != "STARTED" for tick in state["ticks"]) else None


@contextlib.contextmanager
def dagster_server(home: DagsterHome) -> Iterator[Server]:
    """A running webserver and daemon."""
    server = Server(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()


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
  sensorOrError(sensorSelector: $selector) { ... on Sensor { sensorState { ticks(limit: 5) { status } } } }
}
"""
