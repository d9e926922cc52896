"""The crash campaign: runs of every kind, killed at named points and at random moments, end as if nothing had happened.

CI kills some 40 times; SDG_LONG=1 a thousand times.
"""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.store.layout import VersionLayout
from tests.crash.campaign import IN_FLIGHT, Trial, repeats, scenarios
from tests.support.sdg import ServerProcess, stored_records

KILLS_A_TRIAL = 4
NAMES = [scenario.name for scenario in scenarios("http://127.0.0.1:1/v1")]
ROUNDS = range(23) if os.environ.get("SDG_LONG") == "1" else range(1)


Rows = dict[int, dict[str, Any]]


def rows_of(file: Path, root: str) -> Rows:
    status = api.status(api.open_dataset(file, root=root))
    return stored_records(VersionLayout(Path(status.directory)))


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, Rows]:
    """The rows of each scenario's last config, made once without interruption."""
    return {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", ROUNDS)
def test_killed_runs_end_as_if_nothing_had_happened(
    tmp_path: Path, name: str, number: int, uninterrupted: dict[str, Rows]
) -> None:
    with ServerProcess("--latency", "0.01") as server:
        scenario = next(s for s in scenarios(server.url) if s.name == name)
        trial = Trial(
            scenario, tmp_path, root=str(tmp_path / "data"), draw=random.Random(f"{name} {number}"), kills=KILLS_A_TRIAL
        )
        trial.run(server)
        asked = server.prompts()
        if name not in uninterrupted:
            whole = str(tmp_path / "whole")
            api.generate(api.open_dataset(trial.file, root=whole))
            uninterrupted[name] = rows_of(trial.file, whole)
    assert rows_of(trial.file, trial.root) == uninterrupted[name]
    assert repeats(asked) <= trial.kills * IN_FLIGHT, "only requests on their way at a kill are sent again"
    assert not list(Path(trial.root).rglob(".tmp*")), "what killed runs left half written is gone"
