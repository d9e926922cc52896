"""What a run makes of a server's words: used-up quotas, models that load, refusals, replies that are cut off, proxies."""

from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import RunAbortedError
from sdg_core.store.failures import failures_of
from sdg_core.testing import Fault, ModelServer, answer_to, status
from tests.support.sdg import (
    dataset_config,
    llm,
    object_of,
    open_dataset,
    structured,
    uuid,
)

QUOTA = "You exceeded your current quota, please check your plan and billing details."


def opened(
    folder: Path,
    server: ModelServer,
    column: dict[str, Any],
    *,
    records: int = 3,
    max_reply: int | None = None,
    **run: Any,
) -> api.Dataset:
    config = dataset_config(
        uuid(), llm("nothing", "x"), endpoint=server.url, num_records=records, run=run
    )
    config["columns"][1] = column
    if max_reply is not None:
        config["model_configs"][0]["inference_parameters"]["max_tokens"] = max_reply
    return open_dataset(folder / "dataset.yaml", config, root=folder / "root")


def reasons(dataset: api.Dataset) -> list[str]:
    version = api.measured_version(dataset)[0]
    return [
        each.message
        for each in failures_of(
            version.failure_list(0), range(dataset.plan.num_records)
        )
    ]


async def test_a_quota_that_is_used_up_ends_the_run_with_the_servers_words(
    tmp_path: Path,
) -> None:
    async with ModelServer(rates=[(status(429, message=QUOTA), 1.0)]) as server:
        dataset = opened(tmp_path, server, llm("text", "{{ id }}"), records=50)
        with pytest.raises(
            RunAbortedError,
            match=r"(?s)exceeded your current quota.*add credit to the account",
        ) as ended:
            await api.agenerate(dataset)
        assert "finished records are kept" in str(ended.value)
        assert len(server.prompts) == len({*server.prompts})  # nothing was asked twice


async def test_a_model_that_is_loading_is_waited_for(tmp_path: Path) -> None:
    loading = status(503, message="Loading model")
    async with ModelServer(faults=[loading] * 3) as server:
        dataset = opened(tmp_path, server, llm("text", "{{ id }}"), num_retries=0)
        summary = await api.agenerate(dataset)
        assert (summary.generated, summary.failed) == (3, 0)
        assert sum(api.status(dataset).retry_reasons["writer"].values()) == 3


async def test_a_refusal_is_named_and_bought_once(tmp_path: Path) -> None:
    async with ModelServer(
        message=lambda body: {"content": None, "refusal": "I cannot help with that."}
    ) as server:
        dataset = opened(tmp_path, server, llm("text", "{{ id }}"))
        assert (await api.agenerate(dataset)).failed == 3
        assert len(server.requests) == 3
        assert all(
            "refused to answer: I cannot help with that." in reason
            for reason in reasons(dataset)
        )


async def test_a_text_that_is_cut_off_is_kept_only_where_the_column_says_so(
    tmp_path: Path,
) -> None:
    async with ModelServer(faults=[Fault("length")] * 6) as server:
        dataset = opened(tmp_path, server, llm("text", "{{ id }}"))
        assert (await api.agenerate(dataset)).failed == len(server.requests) == 3
        assert all(
            "set inference_parameters.max_tokens of model 'writer'" in reason
            for reason in reasons(dataset)
        )
        keeping = opened(tmp_path, server, llm("text", "{{ id }}", on_truncated="keep"))
        assert (await api.agenerate(keeping)).failed == 0
        assert keeping.to_polars()["text"].to_list() == [
            answer_to(prompt) for prompt in keeping.to_polars()["id"]
        ]


async def test_json_that_is_cut_off_is_not_bought_again_and_again(
    tmp_path: Path,
) -> None:
    column = structured("made", "{{ id }}", object_of(a="string"))
    async with ModelServer(faults=[Fault("cut")] * 50) as server:
        dataset = opened(tmp_path, server, column, max_reply=60)
        assert (await api.agenerate(dataset)).failed == 3
        assert len(server.requests) == 3
        assert all(
            "max_tokens of model 'writer' above 60" in reason
            for reason in reasons(dataset)
        ), reasons(dataset)


async def test_the_proxy_of_the_environment_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelServer() as server:
        for variable in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
        config = dataset_config(
            uuid(),
            llm("text", "{{ id }}"),
            endpoint="http://models.invalid/v1",
            num_records=2,
        )
        dataset = open_dataset(
            tmp_path / "dataset.yaml", config, root=tmp_path / "root"
        )
        assert (await api.agenerate(dataset)).generated == 2
        assert {headers["Host"] for headers in server.headers} == {"models.invalid"}
