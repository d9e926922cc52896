"""deploy/kubernetes/Dockerfile without a docker: its lines, one after the other, in a directory that stands for the image's root.

Then what the pods do in that image is done in it: the code location is loaded, and the job's command makes a slice.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.requirements import require
from tests.support.sdg import PROJECT, only_version
from tests.support.wheel import InstalledWheel

DEPLOY = PROJECT / "deploy" / "kubernetes"
LINES = [
    line
    for line in (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
STEPS = [(word, rest) for word, _, rest in (line.partition(" ") for line in LINES)]
JOB = yaml.safe_load((DEPLOY / "generate-job.yaml").read_text(encoding="utf-8"))["spec"]
VALUES = yaml.safe_load((DEPLOY / "values.yaml").read_text(encoding="utf-8"))


def only(word: str, at: int = 0) -> str:
    return [rest for name, rest in STEPS if name == word][at]


@pytest.fixture(scope="module")
def image(installed: InstalledWheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the image, with the project in it, and the packages in the environment of the wheel."""
    context = tmp_path_factory.mktemp("context") / "synthetic"
    root = tmp_path_factory.mktemp("image")
    made = installed.shell(
        f"sdg init {context.name} --template support", cwd=context.parent
    )
    assert made.returncode == 0, made.stderr
    (context / "synthetic" / "defs" / "support_tickets").rename(
        context / "synthetic" / "defs" / "tickets"
    )
    source, _, target = only("COPY").partition(" ")
    project = root / target.removeprefix("/")
    shutil.copytree(context / source, project)
    offline = {
        "PIP_PYTHON": str(installed.python),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(installed.wheel.parent),
        "PIP_NO_BUILD_ISOLATION": "0",  # as pip reads it: no isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PATH": f"{pip_of_this_process(root)}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["sh", "-c", only("RUN", 1)],
        cwd=project,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def pip_of_this_process(root: Path) -> Path:
    """A directory with a `pip`: that of the image is not there, so this one works for it."""
    directory = root / "bin"
    directory.mkdir()
    pip = directory / "pip"
    pip.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pip "$@"\n', encoding="utf-8"
    )
    pip.chmod(0o755)
    return directory


def test_the_lines_fit_each_other() -> None:
    assert [word for word, _ in STEPS] == [
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
    ]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    least = project["requires-python"].removeprefix(">=")
    assert only("FROM") == f"python:{least}-slim", "the oldest Python that is tested"
    assert only("COPY") == f". {only('WORKDIR')}"
    package, _, extras = shlex.split(only("RUN", 1))[3].partition("[")
    assert package == project["name"]
    assert {*extras.removesuffix("]").split(",")} <= project[
        "optional-dependencies"
    ].keys()


def test_the_user_is_made_with_a_home_and_is_not_root(tmp_path: Path) -> None:
    command = shlex.split(only("RUN"))
    require(
        shutil.which(command[0]) is not None and os.geteuid() == 0,
        f"root, and {command[0]}",
    )
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group", "shadow", "gshadow"):
        (tmp_path / "etc" / name).touch()
    (tmp_path / "home").mkdir()
    subprocess.run(
        [command[0], "--prefix", tmp_path, *command[1:]],
        check=True,
        capture_output=True,
    )
    (line,) = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8").splitlines()
    name, _, number, _, _, home, _ = line.split(":")
    assert name == only("USER") and int(number) >= 1000
    assert (tmp_path / home.removeprefix("/")).is_dir()


def test_the_code_location_loads_in_the_image(
    image: Path, installed: InstalledWheel
) -> None:
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    option, module = deployment["codeServerArgs"]
    assert option == "-m"
    keys = "[key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()]"
    script = f"import json; from {module} import defs; defs = defs(); print(json.dumps({keys}))"
    loaded = installed.shell(
        f"python -W ignore -c {shlex.quote(script)}",
        cwd=image / only("WORKDIR").removeprefix("/"),
    )
    assert loaded.returncode == 0, loaded.stderr
    assert any(
        key.endswith("/row_groups")
        for key in json.loads(loaded.stdout.splitlines()[-1])
    )


def test_the_command_of_the_job_makes_its_slice_in_the_image(
    image: Path, installed: InstalledWheel, tmp_path: Path
) -> None:
    (container,) = JOB["template"]["spec"]["containers"]
    variables: dict[str, Any] = {
        entry["name"]: entry["value"] for entry in container["env"]
    }
    assert int(variables["SDG_SHARDS"]) == JOB["completions"] == 8
    file = image / variables["SDG_FILE"].removeprefix("/")
    assert file.is_file()
    here = {
        **variables,
        "SDG_FILE": file,
        "SDG_ROOT": tmp_path / "root",
        "JOB_COMPLETION_INDEX": "0",
    }
    exports = "".join(
        f"export {name}={shlex.quote(str(value))}\n" for name, value in here.items()
    )
    made = installed.shell(f"{exports}{shlex.join(container['command'])}\n", cwd=image)
    assert made.returncode == 0, made.stderr
    assert only_version(tmp_path / "root", "support_tickets").existing_row_groups() == [
        0
    ]
