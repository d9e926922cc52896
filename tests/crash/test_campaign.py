"""The crash campaign: runs of every kind, killed at named points and at random moments, end as if nothing had happened.

CI kills some 40 times; SDG_LONG=1 a thousand times.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from tests.crash.campaign import IN_FLIGHT, Trial, repeats, scenarios
from tests.support.requirements import LONG
from tests.support.s3 import S3Server
from tests.support.sdg import ServerProcess, stored_records

KILLS_A_TRIAL = 3
NAMES = [scenario.name for scenario in scenarios("http://127.0.0.1:1/v1")]
ON_S3 = NAMES if LONG else ("extension", "an edited prompt")
PLACES = [*((name, "disk") for name in NAMES), *((name, "s3") for name in ON_S3)]
Rows = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, Rows]:
    """The rows of each scenario's last config, made once without interruption."""
    return {}


@pytest.fixture
def roots(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """A new root in a place; the ledger of one on S3 lies in the user's state directory."""

    def new(place: str) -> str:
        if place == "disk":
            return str(tmp_path / "data")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        server: S3Server = request.getfixturevalue("s3")
        return server.new_root()

    return new


@pytest.mark.parametrize(("name", "place"), PLACES)
@pytest.mark.parametrize("number", range(16 if LONG else 1))
def test_killed_runs_end_as_if_nothing_had_happened(
    tmp_path: Path,
    name: str,
    place: str,
    number: int,
    uninterrupted: dict[str, Rows],
    roots: Callable[[str], str],
) -> None:
    draw = random.Random(f"{name} {place} {number}")
    with ServerProcess("--latency", "0.01") as server:
        scenario = next(s for s in scenarios(server.url) if s.name == name)
        trial = Trial(
            scenario, tmp_path, root=roots(place), draw=draw, kills=KILLS_A_TRIAL
        )
        trial.run(server)
        asked = server.prompts()
        if name not in uninterrupted:
            whole = str(tmp_path / "whole")
            api.generate(api.open_dataset(trial.file, root=whole))
            uninterrupted[name] = rows_of(trial.file, whole)
    assert rows_of(trial.file, trial.root) == uninterrupted[name]
    assert repeats(asked) <= trial.kills * IN_FLIGHT, (
        "only requests on their way at a kill are sent again"
    )
    if place == "disk":
        assert not list(Path(trial.root).rglob(".tmp*")), (
            "what killed runs left half written is gone"
        )


def rows_of(file: Path, root: str) -> Rows:
    dataset = api.open_dataset(file, root=root)
    return stored_records(dataset.layout.version(dataset.plan.fingerprint.version))
