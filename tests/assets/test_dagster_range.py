"""The oldest and the newest Dagster that pyproject.toml allows: the assets' tests run on both.

The bounded form takes what `make dagster-range` has installed, as continuous integration does, and runs a few files of the suite;
with `SDG_LONG=1` the newest that there is now is looked for, and more of them run.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dagster_range import NEWEST_TRIED, PLACE, allowed, install
from tests.support.requirements import require
from tests.support.sdg import PROJECT

BOUNDED = ("attributes", "data_versions", "slicing")
LONG = (
    *BOUNDED,
    "broken_file",
    "merged_operations",
    "namesakes",
    "own_assets",
    "pages",
    "resume",
    "scaffold",
)


@pytest.mark.slow
@pytest.mark.parametrize("version", [allowed()[0], NEWEST_TRIED])
def test_the_assets_run_on_it(tmp_path: Path, version: str) -> None:
    require((PLACE / version).is_dir(), f"Dagster {version} (make dagster-range)")
    run_tests(BOUNDED, PLACE / version, version=version, scratch=tmp_path / "tests")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("end", ["oldest", "newest"])
def test_more_of_the_suite_runs_on_it(tmp_path: Path, end: str) -> None:
    oldest, below = allowed()
    install(
        f"=={oldest}" if end == "oldest" else f">={oldest},<{below}",
        to=tmp_path / "dagster",
    )
    run_tests(
        LONG,
        tmp_path / "dagster",
        version=oldest if end == "oldest" else None,
        scratch=tmp_path / "tests",
    )


def run_tests(
    names: tuple[str, ...], place: Path, *, version: str | None, scratch: Path
) -> None:
    """Run files of the suite with the Dagster that is installed there. version: what it must say that it is."""
    env = {**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{PROJECT}", "SDG_LONG": ""}
    env.pop("PYTEST_XDIST_WORKER", None)
    check = "import dagster; print(dagster.__version__, dagster.__file__)"
    shown = subprocess.run(
        [sys.executable, "-c", check],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    found, file = shown.stdout.split()
    assert Path(file).is_relative_to(place)
    assert version in (None, found)
    files = [f"tests/assets/test_{name}.py" for name in names]
    # Dagster warns of what it uses itself; that is its own affair.
    options = [
        "-n",
        "0",
        "-q",
        "-m",
        "not slow and not daemon",
        "-W",
        "default::DeprecationWarning",
    ]
    options += [
        f"--basetemp={scratch}"
    ]  # pytest closes the directory that the tests of one user share
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", *files],
        cwd=PROJECT,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"Dagster {found}:\n{done.stdout[-5000:]}"
