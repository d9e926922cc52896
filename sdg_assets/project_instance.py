"""Storages of an instance whose relative paths start at DAGSTER_HOME, wherever Dagster is started.

Dagster's own take a relative `base_dir` from the working directory: the same project started from another directory then has
another, empty run history. Each of these is Dagster's class, or the batching one of ours, with its path made absolute first.
Without DAGSTER_HOME, `dagster dev` reads the `dagster.yaml` of the working directory; then paths start there, too.

    run_storage:
      module: sdg_assets.project_instance
      class: ProjectRunStorage
      config: {base_dir: .dagster/storage/history}
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdg_assets.dagster_private import (
    ConfigurableClassData,
    LocalArtifactStorage,
    LocalComputeLogManager,
    SqliteRunStorage,
    SqliteScheduleStorage,
    require_storages,
)
from sdg_assets.event_storage import BatchingSqliteEventLogStorage


def below_home(directory: str) -> str:
    """An absolute path: a relative one starts at DAGSTER_HOME, or at the working directory if that is not set."""
    home = os.environ.get("DAGSTER_HOME") or os.getcwd()
    return str(Path(home).expanduser() / Path(directory).expanduser())


class BelowHome:
    """To mix into a storage of Dagster with a `base_dir`."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Any:
        """What Dagster calls for a class named in dagster.yaml.

        inst_data: what is handed to the processes of a run, which make the path absolute in the same way.
        Raises DagsterInvariantViolationError where Dagster no longer has the storage.
        """
        require_storages()
        anchored = {**config_value, "base_dir": below_home(config_value["base_dir"])}
        made: Any = super()
        return made.from_config_value(inst_data, anchored)


class ProjectRunStorage(BelowHome, SqliteRunStorage):
    """The runs."""


class ProjectEventLogStorage(BelowHome, BatchingSqliteEventLogStorage):
    """The events, written in batches."""


class ProjectScheduleStorage(BelowHome, SqliteScheduleStorage):
    """The ticks of schedules and sensors."""


class ProjectArtifactStorage(BelowHome, LocalArtifactStorage):
    """What assets without an I/O manager of their own store."""


class ProjectComputeLogs(BelowHome, LocalComputeLogManager):
    """What steps write to stdout and stderr."""
