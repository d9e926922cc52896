"""What a dataset has cost: over the versions that its cells came from, over its upstream, and after `sdg prune`."""

import asyncio
from pathlib import Path
from typing import Any

import orjson

from sdg_core import api
from sdg_core.cli.progress import _spent
from sdg_core.plan.usage import Cost, money_text, sum_costs
from sdg_core.testing import Fault, ModelServer, status
from tests.support.sdg import (
    dataset_config,
    llm,
    only_version,
    open_dataset,
    sdg,
    uuid,
    write_config,
)

PRICES = {"prompt_tokens": 1000.0, "completion_tokens": 2000.0}


def config(**more: Any) -> dict[str, Any]:
    made = dataset_config(
        uuid(),
        llm("kept", "{{ id }}"),
        llm("edited", "first {{ id }}"),
        num_records=6,
        **more,
    )
    made["model_configs"][0]["prices"] = PRICES
    return made


def test_costs_follow_the_cells_through_edits_and_survive_prune(tmp_path: Path) -> None:
    made, root = config(), tmp_path / "root"
    first = open_dataset(tmp_path / "t.yaml", made, root=root)
    api.generate(first)
    costs = [api.status(first).spending.total["USD"]]
    for prompt in ("second {{ id }}", "third {{ id }}"):
        made["columns"][2]["prompt"] = prompt
        edited = open_dataset(tmp_path / "t.yaml", made, root=root)
        assert api.generate(edited).carried == 6
        now = api.status(edited)
        costs.append(costs[-1] + now.cost["writer"].amount)
        assert 0 < now.cost["writer"].amount < costs[0]
        assert now.spending.total["USD"] == round(costs[-1], 10)
    assert (
        len(now.spending.earlier) == 2
        and sum(sum(columns.values()) for columns in now.carried.values()) == 6
    )
    shown = sdg("status", tmp_path / "t.yaml", "--root", root).stdout
    assert (
        "would cost" in shown
        and "6 cells from version" in shown
        and "the source of reused cells" in shown
    )
    made["model_configs"][0]["prices"] = None  # what has been paid stays known
    without = open_dataset(tmp_path / "t.yaml", made, root=root)
    assert api.status(without).spending.total["USD"] == round(costs[-1], 10)
    made["model_configs"][0]["prices"] = PRICES
    last = open_dataset(tmp_path / "t.yaml", made, root=root)
    assert len(api.prune(last)) == 2
    after = api.status(last)
    assert after.spending.total == now.spending.total and len(after.versions) == 1
    data = orjson.loads(
        sdg("status", tmp_path / "t.yaml", "--root", root, "--json").stdout
    )
    assert data["total_cost"] == now.spending.total and set(
        data["earlier_versions"]
    ) == set(now.spending.earlier)


def test_the_upstream_is_counted_apart_with_its_own_versions(tmp_path: Path) -> None:
    async def main() -> None:
        async with ModelServer() as server:
            above = config(endpoint=server.url)
            made = open_dataset(tmp_path / "above.yaml", above, root=tmp_path / "root")
            await api.agenerate(made)
            await asyncio.to_thread(api.process, made)
            seeded = dataset_config(
                llm("text", "more of {{ kept }}"), endpoint=server.url, num_records=6
            )
            seeded |= {
                "name": "below",
                "seed_config": {
                    "source": {"seed_type": "dataset", "dataset": "tickets"}
                },
            }
            seeded["model_configs"][0]["prices"] = PRICES
            below = open_dataset(
                tmp_path / "below.yaml", seeded, root=tmp_path / "root"
            )
            await api.agenerate(below)
            found = api.status(below).spending
            assert found.upstream == {"tickets": api.status(made).spending.total}
            assert (
                found.total == {"USD": api.status(below).cost["writer"].amount}
                and found.earlier == {}
            )

    asyncio.run(main())


def test_useless_replies_and_reasons_of_retries_are_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with ModelServer(
            faults=[Fault("null_content"), status(500), status(500)]
        ) as server:
            made = open_dataset(
                tmp_path / "t.yaml", config(endpoint=server.url), root=tmp_path / "root"
            )
            await api.agenerate(made)
            found = api.status(made)
            assert found.retry_reasons == {
                "writer": {"empty reply": 1, "500 internal server error": 2}
            }
            counts = found.usage["writer"]
            assert (counts["requests"], counts["retries"]) == (15, 3) and counts[
                "completion_tokens"
            ] == sum(server.billed[kind] for kind in ("completion_tokens",))

    asyncio.run(main())


def test_replies_that_wait_in_the_journal_are_money_spent(tmp_path: Path) -> None:
    made = config(run={"max_tokens": 300})
    made["row_group_size"] = 3
    made["model_configs"][0]["inference_parameters"] = {
        "max_tokens": 60,
        "max_parallel_requests": 2,
    }
    write_config(tmp_path / "t.yaml", made)
    assert (
        sdg("generate", tmp_path / "t.yaml", "--root", tmp_path / "root").returncode
        == 3
    )
    stopped = api.status(
        open_dataset(tmp_path / "t.yaml", made, root=tmp_path / "root")
    )
    assert stopped.remaining and only_version(tmp_path / "root")
    spent = stopped.spending.own.usage["writer"]
    assert 0 < spent["prompt_tokens"] + spent["completion_tokens"] <= 300


def test_sums_have_no_noise() -> None:
    assert sum_costs([Cost(0.1, "EUR"), Cost(0.2, "EUR"), Cost(1.0, "USD")]) == {
        "EUR": 0.3,
        "USD": 1.0,
    }


def test_progress_says_what_has_been_spent(tmp_path: Path) -> None:
    async def main() -> None:
        async with ModelServer(faults=[status(500)]) as server:
            made = open_dataset(
                tmp_path / "t.yaml", config(endpoint=server.url), root=tmp_path / "root"
            )
            seen: list[api.Event] = []
            await api.agenerate(made, on_event=seen.append)
            last = [event for event in seen if isinstance(event, api.RecordsSettled)][
                -1
            ]
            assert (
                last.cost == {"USD": api.status(made).cost["writer"].amount}
                and last.retries == 1
            )
            assert (
                _spent(last) == f"{money_text(last.cost['USD'])} USD, 1 retry"
                and not last.simulated
            )

    asyncio.run(main())
