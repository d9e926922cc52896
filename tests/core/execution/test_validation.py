"""Validation columns in a run: as a whole or record by record, with the same verdicts, and with an endpoint that misbehaves."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web

from sdg_core import api
from sdg_core.config.validators import RemoteParams
from sdg_core.plan.types.verdicts import single_verdict_type
from sdg_core.store.failures import read_failures
from sdg_core.validators.base import ValidatorError
from sdg_core.validators.remote import RemoteValidator
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    open_dataset,
    stored_records,
)

CODES = ("x = 1", "print(missing)", "def f(:")
SQL = ("select 1", "selec 1 from", "hello there")


def validation(
    kind: str, params: dict[str, Any], *targets: str, **more: Any
) -> dict[str, Any]:
    column = {
        "column_type": "validation",
        "name": "v",
        "target_columns": list(targets),
        "validator_type": kind,
    }
    return {**column, "validator_params": params, **more}


def copied(name: str, source: str) -> dict[str, Any]:
    column = {
        "column_type": "custom",
        "name": name,
        "generator_function": "same",
        "required_columns": [source],
    }
    return {**column, "version": 1}


def opened(
    folder: Path, *columns: dict[str, Any], name: str = "tickets", **top: Any
) -> api.Dataset:
    functions = {"same": lambda row: next(iter(row.values())), "check": check}
    config = dataset_config(*columns, name=name, **top)
    return open_dataset(
        folder / f"{name}.yaml", config, root=folder / "root", functions=functions
    )


def check(df: pl.DataFrame) -> pl.DataFrame:
    if df["a"].str.contains("print").any() and df.height == 1:
        raise ValueError("does not like it")
    return df.select(
        is_valid=pl.col("a").str.len_chars() > 6, size=pl.col("a").str.len_chars()
    )


def rows_of(dataset: api.Dataset) -> dict[int, dict[str, Any]]:
    return stored_records(dataset.layout.version(dataset.plan.fingerprint.version))


VALIDATORS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("code", {"code_lang": "python"}, ("a",)),
    ("code", {"code_lang": "python"}, ("a", "b")),
    ("code", {"code_lang": "sql:ansi"}, ("b", "a")),
    ("regex", {"pattern": "^[a-z]+ = "}, ("a", "b")),
    ("json_schema", {"json_schema": {"type": "number"}}, ("a",)),
    ("local_callable", {"validation_function": "check", "version": 1}, ("a", "b")),
]


@pytest.mark.parametrize(("kind", "params", "targets"), VALIDATORS)
def test_verdicts_are_the_same_as_a_whole_and_record_by_record(
    tmp_path: Path, kind: str, params: dict[str, Any], targets: tuple[str, ...]
) -> None:
    verdict = validation(kind, params, *targets, batch_size=4)
    at_once = opened(
        tmp_path, category("a", *CODES), category("b", *SQL), verdict, name="whole"
    )
    api.generate(at_once)
    single = opened(
        tmp_path,
        category("a0", *CODES),
        category("b", *SQL),
        copied("a", "a0"),
        verdict,
        name="single",
        row_group_size=7,
    )
    assert (
        "v" in single.plan.graph.per_record and "v" not in at_once.plan.graph.per_record
    )
    api.generate(single)
    by_values: dict[tuple[str, str], Any] = {}
    for rows in rows_of(at_once), rows_of(single):
        assert len(rows) == 25
        for row in rows.values():
            assert by_values.setdefault((row["a"], row["b"]), row["v"]) == row["v"]
    assert (
        len({json.dumps(item) for item in by_values.values()}) > 1
        or kind == "json_schema"
    )


def test_a_verdict_can_be_read_in_templates_and_conditions(tmp_path: Path) -> None:
    columns = [
        category("a", *CODES),
        validation("code", {"code_lang": "python"}, "a"),
        expression("fine", "{{ v.is_valid }}", dtype="bool"),
        expression(
            "later",
            "{{ v.python_linter_severity }}",
            skip={"when": "{{ not v.is_valid }}"},
        ),
    ]
    dataset = opened(tmp_path, *columns)
    api.generate(dataset)
    for row in rows_of(dataset).values():
        assert row["fine"] is (row["a"] == "x = 1") and row["later"] == (
            "none" if row["fine"] else None
        )


def test_many_cells_share_a_linter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    run = subprocess.run

    def counting(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", counting)
    verdict = validation("code", {"code_lang": "python"}, "a", batch_size=10)
    api.generate(
        opened(
            tmp_path,
            category("a0", *CODES),
            copied("a", "a0"),
            verdict,
            num_records=60,
            row_group_size=60,
        )
    )
    assert len(calls) <= 20


def test_a_function_that_fails_costs_the_records_of_its_batch(tmp_path: Path) -> None:
    verdict = validation(
        "local_callable",
        {"validation_function": "check", "version": 1},
        "a",
        batch_size=1,
    )
    dataset = opened(
        tmp_path, category("a", *CODES), verdict, run={"max_failure_rate": 1.0}
    )
    summary = api.generate(dataset)
    rows = rows_of(dataset).values()
    assert {row["a"] for row in rows} == {
        "x = 1",
        "def f(:",
    } and summary.failed == 25 - len(rows) > 0
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    failure = read_failures(version.failure_list(0))[0]
    assert (failure.column, failure.kind) == ("v", "validation")
    assert failure.message == "check raised ValueError: does not like it"


# --- remote -----------------------------------------------------------------------------------------------------------

Answer = Callable[[list[dict[str, Any]]], web.Response]


class Endpoint:
    def __init__(self, *answers: Answer) -> None:
        self.answers, self.open, self.most_open = list(answers), 0, 0
        self.batches: list[list[dict[str, Any]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        rows = (await request.json())["data"]
        self.batches.append(rows)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0.005)
        self.open -= 1
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(rows)


def judge(rows: list[dict[str, Any]]) -> web.Response:
    return web.json_response(
        {
            "data": [
                {"is_valid": row["a"] == "x = 1", "size": len(row["a"])} for row in rows
            ]
        }
    )


def status(code: int) -> Answer:
    return lambda rows: web.Response(status=code, text="sorry")


@asynccontextmanager
async def serving(endpoint: Endpoint) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/check", endpoint.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/check"
    finally:
        await runner.cleanup()


OUTPUT = {
    "type": "object",
    "properties": {"is_valid": {"type": "boolean"}, "size": {"type": "integer"}},
}


async def test_an_endpoint_gives_verdicts_in_batches(tmp_path: Path) -> None:
    endpoint = Endpoint(status(503), judge)
    async with serving(endpoint) as url:
        params = {
            "endpoint_url": url,
            "output_schema": OUTPUT,
            "retry_backoff": 0.01,
            "max_parallel_requests": 2,
        }
        dataset = opened(
            tmp_path,
            category("a", *CODES),
            validation("remote", params, "a", batch_size=5),
        )
        summary = await api.agenerate(dataset)
    assert summary.failed == 0
    assert all(
        row["v"] == {"is_valid": row["a"] == "x = 1", "size": len(row["a"])}
        for row in rows_of(dataset).values()
    )
    assert (
        max(len(batch) for batch in endpoint.batches) == 5 and endpoint.most_open <= 2
    )


@pytest.mark.parametrize(
    ("answers", "requests", "message"),
    [
        ([status(500)], 3, "HTTP 500 (after 3 tries)"),
        ([status(400)], 1, "HTTP 400: sorry"),
        (
            [lambda rows: web.Response(text="what?")],
            1,
            "returned a response that is not JSON",
        ),
        (
            [lambda rows: web.json_response({"data": []})],
            1,
            "answered 0 verdicts for 1 row",
        ),
        ([lambda rows: web.json_response([1])], 1, "no list under `data`"),
    ],
)
async def test_an_endpoint_that_fails_for_good(
    answers: list[Answer], requests: int, message: str
) -> None:
    endpoint, waits = Endpoint(*answers), list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with serving(endpoint) as url:
        params = RemoteParams(endpoint_url=url, max_retries=2, retry_backoff=2.0)
        validator = RemoteValidator(
            params, verdict=single_verdict_type(params), sleep=sleep
        )
        with pytest.raises(ValidatorError) as caught:
            await validator.validate([{"a": "x"}])
    assert message in caught.value.message and len(endpoint.batches) == requests
    assert waits == [2.0, 4.0][: requests - 1]


async def test_nobody_answers() -> None:
    params = RemoteParams(endpoint_url="http://127.0.0.1:9/check", max_retries=0)
    with pytest.raises(ValidatorError, match="after 1 try"):
        await RemoteValidator(params, verdict=single_verdict_type(params)).validate(
            [{"a": "x"}]
        )


async def test_records_without_a_verdict_fail_with_the_reason(tmp_path: Path) -> None:
    async with serving(Endpoint(status(400))) as url:
        column = validation("remote", {"endpoint_url": url}, "a")
        dataset = opened(
            tmp_path,
            category("a", *CODES),
            column,
            num_records=5,
            run={"max_failure_rate": 1.0},
        )
        summary = await api.agenerate(dataset)
    assert summary.failed == 5
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    assert {failure.kind for failure in read_failures(version.failure_list(0))} == {
        "validation"
    }
