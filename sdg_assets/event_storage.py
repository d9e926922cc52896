"""Dagster's event storages, but a batch of events is written at once.

A run over n partitions begins with n "planned" events, and Dagster commits each by itself: 7 to 10 ms a partition before any work
starts. It can hand such events over in batches, which its own storages then write one by one all the same (Postgres: all but
materializations). These write what a batch holds in one transaction. The rows are the same, so either kind of storage can go on
with the other's tables. Where a Dagster upgrade has removed what they build on, they are the plain storages.

In dagster.yaml, for SQLite (for Postgres see `sdg_assets.postgres_event_storage`):

    event_log_storage:
      module: sdg_assets.event_storage
      class: BatchingSqliteEventLogStorage
      config: {base_dir: .dagster/storage/history/runs}
"""

import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Self

from dagster import DagsterEventType, EventLogEntry

from sdg_assets.dagster_private import (
    ConfigurableClassData,
    SqlEventLogStorage,
    SqliteEventLogStorage,
    require_storages,
)

BATCH_SIZE = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster hands over batches only if this environment variable says how large."""
DEFAULT_BATCH_SIZE = "500"
BATCHED_EVENTS = frozenset(
    {
        DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        DagsterEventType.ASSET_MATERIALIZATION,
    }
)
SEAMS = (
    "prepare_insert_event",
    "prepare_insert_event_batch",
    "run_connection",
    "index_transaction",
    "_store_asset_event",
    "_store_asset_event_tags",
)
"""Methods of Dagster's storages that these build on."""


class BatchingEventLogStorage(SqlEventLogStorage):
    """What both kinds share."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in order: neighbours of a kind and a run at once, others one by one."""
        possible = missing_seams(type(self)) == []
        for at_once, neighbours in _neighbours(events):
            if possible and at_once and len(neighbours) > 1:
                self._store_asset_events(neighbours)
            else:
                for event in neighbours:
                    self.store_event(event)

    def _store_asset_events(self, events: Sequence[EventLogEntry]) -> None:
        raise NotImplementedError

    def _store_index(
        self, connection: Any, events: Sequence[EventLogEntry], ids: Sequence[int]
    ) -> None:
        """Tags, and the row that each asset has for its latest event."""
        self._store_asset_event_tags(connection, events, ids)
        latest = {
            event.get_dagster_event().asset_key: (event, at)
            for event, at in zip(events, ids, strict=True)
        }
        for event, event_id in latest.values():
            self._store_asset_event(connection, event, event_id)


class BatchingSqliteEventLogStorage(BatchingEventLogStorage, SqliteEventLogStorage):
    """One transaction per batch in the run's file, and one in the index."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> Self:
        """What Dagster calls for a class named in dagster.yaml."""
        require_storages()
        turn_batches_on()
        return cls(inst_data=inst_data, **config_value)

    def _store_asset_events(self, events: Sequence[EventLogEntry]) -> None:
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(self.prepare_insert_event_batch(events))
        with self.index_transaction() as connection:
            ids = []
            for event in events:
                inserted: Any = connection.execute(self.prepare_insert_event(event))
                ids.append(int(inserted.inserted_primary_key[0]))
            self._store_index(connection, events, ids)


def turn_batches_on() -> None:
    """Make Dagster hand over batches, in this process and those it starts, unless the environment says otherwise."""
    os.environ.setdefault(BATCH_SIZE, DEFAULT_BATCH_SIZE)


def missing_seams(storage: type) -> list[str]:
    """What the installed Dagster no longer has of what batches are built on."""
    return [name for name in SEAMS if not callable(getattr(storage, name, None))]


def _neighbours(
    events: Iterable[EventLogEntry],
) -> list[tuple[bool, list[EventLogEntry]]]:
    """Events of one type and run in a row, and whether they can be written at once."""
    grouped = groupby(
        events, key=lambda event: (event.dagster_event_type, event.run_id)
    )
    return [(kind in BATCHED_EVENTS, list(group)) for (kind, _), group in grouped]
