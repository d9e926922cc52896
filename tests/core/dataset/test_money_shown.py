"""Money where people look for it: the summary of a run, the report, Dagster; a rehearsal never looks paid for."""

import asyncio
from pathlib import Path

import orjson
import pytest

from sdg_assets.recording.metadata import cost_metadata, spending_metadata
from sdg_core import api
from sdg_core.plan.usage import money_text
from sdg_core.testing import ModelServer
from tests.core.dataset.test_spending import PRICES, config
from tests.support.sdg import dataset_config, llm, open_dataset, sdg, write_config


def test_summary_report_and_metadata_follow_carried_cells_and_the_upstream(
    tmp_path: Path,
) -> None:
    async def main() -> tuple[list[api.RunSummary], api.Dataset]:
        async with ModelServer() as server:
            made = config(endpoint=server.url)
            root = tmp_path / "root"
            summaries = [
                await api.agenerate(open_dataset(tmp_path / "t.yaml", made, root=root))
            ]
            made["columns"][2]["prompt"] = "second {{ id }}"
            edited = open_dataset(tmp_path / "t.yaml", made, root=root)
            summaries.append(await api.agenerate(edited))
            await asyncio.to_thread(api.process, edited)
            below = dataset_config(
                llm("text", "more of {{ kept }}"), endpoint=server.url, num_records=6
            )
            below |= {
                "name": "below",
                "seed_config": {
                    "source": {"seed_type": "dataset", "dataset": "tickets"}
                },
            }
            below["model_configs"][0]["prices"] = PRICES
            lower = open_dataset(tmp_path / "below.yaml", below, root=root)
            summaries.append(await api.agenerate(lower))
            return summaries, edited

    (first, second, lower), edited = asyncio.run(main())
    in_all = round(first.cost["USD"] + second.cost["USD"], 9)
    assert 0 < second.cost["USD"] < first.cost["USD"]
    assert first.spending.total == first.cost and second.spending.total == {
        "USD": pytest.approx(in_all)
    }
    assert (
        lower.spending.upstream == {"tickets": second.spending.total}
        and lower.spending.total == lower.cost
    )
    status = api.status(edited)
    assert spending_metadata(status.spending, simulated=False) == {
        "cost_in_all/USD": pytest.approx(in_all, abs=1e-6)
    }
    assert spending_metadata(lower.spending, simulated=False) == {
        "upstream_cost/USD": pytest.approx(in_all, abs=1e-6)
    }

    version = api.measured_version(edited)[0]
    report = orjson.loads(version.report_json.read_bytes())
    assert report["total_cost"] == second.spending.total and list(
        report["earlier_versions"]
    ) == [first.version.name]
    page = version.report_html.read_text()
    assert (
        f"In all: {money_text(in_all)} USD" in page
        and first.version.name in page
        and "would cost" not in page
    )
    below = api.open_dataset(tmp_path / "below.yaml", root=str(tmp_path / "root"))
    made = api.report(below)
    assert made.report.facts.upstream_cost == {"tickets": second.spending.total}
    assert f"{money_text(in_all)} USD (tickets)" in Path(str(made.path)).read_text(
        encoding="utf-8"
    )


def test_a_rehearsal_would_cost(tmp_path: Path) -> None:
    file = write_config(tmp_path / "t.yaml", config())
    root = ("--root", tmp_path / "root")
    for command in ("estimate", "generate", "status"):
        shown = sdg(command, file, *root).stdout
        money = [
            line
            for line in shown.splitlines()
            if "USD" in line and "estimated" not in line
        ]
        assert money and all("would cost" in line for line in money), command
    dataset = api.open_dataset(file, root=str(tmp_path / "root"))
    usage = api.status(dataset).usage
    models = dataset.plan.config.model_configs
    assert list(cost_metadata(usage, models, simulated=True)) == ["would_cost/USD"]
    assert list(cost_metadata(usage, models, simulated=False)) == ["cost/USD"]
    made = api.report(dataset)
    page = Path(str(made.path)).read_text(encoding="utf-8")
    assert "would cost" in page and ">cost<" not in page
    again = orjson.loads(sdg("generate", file, "--json", *root).stdout)
    assert (
        again["simulated"] is True
        and again["cost"] == {}
        and again["spending"]["total_cost"]["USD"] > 0
    )


def test_small_amounts_keep_the_digits_that_say_something() -> None:
    assert [money_text(amount) for amount in (0, 0.000012, 0.0123, 1234.5)] == [
        "0.00",
        "1.2e-05",
        "0.0123",
        "1,234.50",
    ]
