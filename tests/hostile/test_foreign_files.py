"""What a stranger's dataset file can do: commands that look do nothing of it, commands that run say so and may be told not to."""

import json
import os
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.requirements import PATIENCE
from tests.support.sdg import PROJECT, category, dataset_config, uuid
from tests.support.warm import Command, run_warm

FUNCTIONS = """
import os
open({mark!r}, "w").close()

def double(row) -> str:
    return row["plan"] * 2

def valid(frame):
    return frame
"""
READER = """
from sdg_core.seeds.base import SeedReader
open({mark!r}, "w").close()

class Reader(SeedReader):
    pass
"""
CLIENT = """
open({mark!r}, "w").close()

class Client:
    async def complete(self, request):
        return "x"
"""


def custom(reference: str) -> dict[str, Any]:
    return {
        "column_type": "custom",
        "name": "made",
        "generator_function": reference,
        "required_columns": ["plan"],
    }


def provider(**fields: Any) -> dict[str, Any]:
    config = dataset_config(
        uuid(),
        category("plan", "a", "b"),
        {
            "column_type": "llm-text",
            "name": "t",
            "prompt": "{{ plan }}",
            "model_alias": "writer",
        },
    )
    config["model_providers"] = [{"name": "p", **fields}]
    return config


BASE = (uuid(), category("plan", "a", "b"))
CONFIGS: dict[str, dict[str, Any]] = {
    "function": dataset_config(*BASE, custom("./functions.py:double")),
    "dotted": dataset_config(*BASE, custom("functions:double")),
    "importable": dataset_config(*BASE, custom("logging.config:dictConfig")),
    "installed": dataset_config(*BASE, custom("idlelib.idle:x")),
    "validator": dataset_config(
        *BASE,
        {
            "column_type": "validation",
            "name": "v",
            "target_columns": ["plan"],
            "validator_type": "local_callable",
            "validator_params": {"validation_function": "./functions.py:valid"},
        },
    ),
    "reader": dataset_config(
        uuid(),
        seed_config={
            "source": {"seed_type": "custom", "reader": "./readers.py:Reader"}
        },
    ),
    "client": provider(provider_type="custom", client="./client.py:Client"),
    "hub": dataset_config(
        uuid(),
        seed_config={
            "source": {
                "seed_type": "hf",
                "path": "datasets/a/b/*.parquet",
                "endpoint": "http://127.0.0.1:9",
            }
        },
    ),
    "server": dataset_config(
        uuid(),
        seed_config={
            "source": {
                "seed_type": "sql",
                "url": "postgresql://127.0.0.1:9/x",
                "query": "SELECT 1 ORDER BY 1",
            }
        },
    ),
    "secret": provider(endpoint="http://127.0.0.1:9/v1", api_key="MY_KEY"),
}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    directory = tmp_path / "foreign"
    directory.mkdir()
    mark = str(tmp_path / "ran")
    (directory / "functions.py").write_text(FUNCTIONS.format(mark=mark))
    (directory / "readers.py").write_text(READER.format(mark=mark))
    (directory / "client.py").write_text(CLIENT.format(mark=mark))
    (tmp_path / "mine").mkdir()
    return directory


def sdg(
    tmp_path: Path, *arguments: str, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """The command under watch, as a process of a person whose project is elsewhere; its log is `tmp_path/log`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        **env,
    }
    environment.setdefault("MY_KEY", "k")
    watched = [str(tmp_path / "log"), str(tmp_path / "foreign"), *arguments]
    command = Command(
        "tests.hostile.watch", watched, cwd or tmp_path / "mine", environment
    )
    return run_warm(command, timeout=PATIENCE)


def noted(tmp_path: Path) -> list[Any]:
    log = tmp_path / "log"
    return (
        [json.loads(line) for line in log.read_text().splitlines()]
        if log.exists()
        else []
    )


@pytest.mark.parametrize(
    "command",
    [
        ["validate"],
        ["plan"],
        ["status"],
        ["process"],
        ["report"],
        ["export", "out.csv"],
        ["prune", "--yes"],
        ["reopen"],
    ],
    ids=lambda command: command[0],
)
def test_commands_that_look_run_and_send_nothing(
    tmp_path: Path, foreign: Path, command: list[str]
) -> None:
    verb, *more = command
    words: list[str] = []
    for name, config in CONFIGS.items():
        file = foreign / f"{name}.yaml"
        file.write_text(yaml.safe_dump(config))
        words += [verb, str(file), *more, "--then"]
    result = sdg(tmp_path, *words)
    events = noted(tmp_path)
    assert [event for event, _ in events] == ["end"] * len(CONFIGS), result.stderr
    assert {status for _, status in events} <= {0, 2}, result.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["importable", "installed"])
def test_what_is_merely_importable_is_no_function(
    tmp_path: Path, foreign: Path, name: str
) -> None:
    file = foreign / "tickets.yaml"
    file.write_text(yaml.safe_dump(CONFIGS[name]))
    result = sdg(tmp_path, "preview", str(file))
    assert result.returncode == 2
    assert "error:" in result.stderr and "Traceback" not in result.stderr
    assert [
        event
        for event, _ in noted(tmp_path)
        if event in ("os.system", "subprocess.Popen")
    ] == []


def test_a_pipe_is_told_and_goes_on_and_untrusted_refuses(
    tmp_path: Path, foreign: Path
) -> None:
    file = foreign / "tickets.yaml"
    file.write_text(yaml.safe_dump(CONFIGS["function"]))
    refused = sdg(tmp_path, "preview", str(file), "--untrusted")
    assert refused.returncode == 2 and "runs ./functions.py:double" in refused.stderr
    assert not (tmp_path / "ran").exists()
    done = sdg(tmp_path, "preview", str(file))
    assert done.returncode == 0 and "is outside this project" in done.stderr
    assert (tmp_path / "ran").exists()
    own = sdg(tmp_path, "preview", str(file), cwd=foreign)
    assert own.returncode == 0 and "outside this project" not in own.stderr


def test_a_secret_does_not_leave_for_another_host(
    tmp_path: Path, foreign: Path
) -> None:
    variables = [
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "MY_PASSWORD",
    ]
    files: list[str] = []
    for variable in variables:
        for place, value in (
            ("api_key", variable),
            ("extra_headers", {"X": f"${variable}"}),
        ):
            file = foreign / f"{variable.lower()}_{place}.yaml"
            file.write_text(
                yaml.safe_dump(
                    provider(endpoint="http://hostile.invalid/v1", **{place: value})
                )
            )
            files.append(str(file))
    values = dict.fromkeys(variables, "s3cret")
    refused = sdg(
        tmp_path,
        *chain.from_iterable(("preview", file, "--then") for file in files),
        **values,
    )
    assert noted(tmp_path) == [["end", 2]] * len(files)
    for variable in variables:
        message = f"environment variable {variable} may not be sent to hostile.invalid"
        assert refused.stderr.count(message) == 2
    assert "SDG_ALLOW_VARIABLES" in refused.stderr and "s3cret" not in refused.stderr
    (tmp_path / "log").unlink()
    pairs = " ".join(f"{variable}=hostile.invalid" for variable in variables)
    commands = chain.from_iterable(("validate", file, "--then") for file in files)
    sdg(tmp_path, *commands, SDG_ALLOW_VARIABLES=pairs, **values)
    assert noted(tmp_path) == [["end", 0]] * len(files)
