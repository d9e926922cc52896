"""Which nodes of a Ray cluster get the model servers of a run. `tests/contracts/test_stage_executor.py` has real clusters."""

from collections.abc import Sequence
from typing import Any

import pytest

from sdg_core.config.models import ModelProvider
from sdg_core.errors import PermanentModelError
from tests.support.requirements import require_module


def chosen(
    gpus: Sequence[Any], *nodes: tuple[float, float], dead: Sequence[int] = ()
) -> list[tuple[int, float]]:
    """The numbers of the nodes with (CPUs, GPUs) that are chosen for servers with these `gpus`, and the GPUs that they take."""
    require_module("ray")
    from sdg_core.models.serving.nodes import chosen_nodes

    served = [
        ModelProvider.model_validate(
            {"name": f"p{place}", "serve": {"command": "serve {port}", "gpus": wanted}}
        )
        for place, wanted in enumerate(gpus)
    ]
    described = []
    for number, (cpus, there) in enumerate(nodes):
        resources = {
            name: amount for name, amount in (("CPU", cpus), ("GPU", there)) if amount
        }
        described.append(
            {"NodeID": number, "Alive": number not in dead, "Resources": resources}
        )
    return [(node["NodeID"], taken) for node, taken in chosen_nodes(served, described)]


@pytest.mark.parametrize(
    ("gpus", "nodes", "expected"),
    [
        pytest.param(
            [None],
            [(2, 0), (2, 0)],
            [(0, 0), (1, 0)],
            id="no GPUs anywhere: every node",
        ),
        pytest.param(
            [None],
            [(2, 0), (2, 4), (2, 8)],
            [(1, 4), (2, 8)],
            id="not said: all of every node that has some",
        ),
        pytest.param([None, 0], [(2, 0), (2, 4)], [(1, 4)], id="one does not say"),
        pytest.param(
            [[0, 1]],
            [(2, 0), (2, 4)],
            [(1, 4)],
            id="devices by number: the node is this run's",
        ),
        pytest.param(
            [0], [(2, 0), (2, 4)], [(0, 0), (1, 0)], id="none wanted: every node"
        ),
        pytest.param(
            [4],
            [(2, 2), (2, 4), (2, 8)],
            [(1, 4), (2, 4)],
            id="a number: nodes that have so many",
        ),
        pytest.param(
            [1, 2], [(2, 2), (2, 4)], [(1, 3)], id="two servers of a run share a node"
        ),
        pytest.param(
            [None, 2],
            [(2, 1), (2, 4)],
            [(1, 4)],
            id="one does not say, the other takes two",
        ),
        pytest.param(
            [None], [(0, 0), (2, 0)], [(1, 0)], id="a head that takes no work"
        ),
    ],
)
def test_servers_go_to_nodes_that_have_their_gpus(
    gpus: Any, nodes: Any, expected: Any
) -> None:
    assert chosen(gpus, *nodes) == expected


def test_dead_nodes_get_none() -> None:
    assert chosen([0], (2, 0), (2, 0), dead=[0]) == [(1, 0)]


@pytest.mark.parametrize(
    ("gpus", "said"),
    [([8], "need 8 GPUs"), ([4, 1], "need 5 GPUs"), ([None, 5], "need 5 GPUs")],
)
def test_a_cluster_without_such_a_node_is_refused(gpus: Any, said: str) -> None:
    with pytest.raises(
        PermanentModelError,
        match=rf"{said} on one node; the nodes of the Ray cluster have 0, 4\n",
    ):
        chosen(gpus, (2, 0), (2, 4))
