"""The project as people install it: a wheel in an environment of its own, in which nothing of the checkout can be imported."""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.support.requirements import PATIENCE, require_module
from tests.support.sdg import PROJECT

COMMANDS = {"dagster": "dagster._cli", "dg": "dagster_dg_cli.cli"}
"""Commands of the dependencies, with the modules of their `main`."""


@dataclass(frozen=True)
class InstalledWheel:
    """An environment with the wheel. Its dependencies are those of this process's environment."""

    wheel: Path
    python: Path

    def shell(self, script: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Commands as a person types them who has activated the environment; the first that fails ends them."""
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DAGSTER_", "SDG_", "PYTHON"))
        }
        env |= {
            "PATH": f"{self.python.parent}{os.pathsep}{env['PATH']}",
            "VIRTUAL_ENV": str(self.python.parents[1]),
        }
        return subprocess.run(
            ["bash", "-e"],
            input=script,
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def install_wheel(directory: Path) -> InstalledWheel:
    """Build the wheel of this checkout and install it, without a network."""
    require_module("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    subprocess.run(
        build, cwd=PROJECT, check=True, capture_output=True, timeout=PATIENCE
    )
    (wheel,) = directory.glob("*.whl")
    venv.create(directory / "venv", symlinks=True)
    python = directory / "venv" / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        f"--python={python}",
        "--disable-pip-version-check",
        "install",
        "--no-deps",
    ]
    subprocess.run(
        [*pip, "--no-index", wheel], check=True, capture_output=True, timeout=PATIENCE
    )
    (site,) = (directory / "venv" / "lib").glob("python*/site-packages")
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "dependencies.pth").write_text(
        "\n".join(others), encoding="utf-8"
    )  # their own .pth files are not read
    for command, module in COMMANDS.items():
        script = python.with_name(command)
        script.write_text(
            f"#!{python}\nfrom {module} import main\n\nif __name__ == '__main__':\n    main()\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
    return InstalledWheel(wheel, python)
