"""What the ledger holds of versions, looked at from outside a run: for plans, and when a version is removed."""

import os
from collections.abc import Mapping
from pathlib import Path

from sdg_core.errors import LedgerError
from sdg_core.ledger.connection import REMEDY
from sdg_core.ledger.database import FILE_NAME, Ledger, open_ledger, open_to_read
from sdg_core.ledger.secrets import without_secrets
from sdg_core.ledger.tables import cells, claims
from sdg_core.plan.usage import UsageByModel, read_usage


def open_existing_ledger(url: str | None, *, directory: Path) -> Ledger | None:
    """The ledger at a SQLAlchemy URL, or below a directory, None if nobody has made one yet. Raises LedgerError."""
    if url is None:
        file = directory / FILE_NAME
        if not file.exists():
            return None
        if not os.access(file.parent, os.W_OK):
            return open_to_read(file)
        return open_ledger(None, root=directory)
    return open_ledger(url, root=directory) if _has_tables(url) else None


def _has_tables(url: str) -> bool:
    from sdg_core.ledger.sqlalchemy_database import LedgerUrl

    place = LedgerUrl(url)
    if place.names_missing_file:
        return False
    database = place.open()
    try:
        with database.reading() as connection:
            return bool(connection.columns(cells.name))
    except Exception as error:
        database_error = database.database_error(error)
        if database_error is None:
            raise
        words = without_secrets(str(database_error), place.secrets)
        raise LedgerError(
            f"cannot read the ledger {place.where}: {words}", remedy=REMEDY
        ) from error
    finally:
        database.close()


def journaled_records(
    ledger: Ledger, *, dataset: str, version: str, column_hashes: Mapping[str, str]
) -> dict[str, frozenset[int]]:
    """The records whose cells the journal of a version has, per column that still has the fingerprint they were made with."""
    found: dict[str, set[int]] = {}
    with ledger.reading() as connection:
        rows = connection.execute(
            "SELECT column_name, column_hash, record FROM cells WHERE dataset = :dataset AND version = :version",
            {"dataset": dataset, "version": version},
        )
    for row in rows:
        if column_hashes.get(row["column_name"]) == row["column_hash"]:
            found.setdefault(row["column_name"], set()).add(int(row["record"]))
    return {name: frozenset(records) for name, records in found.items()}


def journaled_usage(
    ledger: Ledger, *, dataset: str
) -> list[tuple[str, str, str, int, UsageByModel]]:
    """What the replies in the journal of a dataset have used: version, run, column, record, usage.

    A row that cannot be understood counts as absent, as it does where a run looks for paid cells.
    """
    with ledger.reading() as connection:
        rows = connection.execute(
            'SELECT version, run_id, column_name, record, "usage" FROM cells WHERE dataset = :dataset',
            {"dataset": dataset},
        )
    found = []
    for row in rows:
        try:
            usage = read_usage(row["usage"])
            record = int(row["record"])
        except (ValueError, TypeError, OverflowError):
            continue
        found.append((row["version"], row["run_id"], row["column_name"], record, usage))
    return found


def delete_version(ledger: Ledger, *, dataset: str, version: str) -> None:
    """Remove the cells and claims of a version that is no more. The history of runs stays."""
    with ledger.transaction("write") as connection:
        for table in (cells, claims):
            connection.change(
                f"DELETE FROM {table.name} WHERE dataset = :dataset AND version = :version",
                {"dataset": dataset, "version": version},
            )
