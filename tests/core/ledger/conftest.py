from collections.abc import Iterator
from pathlib import Path

import pytest

from sdg_core.ledger.database import Ledger, open_ledger
from tests.support.postgres import postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
    ]
)
def ledger_url(request: pytest.FixtureRequest) -> str | None:
    """None for SQLite below the root, else the URL of a real server."""
    return (
        None
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_url"))
    )


@pytest.fixture
def ledger(ledger_url: str | None, tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url, root=tmp_path)
    yield opened
    opened.close()
