"""Real Dagster processes on an instance of their own: command line, webserver, daemon.

A home holds a copy of the project's dagster.yaml, whose paths are relative to DAGSTER_HOME; code that opens the instance in this
process, which has none, does so from there. Data goes to the home's own storage root.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from tests.support.dagster_graphql import ASSET_JOB as ASSET_JOB
from tests.support.dagster_graphql import RANGE_END as RANGE_END
from tests.support.dagster_graphql import RANGE_START as RANGE_START
from tests.support.dagster_graphql import DagsterGraphql
from tests.support.dagster_graphql import wait_for as wait_for
from tests.support.ports import free_port
from tests.support.requirements import PATIENCE
from tests.support.warm import Command, WarmServer, run_warm
from tests.support.warm_spawn import SITE

PROJECT = Path(__file__).resolve().parents[2]
MODULE = "sdg_assets.definitions"

DAGSTER_WARNINGS = [
    pytest.mark.filterwarnings(f"ignore::{warning}")
    for warning in (
        "dagster.BetaWarning",
        "dagster.PreviewWarning",
        "pydantic.warnings.PydanticDeprecatedSince20",
    )
]
"""Marks for tests that load definitions in their own process: what Dagster warns of there is not ours to mend."""


@dataclass(frozen=True)
class DagsterHome:
    """An instance and a storage root that no other test shares."""

    directory: Path
    root: Path
    module: str = MODULE
    extra_env: Mapping[str, str] = field(default_factory=dict)
    cold: bool = False
    """Whether Dagster spawns the processes of runs and steps, as it does for users, instead of having them forked."""

    @property
    def env(self) -> dict[str, str]:
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DAGSTER_", "SDG_"))
        }
        modules = (
            str(self.directory) if self.cold else f"{SITE}{os.pathsep}{self.directory}"
        )
        paths = {
            "DAGSTER_HOME": str(self.directory),
            "SDG_ROOT": str(self.root),
            "PYTHONPATH": modules,
        }
        patience = {
            "DAGSTER_GRPC_TIMEOUT_SECONDS": "600"
        }  # a busy machine takes more than a minute to start a run
        return {**env, **paths, **patience, "PYTHONUNBUFFERED": "1", **self.extra_env}

    def allow_runs(self, count: int) -> None:
        """Let so many runs of the queue go on at once."""
        settings = self.directory / "dagster.yaml"
        text, changed = re.subn(
            r"max_concurrent_runs: \d+",
            f"max_concurrent_runs: {count}",
            settings.read_text(encoding="utf-8"),
        )
        assert changed == 1
        settings.write_text(text, encoding="utf-8")

    def run(
        self, *arguments: str, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """`dagster ...` in the home."""
        return run_warm(
            Command("dagster", arguments, self.directory, self.env), timeout=timeout
        )

    def materialize(
        self, select: str, *options: str
    ) -> subprocess.CompletedProcess[str]:
        """`dagster asset materialize`, as a person types it."""
        return self.run(
            "asset", "materialize", "-m", self.module, "--select", select, *options
        )

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The instance, opened in this process."""
        with pytest.MonkeyPatch.context() as patched:
            for name, value in self.extra_env.items():
                patched.setenv(name, value)
            patched.setenv(
                "DAGSTER_EVENT_BATCH_SIZE", "0"
            )  # a storage may turn batches on; not in this process
            with (
                contextlib.chdir(self.directory),
                dg.DagsterInstance.from_config(str(self.directory)) as instance,
            ):
                yield instance

    def runs(self) -> list[dg.DagsterRun]:
        """All runs, the latest first."""
        with self.instance() as instance:
            return list(instance.get_runs())

    def materializations(
        self, asset: str, *, run_id: str | None = None
    ) -> list[dg.AssetMaterialization]:
        """Recorded materializations of an asset, oldest first; of one run if `run_id` is given."""
        with self.instance() as instance:
            records = instance.fetch_materializations(
                dg.AssetKey(asset.split("/")), limit=1000
            ).records
        chosen = [
            record
            for record in reversed(records)
            if run_id is None or record.run_id == run_id
        ]
        return [
            record.asset_materialization
            for record in chosen
            if record.asset_materialization is not None
        ]

    def materialized_partitions(self, asset: str) -> set[str]:
        """Partitions that the asset's page shows green."""
        with self.instance() as instance:
            return set(
                instance.get_materialized_partitions(dg.AssetKey(asset.split("/")))
            )

    def messages(self, run_id: str) -> list[tuple[str | None, str]]:
        """Type and message of every event of a run."""
        with self.instance() as instance:
            records = instance.get_records_for_run(run_id).records
        entries = [record.event_log_entry for record in records]
        return [
            (e.dagster_event_type.value if e.dagster_event_type else None, e.message)
            for e in entries
        ]


def make_home(
    directory: Path,
    *,
    root: Path | None = None,
    module: str = MODULE,
    instance: Path = PROJECT / "dagster.yaml",
    env: Mapping[str, str] | None = None,
    cold: bool = False,
) -> DagsterHome:
    """A new home below `directory`. instance: the dagster.yaml to copy. cold: for tests of the processes themselves."""
    home = DagsterHome(
        directory / "home", root or directory / "data", module, dict(env or {}), cold
    )
    home.directory.mkdir(parents=True)
    shutil.copy(instance, home.directory / "dagster.yaml")
    return home


class Server(DagsterGraphql):
    """A webserver and a daemon on a home. `stop` ends them with every process they started."""

    def __init__(self, home: DagsterHome) -> None:
        super().__init__(f"http://127.0.0.1:{free_port()}", location=home.module)
        self.home = home
        self._processes: dict[str, WarmServer] = {}

    def start(self) -> None:
        """Start both and wait until both work."""
        self.start_webserver()
        self.start_daemon()
        wait_for(self._sensor_ticked, what="the sensor's first tick")

    def start_webserver(self) -> None:
        """Start the webserver and wait until it answers."""
        port = self.url.rpartition(":")[2]
        self._launch(
            "webserver",
            "dagster_webserver",
            "-h",
            "127.0.0.1",
            "-p",
            port,
            "-m",
            self.home.module,
        )
        wait_for(self._answering, what="the webserver answers")

    def start_daemon(self) -> None:
        """Start the daemon."""
        self._launch(
            "daemon", "tests.support.quick_daemon", "run", "-m", self.home.module
        )

    def end(self, name: str) -> None:
        """End the `webserver` or the `daemon` as `systemctl stop` does, and wait until it is gone. Runs go on."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(timeout=PATIENCE)

    def stop(self) -> None:
        """End both and wait until they are gone."""
        for number, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 10.0)):
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            for process in self._processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=patience)

    def _launch(self, name: str, module: str, *arguments: str) -> None:
        command = Command(module, arguments, self.home.directory, self.home.env)
        log = self.home.directory / f"{name}.log"
        self._processes[name] = WarmServer(command, log=log)

    def _check_alive(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = (self.home.directory / f"{name}.log").read_text(
                    encoding="utf-8", errors="replace"
                )
                raise RuntimeError(
                    f"the {name} ended with status {process.returncode}:\n{log[-4000:]}"
                )

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
        ticks = self.sensor_ticks("reject_post_processed")
        return True if any(tick != "STARTED" for tick in ticks) else None


@contextlib.contextmanager
def dagster_server(home: DagsterHome) -> Iterator[Server]:
    """A running webserver and daemon."""
    server = Server(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
