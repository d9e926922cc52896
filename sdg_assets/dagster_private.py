"""What Dagster has but does not promise to keep. No other module imports from `dagster._*`.

Each name is imported when it is first used. Where the installed Dagster no longer has it, its user takes a slower or plainer way,
the code location still loads, and `warn_of_missing` says what that costs.
"""

import logging
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.data_version import (
        CachingStaleStatusResolver,
        StaleStatus,
    )
    from dagster._core.events import (
        AssetMaterializationPlannedData,
        StepMaterializationData,
    )
    from dagster._core.execution.backfill import (
        BulkActionsFilter,
        BulkActionStatus,
        PartitionBackfill,
    )
    from dagster._core.storage.event_log import (
        SqlEventLogStorage,
        SqliteEventLogStorage,
    )
    from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
    from dagster._core.storage.root import LocalArtifactStorage
    from dagster._core.storage.runs import SqliteRunStorage
    from dagster._core.storage.schedules import SqliteScheduleStorage
    from dagster._serdes import ConfigurableClassData

__all__ = [
    "AssetMaterializationPlannedData",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CachingStaleStatusResolver",
    "ConfigurableClassData",
    "LocalArtifactStorage",
    "LocalComputeLogManager",
    "SqlEventLogStorage",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "StaleStatus",
    "StepMaterializationData",
    "available",
    "missing",
    "repository_of",
    "require_storages",
    "unfinished_backfills",
    "warn_of_missing",
]

_LOG = logging.getLogger(__name__)
_BACKFILLS = "every sensor tick reads all backfills instead of the unfinished ones"
_STALE = "stale_or_missing() requests assets other than datasets only when they are missing, not when they are stale"
NAMES = {
    "AssetMaterializationPlannedData": (
        "dagster._core.events",
        "partitions whose files are lost stay marked as materialized",
    ),
    "BulkActionStatus": ("dagster._core.execution.backfill", _BACKFILLS),
    "BulkActionsFilter": ("dagster._core.execution.backfill", _BACKFILLS),
    "CachingStaleStatusResolver": ("dagster._core.definitions.data_version", _STALE),
    "CheckError": (
        "dagster_shared.check",
        "jobs of the code location fail when they are executed on their own",
    ),
    "StaleStatus": ("dagster._core.definitions.data_version", _STALE),
    "StepMaterializationData": (
        "dagster._core.events",
        "row groups are recorded one by one, 7 to 14 ms each",
    ),
}
"""What the code location uses: name to module, and what happens without it."""
STORAGE_NAMES = {
    "ConfigurableClassData": "dagster._serdes",
    "LocalArtifactStorage": "dagster._core.storage.root",
    "LocalComputeLogManager": "dagster._core.storage.local_compute_log_manager",
    "SqlEventLogStorage": "dagster._core.storage.event_log",
    "SqliteEventLogStorage": "dagster._core.storage.event_log",
    "SqliteRunStorage": "dagster._core.storage.runs",
    "SqliteScheduleStorage": "dagster._core.storage.schedules",
}
"""What `event_storage` and `project_instance` build on; only an instance whose dagster.yaml names them needs them."""
UNFINISHED_BACKFILLS = ("REQUESTED", "CANCELING", "FAILING")


class _Gone:
    """Stands for a storage class that Dagster no longer has, so that the module that builds on it can be imported."""


@cache
def _find(name: str) -> Any:
    module = NAMES[name][0] if name in NAMES else STORAGE_NAMES[name]
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        return None


def available(*names: str) -> bool:
    """Whether the installed Dagster has all of these names."""
    return all(_find(name) is not None for name in names)


def require_storages() -> None:
    """Raises DagsterInvariantViolationError where Dagster no longer has the storages that ours build on."""
    gone = [name for name in STORAGE_NAMES if not available(name)]
    if gone:
        raise dg.DagsterInvariantViolationError(
            f"the installed Dagster {dg.__version__} no longer has {', '.join(gone)}, which the "
            f"storages of sdg_assets build on: use Dagster's own storages in dagster.yaml; they read "
            f"the same tables and only write more slowly"
        )


def __getattr__(name: str) -> Any:
    if name in NAMES:
        return _find(name)
    if name in STORAGE_NAMES:
        found = _find(name)
        return _Gone if found is None else found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def missing() -> dict[str, str]:
    """Names that the code location uses and Dagster no longer has, each with what happens without it."""
    return {
        name: consequence
        for name, (_, consequence) in NAMES.items()
        if not available(name)
    }


def warn_of_missing() -> None:
    """Log what is slower or plainer with the installed Dagster; nothing if it has everything."""
    for name, consequence in missing().items():
        _LOG.warning(
            "the installed Dagster %s no longer has %s: %s",
            dg.__version__,
            name,
            consequence,
        )


def repository_of(context: dg.OpExecutionContext) -> dg.RepositoryDefinition | None:
    """The code location's repository in a run of it; None where a job is executed by itself, as in a test."""
    errors = _find("CheckError")
    try:
        return context.repository_def
    except Exception as error:
        if errors is not None and isinstance(error, errors):
            return None
        raise


def unfinished_backfills(instance: dg.DagsterInstance) -> "Iterator[PartitionBackfill]":
    """Backfills that still make runs."""
    if available("BulkActionsFilter", "BulkActionStatus"):
        statuses = [_find("BulkActionStatus")[name] for name in UNFINISHED_BACKFILLS]
        yield from instance.get_backfills(
            filters=_find("BulkActionsFilter")(statuses=statuses)
        )
    else:
        for backfill in instance.get_backfills():
            if backfill.status.name in UNFINISHED_BACKFILLS:
                yield backfill
