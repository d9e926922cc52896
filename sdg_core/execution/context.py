"""What a run works with, and the two moments in which files and journal meet: opening a row group and writing it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdg_core.config.run import RunSettings
from sdg_core.dataset.events import Observer, RowGroupFinished
from sdg_core.ledger.journal import Journal
from sdg_core.ledger.leases import LeaseKeeper
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.seeds.readers import Seeds
from sdg_core.store.layout import VersionLayout

if TYPE_CHECKING:
    from sdg_core.execution.carry_over import CarryOver

OnRowGroup = Callable[[RowGroupFinished], Any]
"""Called in a thread, one at a time, for each row group of a run once its file is durable; may be async."""


@dataclass(frozen=True)
class RunContext:
    """What a run works with. `clock` is monotonic, in seconds. Without `claims` nothing keeps others out.
    takes_samples: whether replies that previews and estimates asked for will do."""

    plan: DatasetPlan
    version: VersionLayout
    seeds: Seeds | None
    models: ModelPool
    settings: RunSettings
    observer: Observer
    run_id: str
    journal: Journal | None = None
    takes_samples: bool = True
    carry: "CarryOver | None" = None
    claims: LeaseKeeper | None = None
    lost_claims: "asyncio.Future[None] | None" = None
    on_row_group: OnRowGroup | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
