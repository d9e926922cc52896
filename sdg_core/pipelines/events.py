"""What a run of a pipeline tells while it works and when it ends."""

from dataclasses import dataclass
from typing import Any

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
    after it."""

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

    @property
    def remaining(self) -> int:
        """Sources that are partial or failed."""
        return self.states.get("partial", 0) + self.states.get("failed", 0)
