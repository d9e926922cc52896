"""Dagster's event storage on Postgres, but a batch of events is written at once. Needs the extra `postgres`.

In dagster.yaml, with `postgres_url` or `postgres_db` as for the class it builds on:

    event_log_storage:
      module: sdg_assets.postgres_event_storage
      class: BatchingPostgresEventLogStorage
      config: {postgres_url: {env: SDG_POSTGRES_URL}}
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from dagster import EventLogEntry
from dagster_postgres import PostgresEventLogStorage

from sdg_assets.dagster_private import ConfigurableClassData
from sdg_assets.event_storage import BatchingEventLogStorage, turn_batches_on


class BatchingPostgresEventLogStorage(BatchingEventLogStorage, PostgresEventLogStorage):
    """One statement for the events of a batch, and one transaction for the index over them."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """What Dagster calls for a class named in dagster.yaml."""
        turn_batches_on()
        plain = PostgresEventLogStorage.from_config_value(inst_data, config_value)
        return cls(plain.postgres_url, plain.should_autocreate_tables, inst_data)

    def _store_asset_events(self, events: Sequence[EventLogEntry]) -> None:
        batch = self.prepare_insert_event_batch(events)
        insert = batch.returning(batch.table.c.id)
        with self.run_connection(events[0].run_id) as connection:
            ids = sorted(row[0] for row in connection.execute(insert).fetchall())
        with self.index_transaction() as connection:
            self._store_index(connection, events, ids)
