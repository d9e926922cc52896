"""`run.max_cost` and `run.max_tokens`: no request goes out that could pass them, nothing paid is lost, a higher limit goes on."""

import asyncio
import hashlib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.config.models import InferenceParameters, ModelConfig, ModelProvider
from sdg_core.errors import BudgetReachedError, ConfigError, PlanError, RunAbortedError
from sdg_core.models.spending import Budget, Spending
from sdg_core.models.types import ChatRequest, Message
from sdg_core.models.usage import Usage
from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.testing import Fault, ModelServer, status
from tests.support.pipelines import Project
from tests.support.sdg import dataset_config, llm, open_dataset, sdg, uuid, write_config

MAX_REPLY = 60
RECORDS = 16
URL = "http://127.0.0.1:9/v1"
PRICES = {"prompt_tokens": 1000.0, "completion_tokens": 5000.0, "requests": 0.001}


def words(prompt: str) -> str:
    """A reply of 1 to MAX_REPLY words, by its prompt."""
    count = (
        1
        + int.from_bytes(
            hashlib.blake2b(prompt.encode(), digest_size=4).digest(), "big"
        )
        % MAX_REPLY
    )
    return " ".join(["word"] * count)


def config(
    url: str,
    *,
    max_reply: int | None = MAX_REPLY,
    parallel: int = 8,
    records: int = RECORDS,
    **run: Any,
) -> dict[str, Any]:
    made = dataset_config(
        uuid(),
        llm("first", "{{ id }}"),
        llm("second", "again {{ id }} {{ first }}"),
        endpoint=url,
        num_records=records,
        run=run,
    )
    model = made["model_configs"][0]
    model["prices"] = PRICES
    model["inference_parameters"] = {"max_parallel_requests": parallel}
    if max_reply is not None:
        model["inference_parameters"]["max_tokens"] = max_reply
    return made


def paid_tokens(server: ModelServer) -> int:
    """What the server would send a bill for: the prompts and replies of what it answered."""
    return sum(
        len(prompt.split()) + len(words(prompt).split()) for prompt in server.prompts
    )


def paid_cost(server: ModelServer) -> Decimal:
    """The bill in money: every request, and the tokens of every answer, also of those that are of no use."""
    return len(server.requests) * Decimal("0.001") + sum(
        (
            Decimal(server.billed[kind]) * Decimal(str(PRICES[kind])) / 1_000_000
            for kind in server.billed
        ),
        Decimal(0),
    )


async def run(path: Path, made: dict[str, Any], root: Path) -> bool:
    """One run; whether it got to the end."""
    try:
        await api.agenerate(open_dataset(path, made, root=root))
    except BudgetReachedError as error:
        assert error.remedy is not None and "raise run.max_" in error.remedy
        return False
    return True


@settings(max_examples=5, deadline=None, phases=[Phase.generate])
@given(
    limits=st.lists(st.integers(1, 2500), min_size=1, max_size=3).map(sorted),
    parallel=st.integers(1, 16),
    latency=st.sampled_from([0.0, 0.003]),
)
def test_no_limit_is_passed_over_resumes_and_nothing_paid_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    limits: list[int],
    parallel: int,
    latency: float,
) -> None:
    place = tmp_path_factory.mktemp("budget")

    async def main() -> None:
        async with ModelServer(answer=words, latency=latency) as server:
            for limit in [*limits, 100_000]:
                made = config(server.url, parallel=parallel, max_tokens=limit)
                done = await run(place / "t.yaml", made, place / "root")
                assert paid_tokens(server) <= limit
                assert max(Counter(server.prompts).values(), default=1) == 1
            assert done and len(server.prompts) == 2 * RECORDS

    asyncio.run(main())


