"""Functions of the user may raise what they like, or never return: a run goes on or says why not, and its process ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.errors import FunctionError, SeedError
from sdg_core.testing import ModelServer
from tests.support.requirements import PATIENCE
from tests.support.sdg import PROJECT, category, dataset_config

CODE = """
import asyncio, time
from sdg_core.custom import SourceReader, Stage
class Odd(BaseException): pass
def raised():
    raise {error}("x")
def forever():
    print("called", flush=True)
    while True:
        time.sleep(0.2)
def row(row): raised()
async def later(row): raised()
def whole(df): raised()
def valid(df): raised()
def stage(record): raised()
async def later_stage(record): raised()
class Lines(SourceReader):
    def items(self): return ["a"]
    def expand(self, item):
        raised()
        yield {{}}
class Items(Lines):
    def items(self): raised()
class Setup(Stage):
    def setup(self): raised()
class Client:
    async def complete(self, request): raised()
def endless(record): forever()
class Endless(Stage):
    def setup(self): forever()
    def process(self, record): return record
"""
ERRORS = [
    "StopIteration",
    "asyncio.CancelledError",
    "SystemExit",
    "GeneratorExit",
    "Odd",
    "KeyboardInterrupt",
]
FILES = {"reader": "files", "path": "*.md"}


def custom(name: str, **more: Any) -> dict[str, Any]:
    reference = f"./code.py:{name}"
    return {
        "column_type": "custom",
        "name": name,
        "generator_function": reference,
        "required_columns": ["plan"],
        **more,
    }


VALID = {
    "column_type": "validation",
    "name": "valid",
    "target_columns": ["plan"],
    "validator_type": "local_callable",
    "validator_params": {"validation_function": "./code.py:valid"},
}


def dataset(place: Path, *columns: dict[str, Any]) -> api.Dataset:
    config = dataset_config(category("plan", "a"), *columns) | {"num_records": 2}
    return api.open_dataset(config, root=place / "root", base=place)


def pipeline(
    place: Path, *functions: str, sources: Any = FILES
) -> pipelines.OpenPipeline:
    stages = [
        {"stage": "function", "function": f"./code.py:{name}"} for name in functions
    ]
    config = {"kind": "pipeline", "name": "notes", "sources": sources, "stages": stages}
    (place / "pipeline.yaml").write_text(yaml.safe_dump(config))
    return pipelines.open_pipeline(place / "pipeline.yaml", root=place / "root")


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "code.py").write_text(CODE.format(error=request.param))
    (tmp_path / "a.md").write_text("text")
    return tmp_path


@pytest.mark.parametrize("place", ERRORS, indirect=True)
def test_what_they_raise_fails_what_they_were_asked_for(
    place: Path, request: pytest.FixtureRequest
) -> None:
    error = request.node.callspec.params["place"]
    name = error.rpartition(".")[2]
    in_threads = (
        ["row", "valid"] if name == "KeyboardInterrupt" else ["row", "later", "valid"]
    )  # Ctrl-C is one there
    columns = {"row": custom("row"), "later": custom("later"), "valid": VALID}
    for each in in_threads:
        summary = api.generate(dataset(place, columns[each]))
        assert summary.failed == 2 and name in str(summary.first_failure), each
    with pytest.raises(FunctionError, match=name):
        api.generate(dataset(place, custom("whole", generation_strategy="full_column")))
    for each in ["stage"] if name == "KeyboardInterrupt" else ["stage", "later_stage"]:
        made = pipelines.generate(pipeline(place, each))
        assert [name in failure.message for _, failure in made.failures] == [True], each
    with pytest.raises(FunctionError, match=f"setup of Setup raised.*{name}"):
        pipelines.generate(pipeline(place, "Setup"))
    if name == "KeyboardInterrupt":
        return
    made = pipelines.generate(
        pipeline(place, sources={"reader": "custom", "reader_class": "./code.py:Lines"})
    )
    assert [name in failure.message for _, failure in made.failures] == [True]
    with pytest.raises(SeedError, match=name):
        pipeline(place, sources={"reader": "custom", "reader_class": "./code.py:Items"})


@pytest.mark.parametrize("place", ["ValueError"], indirect=True)
@pytest.mark.parametrize("kind", ["row", "stage", "whole", "setup", "validator"])
def test_what_never_returns_does_not_keep_the_process(place: Path, kind: str) -> None:
    """A row's function is given up by the rule about stalls; what is called for many rows and may take its time, by Ctrl-C."""
    columns = {
        "whole": custom("endless", generation_strategy="full_column"),
        "validator": {
            **VALID,
            "validator_params": {"validation_function": "./code.py:endless"},
        },
    }
    stalls = kind == "row"
    file = "dataset.yaml"
    if kind in ("stage", "setup"):
        pipeline(place, "endless" if kind == "stage" else "Endless")
        file = "pipeline.yaml"
    else:
        config = dataset_config(
            category("plan", "a"), columns.get(kind, custom("endless"))
        ) | {"num_records": 2}
        run = {"run": {"stall_timeout": 0.5}} if stalls else {}
        (place / file).write_text(yaml.safe_dump(config | run))
    command = [
        sys.executable,
        "-c",
        "from sdg_core.cli.main import main; main()",
        "generate",
        file,
        "--root",
        "root",
    ]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        command,
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if not stalls:
            assert process.stdout is not None
            assert any("called" in line for line in process.stdout)
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == (2 if stalls else 3), said


async def test_this_machine_is_asked_without_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    text = {
        "column_type": "llm-text",
        "name": "t",
        "prompt": "{{ plan }}",
        "model_alias": "writer",
    }
    async with ModelServer() as server:
        config = dataset_config(category("plan", "a"), text, endpoint=server.url) | {
            "num_records": 1
        }
        summary = await api.agenerate(api.open_dataset(config, root=tmp_path))
    assert summary.remaining == 0
