"""The oldest and the newest Dagster that pyproject.toml allows: the assets' tests run on both.

`SDG_LONG=1` only: each is installed beside the environment's own, and a bounded part of the suite runs with it in front.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.sdg import PROJECT

TESTS = ("broken_file", "slicing", "scaffold")
PACKAGES = ("dagster", "dagster-shared", "dagster-pipes")


def allowed() -> tuple[str, str]:
    """The oldest version that the project allows, and what the newest is below."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [found] = [text for text in project["dependencies"] if text.startswith("dagster>=")]
    oldest, below = found.removeprefix("dagster>=").split(",<")
    return oldest, below


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("end", ["oldest", "newest"])
def test_the_assets_run_on_it(tmp_path: Path, end: str) -> None:
    oldest, below = allowed()
    wanted = f"=={oldest}" if end == "oldest" else f">={oldest},<{below}"
    target = tmp_path / "dagster"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target)]
    subprocess.run([*install, *(f"{package}{wanted}" for package in PACKAGES)], check=True)
    env = {**os.environ, "PYTHONPATH": f"{target}{os.pathsep}{PROJECT}", "SDG_LONG": ""}
    shown = subprocess.run(
        [sys.executable, "-c", "import dagster; print(dagster.__version__)"],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    version = shown.stdout.strip()
    assert version == oldest if end == "oldest" else version.split(".") >= oldest.split(".")
    files = [f"tests/assets/test_{name}.py" for name in TESTS]
    # Dagster warns of what it uses itself; that is its own affair.
    options = ["-n", "2", "-q", "-m", "not slow and not daemon", "-W", "default::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", *files],
        cwd=PROJECT,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"Dagster {version}:\n{done.stdout[-5000:]}"
