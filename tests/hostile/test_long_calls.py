"""A function of the user that takes long is named while the run waits for it: nothing else shows that the run has not stopped."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from sdg_core import api
from sdg_core.api import Notice, pipelines
from sdg_core.execution import long_calls
from tests.hostile.test_pipeline_trust import function, pipeline
from tests.support.requirements import PATIENCE
from tests.support.sdg import category, dataset_config, uuid

NAMED = threading.Event()
"""Set once a function has been named; until then the functions here do not return."""


def whole(frame: Any) -> Any:
    assert NAMED.wait(PATIENCE)
    return frame.with_columns(pl.lit("x").alias("made"))


def each(row: Any) -> str:
    assert NAMED.wait(PATIENCE)
    return "x"


def valid(frame: Any) -> Any:
    assert NAMED.wait(PATIENCE)
    return frame.with_columns(pl.lit(True).alias("is_valid"))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(long_calls, "SECONDS", 0.05)
    NAMED.clear()
    yield
    NAMED.set()


class Told:
    """An observer that lets the functions go on once one of them is named."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Notice) and "which has run for over" in event.message:
            self.messages.append(event.message)
            NAMED.set()


def custom(**more: Any) -> dict[str, Any]:
    return {
        "column_type": "custom",
        "name": "made",
        "generator_function": "f",
        "required_columns": ["plan"],
        "output_type": "str",
        **more,
    }


COLUMNS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "whole column": (
        custom(generation_strategy="full_column"),
        whole,
        "column 'made': f",
    ),
    "one record": (custom(), each, "column 'made': f"),
    "validator": (
        {
            "column_type": "validation",
            "name": "v",
            "target_columns": ["plan"],
            "validator_type": "local_callable",
            "validator_params": {"validation_function": "f"},
        },
        valid,
        "the validator f",
    ),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_function_of_a_dataset_is_named(tmp_path: Path, kind: str) -> None:
    column, call, what = COLUMNS[kind]
    config = dataset_config(uuid(), category("plan", "a"), column)
    told = Told()
    dataset = api.open_dataset(
        config, root=str(tmp_path), functions={"f": call}, num_records=2
    )
    assert api.generate(dataset, on_event=told).remaining == 0
    assert len(told.messages) == 1 and f"waiting for {what}" in told.messages[0]
    NAMED.clear()
    told = Told()
    assert api.preview(dataset, num_records=1, on_event=told).table.num_rows == 1
    assert len(told.messages) == 1 and f"waiting for {what}" in told.messages[0]


def test_a_function_of_a_pipeline_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")

    async def slow(record: Any) -> Any:
        assert await asyncio.to_thread(NAMED.wait, PATIENCE)
        return record

    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(pipeline(function("f"))))
    told = Told()
    opened = pipelines.open_pipeline(
        tmp_path / "pipeline.yaml", root=tmp_path / "root", functions={"f": slow}
    )
    pipelines.generate(opened, on_event=told)
    assert len(told.messages) == 1 and "waiting for stages[0]: f" in told.messages[0]
