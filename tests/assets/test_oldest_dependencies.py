"""The oldest dependencies that pyproject.toml allows, all at once, in an environment that has nothing else.

`SDG_LONG=1` only: they are installed, and the projects of `sdg init` run with them from the first command to the last.
"""

import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sdg import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.long]


def oldest() -> Iterator[str]:
    """Each dependency of the base install, pinned to its lower bound."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    for dependency in project["dependencies"]:
        name, bound = dependency.split(">=")
        yield f"{name}=={bound.split(',')[0]}"


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an environment's commands."""
    directory = tmp_path_factory.mktemp("oldest")
    venv.create(directory / "venv", symlinks=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        f"--python={directory / 'venv/bin/python'}",
        "install",
        "-q",
    ]
    subprocess.run([*pip, *oldest()], check=True)
    subprocess.run([*pip, "--no-deps", str(PROJECT)], check=True)
    return directory / "venv" / "bin"


@pytest.mark.parametrize(
    ("template", "file"), [("support", "dataset.yaml"), ("pipeline", "pipeline.yaml")]
)
def test_a_project_runs_from_init_to_export(
    commands: Path, tmp_path: Path, template: str, file: str
) -> None:
    script = f"""
        sdg init shop --template {template}
        cd shop
        file=$(find . -name {file})
        sdg validate $file
        sdg schema > schema.json
        sdg preview $file -n 2
        sdg generate $file
        sdg process $file
        sdg report $file
        sdg export $file out.jsonl
        test -s out.jsonl
        dagster definitions validate
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DAGSTER_", "SDG_", "PYTHON"))
    }
    env["PATH"] = f"{commands}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        ["bash", "-ex"],
        input=script,
        cwd=tmp_path,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
