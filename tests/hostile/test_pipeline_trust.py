"""Commands that inspect a pipeline run and send nothing; commands that run somebody else's file say so first."""

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdg_core.api import pipelines
from sdg_core.cli.main import run
from sdg_core.errors import ConfigError, PlanError, SeedError
from tests.hostile.test_foreign_files import CONFIGS as DATASETS
from tests.hostile.test_foreign_files import foreign as foreign
from tests.hostile.test_foreign_files import noted, sdg

STAGES = """
import os
open({mark!r}, "w").close()
from sdg_core.custom import SourceReader, Stage

def clean(record):
    return record

class Clean(Stage):
    def __init__(self, *, suffix="!"):
        self.suffix = suffix
    def process(self, record):
        return {{**record, "content": record["content"] + self.suffix}}

class Two(SourceReader):
    def items(self):
        return ["a", "b"]
    def expand(self, item):
        yield {{"content": item}}
"""
FILES = {"reader": "files", "path": "*.md"}
LOOKING = (
    "validate",
    "plan",
    "status",
    "process",
    "report",
    "export",
    "reopen",
    "prune",
)
NUMBERS = itertools.count()


def pipeline(*stages: Any, sources: Any = FILES, **more: Any) -> dict[str, Any]:
    return {
        "kind": "pipeline",
        "name": "notes",
        "sources": sources,
        "stages": [*stages],
        **more,
    }


def function(reference: str, **params: Any) -> dict[str, Any]:
    return {
        "stage": "function",
        "function": reference,
        **({"params": params} if params else {}),
    }


def asking(**provider: Any) -> dict[str, Any]:
    column = {
        "column_type": "llm-text",
        "name": "t",
        "prompt": "{{ content }}",
        "model_alias": "writer",
    }
    return pipeline(
        {"stage": "columns", "columns": [column]},
        model_providers=[{"name": "p", **provider}],
        model_configs=[{"alias": "writer", "model": "m", "provider": "p"}],
    )


CUSTOM = {
    "column_type": "custom",
    "name": "made",
    "generator_function": "./functions.py:double",
    "required_columns": [],
}
PIPELINES: dict[str, dict[str, Any]] = {
    "function": pipeline(function("./stages.py:clean")),
    "dotted": pipeline(function("stages:clean")),
    "class": pipeline(function("./stages.py:Clean", suffix="?")),
    "importable": pipeline(function("logging.config:dictConfig")),
    "column": pipeline({"stage": "columns", "columns": [CUSTOM]}),
    "client": asking(provider_type="custom", client="./client.py:Client"),
    "reader": pipeline(sources={"reader": "custom", "reader_class": "./stages.py:Two"}),
    "hub": pipeline(
        sources={
            "reader": "hf",
            "path": "datasets/a/b/*.parquet",
            "endpoint": "http://127.0.0.1:9",
        }
    ),
    "server": pipeline(
        sources={
            "reader": "sql",
            "url": "postgresql://127.0.0.1:9/x",
            "query": "SELECT 1 ORDER BY 1",
        }
    ),
    "bucket": pipeline(sources={"reader": "files", "path": "s3://somebody/**/*.md"}),
}


@pytest.fixture
def place(tmp_path: Path, foreign: Path) -> Path:
    (foreign / "stages.py").write_text(STAGES.format(mark=str(tmp_path / "ran")))
    (foreign / "a.md").write_text("text")
    for name, config in PIPELINES.items():
        (foreign / f"pipeline_{name}.yaml").write_text(yaml.safe_dump(config))
    for name, config in DATASETS.items():
        (foreign / f"dataset_{name}.yaml").write_text(yaml.safe_dump(config))
    return foreign


