"""A ledger of an older release: it becomes ours as it is opened, and its claims keep their tokens and their holders."""

import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from sdg_core.errors import ClaimedError
from sdg_core.ledger.claims import WHOLE, Claims
from sdg_core.ledger.database import Ledger, open_ledger, open_to_read
from sdg_core.ledger.migrations import MIGRATIONS

CLAIMS_OF_0_1 = """
CREATE TABLE claims (
    dataset VARCHAR(200) NOT NULL, version VARCHAR(40) NOT NULL, row_group INTEGER NOT NULL, holder VARCHAR(300) NOT NULL,
    host VARCHAR(200) NOT NULL, pid INTEGER NOT NULL, token BIGINT NOT NULL, taken_at FLOAT DEFAULT '0' NOT NULL,
    expires_at FLOAT NOT NULL, PRIMARY KEY (dataset, version, row_group)
)
"""
ROW = (
    "INSERT INTO claims (dataset, version, row_group, holder, host, pid, token, expires_at) "
    "VALUES ('d', :version, :row_group, 'run older', 'another machine', 1, :token, :expires_at)"
)


@pytest.fixture
def version() -> str:
    return uuid.uuid4().hex[:12]


def leave_as_0_1_did(ledger: Ledger, version: str) -> None:
    """Row group 3 is in somebody's hands; row group 100,000 and the whole version were."""
    with ledger.transaction("write") as connection:
        connection.execute("DROP TABLE claims")
        connection.execute(CLAIMS_OF_0_1)
        connection.change(
            "DELETE FROM migrations WHERE name >= :name", {"name": "0003"}
        )
        for row_group, token, expires_at in (
            (3, 7, time.time() + 3600),
            (100_000, 4, 0.0),
            (-1, 5, 0.0),
        ):
            row = {
                "version": version,
                "row_group": row_group,
                "token": token,
                "expires_at": expires_at,
            }
            connection.change(ROW, row)


def test_migration_names_are_unique_and_in_order() -> None:
    names = [name for name, _ in MIGRATIONS]
    assert len(set(names)) == len(names) and names == sorted(names)


def test_claims_of_an_older_release_keep_holder_and_token(
    ledger_url: str | None, tmp_path: Path, version: str
) -> None:
    with closing(open_ledger(ledger_url, root=tmp_path)) as ledger:
        leave_as_0_1_did(ledger, version)
    with closing(open_ledger(ledger_url, root=tmp_path)) as ledger:
        claims = Claims(ledger, dataset="d", version=version, run_id="newer")
        with pytest.raises(ClaimedError, match="row group 00003 is held by run older"):
            claims.acquire("00003")
        with pytest.raises(ClaimedError, match="row group 00003 is held by run older"):
            claims.acquire(WHOLE)
        assert claims.acquire("100000").token == 5
        with ledger.reading() as connection:
            [row] = connection.execute(
                f"SELECT token FROM claims WHERE version = '{version}' AND unit = '{WHOLE}'"
            )
        assert row["token"] == 5


def test_a_ledger_that_cannot_be_written_shows_older_claims_too(
    tmp_path: Path, version: str
) -> None:
    with closing(open_ledger(None, root=tmp_path)) as ledger:
        leave_as_0_1_did(ledger, version)
    with closing(open_to_read(tmp_path / ".sdg" / "ledger.db")) as ledger:
        claims = Claims(ledger, dataset="d", version=version, run_id="newer")
        assert list(claims.others(["00003", "100000", WHOLE])) == ["00003"]
