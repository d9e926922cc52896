"""Other versions of Dagster beside the environment's own: python -m tests.support.dagster_range

Installs the two ends of the range that pyproject.toml allows into `<environment>/dagster-range/<version>`, where the test of the
range finds them, so that the suite itself downloads nothing.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.sdg import PROJECT

PLACE = Path(sys.prefix) / "dagster-range"
PACKAGES = ("dagster", "dagster-shared", "dagster-pipes")
NEWEST_TRIED = "1.13.29"
"""Pinned, so that a release of tomorrow does not stop today's work; `SDG_LONG=1` looks for the newest."""


def allowed() -> tuple[str, str]:
    """The oldest version that the project allows, and what the newest is below."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    [found] = [text for text in project["dependencies"] if text.startswith("dagster>=")]
    oldest, below = found.removeprefix("dagster>=").split(",<")
    return oldest, below


def install(wanted: str, *, to: Path) -> None:
    """Dagster without its dependencies, which are those of the environment. wanted: as pip takes it, `==1.13.29`."""
    shutil.rmtree(to, ignore_errors=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-compile",
    ]
    subprocess.run(
        [*pip, "--target", str(to), *(f"{package}{wanted}" for package in PACKAGES)],
        check=True,
    )


if __name__ == "__main__":
    for version in (allowed()[0], NEWEST_TRIED):
        install(f"=={version}", to=PLACE / version)
