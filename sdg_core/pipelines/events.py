"""What a run of a pipeline tells while it works and when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdg_core.dataset.spending import DatasetSpending
from sdg_core.pipelines.store import PartitionFooter, SourcesLayout


@dataclass(frozen=True)
class PartitionFinished:
    """A partition's file is durable. adopted: it was settled before, so nothing was made."""

    key: str
    footer: PartitionFooter
    path: Any
    adopted: bool
    made: tuple[str, ...] = ()
    replayed: int = 0


@dataclass(frozen=True)
class PipelineSummary:
    """What a run did, in sources and tasks. rows: of the whole version. states, filtered, failures: of the run's partitions,
    after it.

    cost: the money that this run has used, per currency; spending: what the pipeline has cost over all runs and versions, with
    its upstream. Of simulated models (`simulated`) it is what they would cost.
    """

    version: SourcesLayout
    run_id: str
    made: int
    adopted: int
    removed: int
    replayed: int
    rows: int
    states: dict[str, int]
    filtered: dict[str, int]
    failures: tuple[tuple[str, Any], ...]
    cost: Mapping[str, float] = field(default_factory=dict)
    spending: DatasetSpending = field(default_factory=DatasetSpending)
    simulated: bool = False

    @property
    def remaining(self) -> int:
        """Sources that are partial or failed."""
        return self.states.get("partial", 0) + self.states.get("failed", 0)