@pytest.mark.parametrize("own", [False, True], ids=["foreign", "own"])
def test_commands_that_look_run_and_send_nothing(
    tmp_path: Path, place: Path, own: bool
) -> None:
    pipeline_files = sorted(place.glob("pipeline_*.yaml"))
    files = (
        [*pipeline_files, *sorted(place.glob("dataset_*.yaml"))]
        if own
        else pipeline_files
    )
    words: list[str] = []
    for file, command in itertools.product(files, LOOKING if own else LOOKING[:4]):
        words += [
            command,
            str(file),
            *(["out.csv"] if command == "export" else []),
            "--then",
        ]
    for file in place.glob("dataset_*.yaml"):
        words += ["import", str(file), "--then"]
    words += [
        "--untrusted",
        "status",
        str(pipeline_files[0]),
        "--root",
        str(tmp_path / "data"),
    ]
    result = sdg(
        tmp_path, *words, cwd=place if own else None, SDG_ROOT=str(tmp_path / "data")
    )
    assert not (tmp_path / "ran").exists()
    events = noted(tmp_path)
    assert {event for event, _ in events} == {"end"}, result.stderr
    assert {status for _, status in events} <= {0, 2}, result.stderr
    assert [status for event, status in events if status == 0], result.stderr


@pytest.mark.parametrize("command", ["preview", "generate", "retry"])
def test_untrusted_refuses_before_any_code_runs(
    tmp_path: Path, place: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {**PIPELINES["reader"], **{"stages": PIPELINES["class"]["stages"]}}
    config["model_providers"] = [
        {"name": "p", "endpoint": "http://127.0.0.1:9/v1", "api_key": "OPENAI_API_KEY"}
    ]
    (place / "pipeline.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit) as ended:
        run(["--untrusted", command, str(place / "pipeline.yaml")])
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert "runs ./stages.py:Clean" in shown and "runs ./stages.py:Two" in shown
    assert "sends the variable OPENAI_API_KEY to 127.0.0.1" in shown
    assert not (tmp_path / "ran").exists()


OUTSIDE = {
    "files": (
        {"reader": "files", "path": "/usr/share/doc/*"},
        "reads /usr/share/doc/*",
    ),
    "bucket": ({"reader": "files", "path": "s3://somebody/*"}, "reads s3://somebody/*"),
    "hub": (
        {"reader": "hf", "path": "datasets/a/b/c.parquet"},
        "downloads from huggingface.co",
    ),
    "database": (
        {"reader": "sql", "url_env": "MY_DB", "table": "t"},
        "reads the database that MY_DB names",
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_sources_outside_are_named(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sources, line = OUTSIDE[name]
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(pipeline(sources=sources)))
    with pytest.raises(SystemExit):
        run(["--untrusted", "generate", str(tmp_path / "pipeline.yaml")])
    assert line in capsys.readouterr().err


def test_evaluation_sets_are_asked_about_before_they_are_read(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [
        {
            "source": {"seed_type": "custom", "reader": "./readers.py:Reader"},
            "columns": ["text"],
        }
    ]
    hub = {
        "seed_type": "hf",
        "path": "datasets/a/b/c.parquet",
        "token": "AWS_SECRET_ACCESS_KEY",
        "endpoint": "http://x.invalid",
    }
    processor = {
        "processor_type": "decontaminate",
        "name": "clean",
        "columns": ["plan"],
        "evaluation_sets": sets,
    }
    for base in (DATASETS["function"], PIPELINES["function"]):
        (place / "checked.yaml").write_text(
            yaml.safe_dump({**base, "processors": [processor]})
        )
        with pytest.raises(SystemExit):
            run(["--untrusted", "process", str(place / "checked.yaml")])
        shown = capsys.readouterr().err
        assert (
            "runs ./readers.py:Reader" in shown
            and "functions.py" not in shown
            and "stages.py" not in shown
        )
        leaking = {
            **processor,
            "evaluation_sets": [{"source": hub, "columns": ["text"]}],
        }
        (place / "checked.yaml").write_text(
            yaml.safe_dump({**base, "processors": [leaking]})
        )
        with pytest.raises(SystemExit):
            run(["validate", str(place / "checked.yaml")])
        assert (
            "AWS_SECRET_ACCESS_KEY may not be sent to x.invalid"
            in capsys.readouterr().err
        )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "variable",
    ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "MY_PASSWORD"],
)
def test_a_pipeline_sends_a_secret_to_no_other_host(
    tmp_path: Path, variable: str
) -> None:
    (tmp_path / "a.md").write_text("text")
    header = asking(
        endpoint="http://hostile.invalid/v1", extra_headers={"X": f"${variable}"}
    )
    hub = {
        "reader": "hf",
        "path": "datasets/a/b/c.parquet",
        "token": variable,
        "endpoint": "http://hostile.invalid",
    }
    for config in (
        asking(endpoint="http://hostile.invalid/v1", api_key=variable),
        header,
        pipeline(sources=hub),
    ):
        (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(config))
        for offline in (True, False):
            with pytest.raises(
                ConfigError, match=f"{variable} may not be sent to hostile.invalid"
            ):
                pipelines.open_pipeline(
                    tmp_path / "pipeline.yaml",
                    env={variable: "s3cret"},
                    offline=offline,
                )


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/environ",
        "/proc/*/environ",
        "link/environ",
        "/dev/null",
        "/etc/shadow",
    ],
)
def test_sources_are_never_the_systems_own_files(tmp_path: Path, path: str) -> None:
    os.symlink("/proc/self", tmp_path / "link")
    (tmp_path / "pipeline.yaml").write_text(
        yaml.safe_dump(pipeline(sources={"reader": "files", "path": path}))
    )
    try:
        preview = pipelines.preview(tmp_path / "pipeline.yaml", root=tmp_path / "root")
    except SeedError:
        return
    assert preview.table.num_rows == 0
    assert preview.failures and all(
        "never read" in failure.message for _, failure in preview.failures
    )


def test_what_was_looked_at_is_what_runs(tmp_path: Path, place: Path) -> None:
    """Status, process and plan of a reader that is code know what its last run found, and say that they did not look."""
    config = {**PIPELINES["reader"], **{"stages": PIPELINES["class"]["stages"]}}
    (place / "pipeline.yaml").write_text(yaml.safe_dump(config))
    opened = pipelines.open_pipeline(place / "pipeline.yaml", root=tmp_path / "data")
    pipelines.generate(opened)
    looked = pipelines.open_pipeline(
        place / "pipeline.yaml", root=tmp_path / "data", offline=True
    )
    assert looked.plan.fingerprint == opened.plan.fingerprint
    status = pipelines.status(looked).to_dict()
    assert (
        status["sources"]["complete"]["locators"] == ["a", "b"]
        and status["sources_current"] is False
    )
    planned = pipelines.plan(looked)
    assert planned.to_make == {} and "as of the last run" in str(planned.notice)
    assert pipelines.process(looked).num_rows == 2
    with pytest.raises(PlanError, match="opened read-only"):
        pipelines.generate(looked)


PARTS = {
    "decorator": ["", "@dataset_callable\n", "@wraps(print)\n"],
    "kind": [
        "def made(record):\n    return record\n",
        "async def made(record):\n    return record\n",
    ],
    "class": [
        "class made(Stage):\n    def process(self, record):\n        return record\n",
        "@dataclass\nclass made(Stage):\n    a: int = 1\n",
        "class made(Stage):\n    def __init__(self, a=1, *rest, b=2, **more):\n        pass\n",
        "class made(Stage):\n    def __init__(self, a, /, b=1):\n        pass\n",
        "class Base(Stage):\n    def __init__(self, a):\n        pass\nclass made(Base):\n    pass\n",
    ],
    "params": [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2, "c": 3}],
    "after": [
        "",
        "x = 1\n",
        "if True:\n    def made(record):\n        return 1\n",
        "made = made\n",
    ],
}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_reading_and_loading_a_stage_agree(tmp_path: Path, data: st.DataObject) -> None:
    draw = {
        name: data.draw(st.sampled_from(choices)) for name, choices in PARTS.items()
    }
    text = "from dataclasses import dataclass\nfrom functools import wraps\nfrom sdg_core.custom import Stage, dataset_callable\n"
    text += (
        draw["class"]
        if data.draw(st.booleans())
        else f"{draw['decorator']}{draw['kind']}"
    )
    name = f"stages_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(text + draw["after"])
    (tmp_path / "pipeline.yaml").write_text(
        yaml.safe_dump(pipeline(function(f"./{name}.py:made", **draw["params"])))
    )
    outcomes = []
    for offline in (True, False):
        try:
            plan = pipelines.load_pipeline(
                tmp_path / "pipeline.yaml", env={}, offline=offline
            )
            outcomes.append(plan.fingerprint.config_hash)
        except ConfigError as error:
            outcomes.append(str(error))
    assert (
        outcomes[0] == outcomes[1]
        or "only known by running it" in outcomes[0]
        or "takes" in outcomes[1]
    )