@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@given(
    limits=st.lists(st.floats(0.002, 3.0), min_size=1, max_size=2).map(sorted),
    parallel=st.integers(1, 8),
)
def test_no_cost_is_passed_with_faults_and_retries(
    tmp_path_factory: pytest.TempPathFactory, limits: list[float], parallel: int
) -> None:
    place = tmp_path_factory.mktemp("budget")
    faults = [(status(500), 0.2), (Fault("null_content"), 0.1)]

    async def main() -> None:
        async with ModelServer(answer=words, rates=faults) as server:
            for limit in [*limits, 1000.0]:
                made = config(
                    server.url, parallel=parallel, max_cost=limit, num_retries=50
                )
                done = await run(place / "t.yaml", made, place / "root")
                assert (
                    0 < paid_cost(server) <= Decimal(repr(limit))
                    or len(server.prompts) == 0
                )
            assert done
            spent = api.status(
                open_dataset(place / "t.yaml", made, root=place / "root")
            ).spending
            assert spent is not None
            bill = float(paid_cost(server))
            # Each may count one request that was under way and never got to the server.
            stops = len(limits)
            assert bill - 1e-9 <= spent.total["USD"] <= bill + 0.001 * stops + 1e-9

    asyncio.run(main())


def test_without_max_tokens_the_first_request_goes_alone_and_the_rest_by_what_it_took(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with ModelServer(
            answer=lambda prompt: "one two three four five", latency=0.01
        ) as server:
            made = config(server.url, max_reply=None, max_tokens=250)
            assert not await run(tmp_path / "t.yaml", made, tmp_path / "root")
            assert (
                80 <= sum(len(prompt.split()) + 5 for prompt in server.prompts) <= 250
            )

    asyncio.run(main())


def test_a_request_that_is_given_up_waiting_gives_its_share_back() -> None:
    spending = Spending(
        {
            "w": (
                ModelConfig(alias="w", model="m", provider="p"),
                ModelProvider(name="p", endpoint=URL),
            )
        }
    )
    spending.keep_to(Budget(max_tokens=200))
    request = ChatRequest(
        "m", (Message("user", "x" * 10),), InferenceParameters(max_tokens=50)
    )

    async def main() -> None:
        first = await spending.admit("w", request)
        with spending.cell(), spending.cell(), spending.cell():
            waiting = [
                asyncio.ensure_future(spending.admit("w", request)) for _ in range(2)
            ]
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            waiting[0].cancel()
            spending.settle(
                "w",
                first,
                Usage(requests=1, prompt_tokens=10, completion_tokens=10),
                answered=True,
            )
            second = await waiting[1]
            spending.settle(
                "w",
                second,
                Usage(requests=1, prompt_tokens=100, completion_tokens=50),
                answered=True,
            )
        with pytest.raises(
            BudgetReachedError, match="200 tokens are allowed and 170 are used"
        ):
            await spending.admit("w", request)

    asyncio.run(main())


def test_once_a_run_ends_at_its_limit_nothing_more_is_sent() -> None:
    spending = Spending(
        {
            "w": (
                ModelConfig(alias="w", model="m", provider="p"),
                ModelProvider(name="p", endpoint=URL),
            )
        }
    )
    spending.keep_to(Budget(max_tokens=200))
    dear, cheap = (
        ChatRequest("m", (Message("user", "x"),), InferenceParameters(max_tokens=count))
        for count in (500, 5)
    )

    async def main() -> None:
        with spending.cell():
            with pytest.raises(BudgetReachedError):
                await spending.admit("w", dear)
        with spending.cell(), pytest.raises(BudgetReachedError):
            await spending.admit("w", cheap)

    asyncio.run(main())


def test_a_server_that_reports_no_usage_cannot_be_kept_to_a_limit() -> None:
    spending = Spending(
        {
            "w": (
                ModelConfig(alias="w", model="m", provider="p"),
                ModelProvider(name="p", endpoint=URL),
            )
        }
    )
    spending.keep_to(Budget(max_tokens=10_000))

    async def main() -> None:
        hold = await spending.admit(
            "w", ChatRequest("m", (Message("user", "x"),), InferenceParameters())
        )
        with pytest.raises(RunAbortedError, match="does not report token usage"):
            spending.settle("w", hold, Usage(requests=1), answered=True)

    asyncio.run(main())


def test_prices_are_needed_before_anything_runs(tmp_path: Path) -> None:
    made = config(URL, max_cost=1.0)
    made["model_configs"][0].pop("prices")
    with pytest.raises(
        ConfigError, match="run.max_cost is 1, but the prices of 'writer' are unknown"
    ) as caught:
        open_dataset(tmp_path / "t.yaml", made, root=tmp_path / "root")
    assert caught.value.problems[0].path == "run.max_cost"
    made["run"] = {}
    dataset = open_dataset(tmp_path / "t.yaml", made, root=tmp_path / "root")
    limited_run = dataset.plan.config.run.model_copy(update={"max_cost": 1.0})
    with pytest.raises(PlanError, match="max_cost"):
        api.generate(dataset, settings=limited_run)
    assert not (tmp_path / "root").exists()
    made["model_configs"].append(
        {**made["model_configs"][0], "alias": "other", "prices": {"currency": "EUR"}}
    )
    made["model_configs"][0] |= {"prices": PRICES, "fallback": "other"}
    made["run"] = {"max_cost": 1.0}
    with pytest.raises(ConfigError, match="EUR and USD: use one currency"):
        open_dataset(tmp_path / "t.yaml", made, root=tmp_path / "root")


def test_the_command_ends_with_3_and_says_how_to_go_on(tmp_path: Path) -> None:
    made = dataset_config(uuid(), llm("text", "{{ id }}"), run={"max_tokens": 400})
    made["model_configs"][0]["inference_parameters"]["max_tokens"] = 100
    done = sdg(
        "generate", write_config(tmp_path / "t.yaml", made), "--root", tmp_path / "root"
    )
    assert done.returncode == 3
    assert (
        "stopped at run.max_tokens: 400 tokens are allowed" in done.stderr
        and "raise run.max_tokens" in done.stderr
    )


def test_an_earlier_version_counts_where_cells_may_come_from_it(tmp_path: Path) -> None:
    columns = (uuid(), llm("kept", "{{ id }}"), llm("changed", "again {{ id }}"))
    made = dataset_config(*columns, num_records=4)
    api.generate(open_dataset(tmp_path / "t.yaml", made, root=tmp_path / "root"))
    made["columns"][2]["prompt"] = "otherwise {{ id }}"
    made["run"] = {"max_tokens": 100}
    edited = open_dataset(tmp_path / "t.yaml", made, root=tmp_path / "root")
    with pytest.raises(BudgetReachedError):
        api.generate(edited)
    assert api.generate(
        edited,
        resume="never",
        settings=edited.plan.config.run.model_copy(update={"max_tokens": 9999}),
    )


def test_pipelines_keep_to_a_limit_and_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with ModelServer(answer=words) as server:
            models = {
                "model_providers": [{"name": "p", "endpoint": server.url}],
                "model_configs": [
                    {
                        "alias": "w",
                        "model": "m",
                        "provider": "p",
                        "inference_parameters": {"max_tokens": MAX_REPLY},
                    }
                ],
            }
            stage = {
                "stage": "columns",
                "columns": [
                    {
                        "column_type": "llm-text",
                        "name": "a",
                        "model_alias": "w",
                        "prompt": "{{ content }}",
                    }
                ],
            }
            texts = {f"t{number}": f"text number {number}" for number in range(12)}
            project = Project(
                tmp_path, [stage], more={**models, "run": {"max_tokens": 250}}
            ).write(**texts)
            with pytest.raises(BudgetReachedError):
                await agenerate_pipeline(project.open())
            assert 0 < paid_tokens(server) <= 250
            paid = paid_tokens(server)
            with pytest.raises(BudgetReachedError):
                await agenerate_pipeline(project.open())
            # what was spent is known, so nothing more is
            assert paid_tokens(server) == paid
            project.more["run"] = {}
            summary = await agenerate_pipeline(project.write().open())
            assert summary.rows == 12 and len(server.prompts) == 12

    asyncio.run(main())
