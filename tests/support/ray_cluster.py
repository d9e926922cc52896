"""A Ray cluster for tests: real nodes on this machine, one of which can be killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.requirements import require_module

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

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add_node(self) -> str:
        """Add a node; returns its id."""
        self.others.append(self.cluster.add_node(num_cpus=CPUS, object_store_memory=STORE))
        return str(self.others[-1].node_id)

    def kill_node(self, node_id: str) -> None:
        """End one of the others with everything on it, as the loss of its machine does."""
        (node,) = [node for node in self.others if node.node_id == node_id]
        self.others.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def ray_cluster(*, nodes: int) -> Iterator[RayCluster]:
    """A running cluster. Skips where Ray is missing."""
    require_module("ray")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": CPUS, "object_store_memory": STORE, "include_dashboard": False}
        running = RayCluster(Cluster(initialize_head=True, head_node_args=head))
        try:
            for _ in range(nodes - 1):
                running.add_node()
            yield running
        finally:
            running.cluster.shutdown()


@contextmanager
def connected(cluster: RayCluster) -> Iterator[None]:
    """This process as a driver of the cluster."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    try:
        yield
    finally:
        ray.shutdown()
