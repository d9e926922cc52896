"""Every function of the public door takes what it can use, and says what it wants where it is given something else."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.api.arguments import checked
from sdg_core.errors import ConfigError, PlanError, SdgError
from tests.support.sdg import dataset_config, uuid

CONFIG = {
    **dataset_config(uuid()),
    "name": "tickets",
    "num_records": 4,
    "row_group_size": 2,
}
PIPELINE: dict[str, Any] = {
    "kind": "pipeline",
    "name": "notes",
    "sources": {"reader": "files", "path": "docs/*.txt"},
    "stages": [{"stage": "split", "column": "content", "unit": "words", "size": 1}],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDG_ROOT", str(tmp_path / "data"))
    Path("tickets.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    Path("pipeline.yaml").write_text(yaml.safe_dump(PIPELINE), encoding="utf-8")
    Path("docs").mkdir()
    Path("docs/a.txt").write_text("one two", encoding="utf-8")
    return tmp_path


def functions() -> Iterator[tuple[str, Any]]:
    for door in (api, pipelines):
        for name in door.__all__:
            value = getattr(door, name)
            if inspect.isfunction(value) and inspect.signature(value).parameters:
                yield f"{door.__name__}.{name}", value


async def outcome(function: Any, *args: Any) -> Exception | None:
    try:
        made = function(*args)
        if inspect.isawaitable(made):
            await made
    except SdgError as error:
        return error
    except TypeError as error:
        assert re.search(r"missing \d required", str(error)), (function, args, error)
    return None


async def test_no_function_answers_with_the_words_of_python() -> None:
    given = {
        "mapping": CONFIG,
        "config": api.open_dataset(CONFIG).loaded.config,
        "path": Path("tickets.yaml"),
        "text": "tickets.yaml",
        "pipeline file": "pipeline.yaml",
        "dataset": api.open_dataset(CONFIG),
        "pipeline": api.open_pipeline("pipeline.yaml"),
        "none": None,
        "number": 7,
        "list": [1],
        "class": api.Dataset,
        "bytes": b"tickets.yaml",
        "empty": {},
    }
    looked_at = 0
    for name, function in functions():
        for value in given.values():
            error = await outcome(function, value)
            assert error is None or str(error), (name, value)
            looked_at += 1
    assert looked_at > 700


VERBS = (
    "check_evaluation_sets",
    "check_models",
    "check_tools",
    "estimate",
    "generate",
    "history",
    "measure_constraints",
    "plan",
    "prune",
    "status",
)


@pytest.mark.parametrize(
    "verb", [*VERBS, "versions", "measured_version", "row_group_statuses", "seal_of"]
)
async def test_verbs_take_what_open_dataset_takes(verb: str) -> None:
    config = api.open_dataset(CONFIG).loaded.config
    for dataset in (
        CONFIG,
        config,
        Path("tickets.yaml"),
        "tickets.yaml",
        api.open_dataset("tickets.yaml"),
    ):
        getattr(api, verb)(dataset)
    for wrong, words in (
        (None, "got NoneType"),
        (7, "got int"),
        (api.open_pipeline("pipeline.yaml"), "OpenPipeline"),
    ):
        with pytest.raises(
            ConfigError,
            match=f"expected a path, a mapping or a config object, .*{words}",
        ):
            getattr(api, verb)(wrong)
    with pytest.raises(ConfigError, match="line 1, kind: a pipeline, not a dataset"):
        getattr(api, verb)("pipeline.yaml")


def test_a_whole_dataset_by_its_mapping() -> None:
    assert api.generate(CONFIG).generated == 4
    assert api.process(CONFIG).outputs
    assert api.export("tickets.yaml", "out.jsonl").num_rows == 4
    assert (
        api.scan(CONFIG).collect().height
        == api.scan(api.open_dataset(CONFIG)).collect().height
        == 4
    )
    assert api.report(CONFIG).path is not None and api.reopen(CONFIG)


def test_pipelines_take_what_open_pipeline_takes() -> None:
    for place, pipeline in enumerate(
        (PIPELINE, Path("pipeline.yaml"), "pipeline.yaml", api.open_pipeline(PIPELINE))
    ):
        assert pipelines.generate(pipeline).made == (0 if place else 1)
        assert pipelines.status(pipeline).to_dict()["records"] == {"actual": 2}
        assert pipelines.preview(pipeline).table.num_rows == 2
        assert pipelines.plan(pipeline).adopted == 1
    pipelines.process(PIPELINE)
    assert api.scan(api.open_pipeline(PIPELINE)).collect().height == 2
    for wrong in (None, 7, api.open_dataset(CONFIG)):
        with pytest.raises(
            PlanError,
            match="status: pipeline must be str or Path or Pipeline or Mapping of str or",
        ):
            pipelines.status(wrong)  # type: ignore[arg-type]


def test_other_arguments_are_named() -> None:
    dataset: Any = api.open_dataset(CONFIG)
    for call, words in (
        (
            lambda: api.generate(dataset, row_groups=3),
            "row_groups must be Sequence of int or None, got int",
        ),
        (
            lambda: api.generate(dataset, row_groups=["3"]),
            "row_groups must be Sequence of int or None, got list",
        ),
        (
            lambda: api.generate(dataset, resume="sometimes"),
            "resume must be 'if_possible' or 'always' or 'never' or None, got str",
        ),
        (lambda: api.estimate(dataset, sample="5"), "sample must be int, got str"),
        (
            lambda: api.export(dataset, "x.csv", columns="id"),
            "columns must be Sequence of str or None, got str",
        ),
        (
            lambda: api.preview(dataset, on_event="print"),
            "on_event must be Callable, got str",
        ),
    ):
        with pytest.raises(PlanError, match=re.escape(words)):
            call()


def test_checking_changes_no_signature() -> None:
    for name, function in functions():
        plain = inspect.unwrap(function)
        assert [*inspect.signature(function).parameters] == [
            *inspect.signature(plain).parameters
        ], name
        assert inspect.iscoroutinefunction(function) == inspect.iscoroutinefunction(
            plain
        ), name

    def nothing(first: int, *rest: str, **named: bool) -> tuple[Any, ...]:
        return first, rest, named

    assert checked(nothing, name="nothing")(1, "a", x=True) == (1, ("a",), {"x": True})
    with pytest.raises(TypeError, match="missing 1 required"):
        checked(nothing, name="nothing")()  # type: ignore[call-arg]


def test_what_notebooks_show() -> None:
    dataset = api.open_dataset(CONFIG)
    assert "<Dataset 'tickets': 4 records of 1 column, in " in repr(dataset)
    assert (
        "<td" in dataset._repr_html_()
        and "uuid" not in repr(dataset)
        and "sampler" in dataset._repr_html_()
    )
    pipeline = api.open_pipeline(PIPELINE)
    assert "<Pipeline 'notes': 1 source through 1 stage, in " in repr(pipeline)
    assert (
        "split" in pipeline._repr_html_()
        and "<table>" in pipelines.preview(pipeline)._repr_html_()
    )
