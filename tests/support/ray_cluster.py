"""A Ray cluster for tests: real nodes on this machine, one of which can be killed."""

import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.requirements import require_module
from tests.support.sdg import wait_until

STORE = 100 * 2**20
"""Bytes of each node's object store."""
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


CPUS = 2
"""Of each node, whatever the machine has."""


@dataclass
class RayCluster:
    """A head, which is a node as any other, and `others`."""

    cluster: Any
    others: list[Any] = field(default_factory=list)
    dashboard: str | None = None

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add_node(self, *, gpus: int = 0) -> str:
        """Add a node, which has a resource with its number, such as `node1`; returns its id."""
        name = f"node{len(self.others) + 1}"
        more = {"num_gpus": gpus} if gpus else {}
        node = self.cluster.add_node(
            num_cpus=CPUS, object_store_memory=STORE, resources={name: CPUS}, **more
        )
        self.others.append(node)
        return str(node.node_id)

    def kill_head(self) -> None:
        """End the head with everything on it; the cluster is of no use afterwards."""
        self.cluster.remove_node(self.cluster.head_node, allow_graceful=False)

    def raylets(self) -> dict[str, int]:
        """The process that stands for each node, by the node's id."""
        nodes = [self.cluster.head_node, *self.others]
        return {
            str(node.node_id): node.all_processes["raylet"][0].process.pid
            for node in nodes
        }

    def kill_node(self, node_id: str) -> None:
        """End one of the others with everything on it, as the loss of its machine does."""
        (node,) = [node for node in self.others if node.node_id == node_id]
        self.others.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def ray_cluster(*, nodes: int, dashboard: bool = False) -> Iterator[RayCluster]:
    """A running cluster. Skips where Ray is missing. dashboard: which takes jobs; with one, the head has a resource `head`."""
    require_module("ray")
    with _alone(), _running(nodes=nodes, dashboard=dashboard) as running:
        yield running


@contextmanager
def _alone() -> Iterator[None]:
    """One cluster at a time on this machine: Ray's jobs look for theirs among the processes, and take the first."""
    with (Path(tempfile.gettempdir()) / "sdg-tests-ray.lock").open(
        "w", encoding="utf-8"
    ) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _running(*, nodes: int, dashboard: bool) -> Iterator[RayCluster]:
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv(
            "PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )  # jobs call `dagster`
        from ray.cluster_utils import Cluster

        head: dict[str, Any] = {
            "num_cpus": CPUS,
            "object_store_memory": STORE,
            "include_dashboard": dashboard,
        }
        url = None
        if dashboard:
            port = free_port()
            head |= {
                "dashboard_host": "127.0.0.1",
                "dashboard_port": port,
                "resources": {"head": CPUS},
            }
            url = f"http://127.0.0.1:{port}"
        running = RayCluster(
            Cluster(initialize_head=True, head_node_args=head), dashboard=url
        )
        try:
            for _ in range(nodes - 1):
                running.add_node()
            if url is not None:
                wait_until(lambda: _takes_jobs(url), "the cluster takes jobs")
            yield running
        finally:
            running.cluster.shutdown()
            for number, handler in handlers.items():  # Ray has taken them
                signal.signal(number, handler)


def _takes_jobs(url: str) -> bool:
    """Whether the cluster's agents have reported to its dashboard, which takes seconds."""
    from ray.job_submission import JobSubmissionClient

    try:
        JobSubmissionClient(url).submit_job(entrypoint="true")
    except (ConnectionError, RuntimeError):
        return False
    return True


@contextmanager
def connected(cluster: RayCluster) -> Iterator[None]:
    """This process as a driver of the cluster."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    try:
        yield
    finally:
        ray.shutdown()
