"""Estimates: what the remaining records will take, by a sample of them; costs from configured prices only."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.config.models import ModelConfig
from sdg_core.errors import ConfigDriftError, PlanError
from sdg_core.execution.estimate import spread
from sdg_core.plan.usage import Cost, costs, totals
from sdg_core.testing import ModelServer, status
from tests.core.execution.test_carry_over import BASE, edited
from tests.support.sdg import (
    ServerProcess,
    dataset_config,
    expression,
    llm,
    open_dataset,
    sdg,
    uuid,
    write_config,
)

PRICES = {
    "prompt_tokens": 2.0,
    "completion_tokens": 10.0,
    "cached_tokens": 1.0,
    "requests": 0.5,
    "currency": "EUR",
}


def priced(
    *columns: dict[str, Any], prices: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    config = dataset_config(*columns, **more)
    config["model_configs"][0]["prices"] = prices
    return config


def test_the_sample_is_spread_over_what_is_lacking() -> None:
    assert spread(range(100), 5) == [0, 20, 40, 60, 80]
    assert (
        spread([3, 9], 5) == [3, 9]
        and spread([], 5) == []
        and spread(range(7), 3) == [0, 2, 4]
    )


def test_costs_come_from_prices() -> None:
    config = {"alias": "w", "model": "m", "provider": "p"}
    model = ModelConfig.model_validate({**config, "prices": PRICES})
    usage = {
        "w": {
            "requests": 2,
            "prompt_tokens": 1_000_000,
            "cached_tokens": 400_000,
            "completion_tokens": 100_000,
        }
    }
    found = costs(usage, [model])
    assert found == {"w": Cost(pytest.approx(0.6 * 2 + 0.4 + 1.0 + 1.0), "EUR")}
    assert costs(usage, [ModelConfig.model_validate(config)]) == {} and totals({}) == {}
    assert totals(
        {"a": Cost(1.0, "EUR"), "b": Cost(2.0, "USD"), "c": Cost(0.5, "EUR")}
    ) == {
        "EUR": 1.5,
        "USD": 2.0,
    }


def test_an_estimate_is_of_what_is_lacking(tmp_path: Path) -> None:
    with ServerProcess("--latency", "0.05") as server:
        config = priced(
            uuid(),
            llm("text", "{{ id }}"),
            endpoint=server.url,
            num_records=40,
            prices=PRICES,
        )
        dataset = open_dataset(tmp_path / "t.yaml", config, root=tmp_path / "root")
        expected = api.estimate(dataset, sample=4)
        assert (
            not (tmp_path / "root" / "tickets").exists() and len(server.prompts()) == 4
        )
        assert (
            expected.remaining,
            expected.sampled,
            expected.failed,
            expected.simulated,
        ) == (
            40,
            4,
            0,
            False,
        )
        assert (
            expected.usage["writer"]["requests"] == 40
            and expected.used["writer"]["requests"] == 4
        )
        assert expected.seconds > 0.4  # 40 requests of at least 50 ms, 4 at once
        api.generate(dataset)
        used = api.status(dataset)
        assert used.usage["writer"]["prompt_tokens"] == pytest.approx(
            expected.usage["writer"]["prompt_tokens"], rel=0.2
        )
        assert used.cost["writer"].amount == pytest.approx(
            expected.total_cost["EUR"], rel=0.2
        )
        assert used.usage_by_column == {"text": used.usage}
        nothing = api.estimate(dataset)
        assert (nothing.remaining, nothing.usage, nothing.seconds) == (
            0,
            {},
            0.0,
        ) and len(server.prompts()) == 40


def test_the_command_says_what_is_ahead(tmp_path: Path) -> None:
    file = write_config(
        tmp_path / "t.yaml", priced(uuid(), llm("text", "{{ id }}"), prices=PRICES)
    )
    root = ("--root", tmp_path / "root")
    shown = sdg("estimate", file, "-n", "2", *root)
    assert shown.returncode == 0, shown.stderr
    for words in (
        "25 records",
        "2 records, replies are not kept",
        "25 requests",
        "EUR",
        "measured rate",
        "simulated",
    ):
        assert words in shown.stdout
    data = json.loads(sdg("estimate", file, "--json", *root).stdout)
    assert (
        data["lacking"] == 25
        and data["total_cost"]["EUR"] > 12
        and data["usage"]["writer"]["requests"] == 25
    )
    assert sdg("generate", file, *root).returncode == 0
    assert (
        "nothing to do" in sdg("estimate", file, *root).stdout
        and "EUR" in sdg("status", file, *root).stdout
    )
    assert "usage: writer: 3 requests" in sdg("preview", file, "-n", "3", *root).stdout


async def test_what_is_carried_over_costs_nothing(tmp_path: Path) -> None:
    async with ModelServer() as server:
        config = priced(
            *BASE, endpoint=server.url, prices={"requests": 2.0, "currency": "EUR"}
        )

        def opened(*columns: dict[str, Any], **top: Any) -> api.Dataset:
            return open_dataset(
                tmp_path / "t.yaml",
                {**config, "columns": list(columns), **top},
                root=tmp_path / "root",
            )

        async def estimate(dataset: api.Dataset) -> api.Estimate:
            return await asyncio.to_thread(api.estimate, dataset, sample=5)

        assert (await estimate(opened(*BASE))).usage["writer"]["requests"] == 75
        await api.agenerate(opened(*BASE))
        answered = edited(BASE, "answer", prompt="answer: reply to {{ question }}")
        for columns, top, reused, requests in (
            (answered, {}, 50, 25),
            (answered, {"num_records": 32}, 50, 46),
            (
                edited(BASE, "question", prompt="question: now about {{ id }}"),
                {},
                25,
                50,
            ),
        ):
            dataset = opened(*columns, **top)
            plan, expected = api.plan(dataset), await estimate(dataset)
            sampled = requests - plan.requests["writer"]  # by the estimates before
            assert 0 <= sampled <= 5
            assert (expected.reused, expected.usage["writer"]["requests"]) == (
                reused + sampled,
                requests - sampled,
            )
            assert expected.total_cost == {"EUR": 2.0 * (requests - sampled)}
        asked = len(server.requests)
        expected = await estimate(opened(*reversed(BASE)))
        assert (
            expected.remaining,
            expected.reused,
            expected.sampled,
            expected.usage,
        ) == (
            25,
            75,
            0,
            {},
        )
        assert len(server.requests) == asked


async def test_replies_in_the_journal_cost_nothing(tmp_path: Path) -> None:
    async with ModelServer(rates=[(status(400), 0.3)]) as server:
        config = priced(*BASE, endpoint=server.url) | {"run": {"max_failure_rate": 1.0}}
        dataset = open_dataset(tmp_path / "t.yaml", config, root=tmp_path / "root")
        await api.agenerate(dataset)
        server.rates = []
        before, plan = len(server.requests), api.plan(dataset)
        expected = await asyncio.to_thread(api.estimate, dataset)
        journaled = sum(column.journaled for column in plan.columns)
        assert expected.reused == journaled > 0
        assert (
            expected.usage["writer"]["requests"]
            == plan.requests["writer"]
            == 3 * expected.remaining - journaled
        )
        await api.agenerate(dataset)
        assert len(server.requests) - before == plan.requests["writer"]


def test_a_run_that_would_be_refused_is_not_estimated(tmp_path: Path) -> None:
    config = dataset_config(uuid())
    api.generate(open_dataset(tmp_path / "t.yaml", config, root=tmp_path / "root"))
    changed = open_dataset(
        tmp_path / "t.yaml",
        {**config, "seed": 8, "run": {"resume": "always"}},
        root=tmp_path / "root",
    )
    with pytest.raises(ConfigDriftError):
        api.estimate(changed)


def test_failures_of_the_sample_are_shown(tmp_path: Path) -> None:
    config = dataset_config(expression("number", "{{ 'x' }}", dtype="int"))
    dataset = open_dataset(tmp_path / "t.yaml", config, root=tmp_path / "root")
    expected = api.estimate(dataset, sample=3)
    assert expected.failed == 3 and "column 'number'" in (expected.first_failure or "")
    with pytest.raises(PlanError, match="sample is 0"):
        api.estimate(dataset, sample=0)
