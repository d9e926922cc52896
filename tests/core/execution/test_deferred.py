"""Replies that come later: a cell waits without failing, and the run that finds its reply pays for nothing twice."""

import asyncio
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdg_core import api
from sdg_core.dataset.events import RecordsSettled
from sdg_core.dataset.ledger import open_ledger_for
from sdg_core.errors import ReplyDeferredError
from sdg_core.execution.cell_store import CellStore
from sdg_core.execution.summary import RunSummary
from sdg_core.generators.dispatch import cell_generators
from sdg_core.generators.models.chat import ChatGenerator
from sdg_core.generators.models.conversation import Done
from sdg_core.ledger.journal import Journal
from sdg_core.models.open_pool import open_models
from sdg_core.models.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
)
from sdg_core.models.usage import Usage
from sdg_core.store.failures import read_failures
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from tests.support.sdg import (
    dataset_config,
    expression,
    llm,
    open_dataset,
    sdg,
    stored_records,
    structured,
    uuid,
    write_config,
)

SHAPE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
QUESTION = llm("question", "ask about {{ id }}")
ANSWER = llm("answer", "answer {{ question }}")


class LaterClient:
    """A service that takes requests and answers them when `deliver` is called; a request that was taken costs nothing again."""

    def __init__(self) -> None:
        self.taken: dict[str, Any] = {}
        self.replies: dict[str, Any] = {}

    def deliver(self, text: str | None = None) -> None:
        for key, request in self.taken.items():
            said = (
                text
                or f"reply to {key if isinstance(request, EmbeddingRequest) else request.messages[-1].text}"
            )
            self.replies.setdefault(
                key, ChatResponse(said, "stop", Usage(requests=1, completion_tokens=5))
            )

    async def complete(self, request: ChatRequest) -> ChatResponse:
        key = json.dumps([message.text for message in request.messages])
        if key not in self.replies:
            self.taken[key] = request
            raise ReplyDeferredError(f"{request.model} answers later")
        reply: ChatResponse = self.replies[key]
        return reply

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        key = json.dumps(request.inputs)
        if key not in self.replies:
            self.taken[key] = request
            raise ReplyDeferredError(f"{request.model} answers later")
        return EmbeddingResponse(
            tuple((1.0, 0.0) for _ in request.inputs), Usage(requests=1)
        )


def config(*columns: dict[str, Any], **top: Any) -> dict[str, Any]:
    made = dataset_config(llm("unused", "x"), num_records=5, row_group_size=3)
    later = {"name": "later", "provider_type": "custom"}
    made["model_providers"] = [*made["model_providers"], later]
    made["model_configs"][0]["provider"] = "later"
    made["model_configs"] += [{"alias": "now", "model": "m", "provider": "p"}]
    return {**made, "columns": [uuid(), *columns], **top}


class Bench:
    def __init__(self, folder: Path, *columns: dict[str, Any], **top: Any) -> None:
        self.folder, self.client = folder, LaterClient()
        self._config = config(*columns, **top)

    def open(self) -> api.Dataset:
        root = self.folder / "root"
        return open_dataset(
            self.folder / "tickets.yaml",
            self._config,
            root=root,
            clients={"later": self.client},
        )

    async def run(self, **options: Any) -> RunSummary:
        return await api.agenerate(self.open(), **options)


async def test_a_run_ends_cleanly_with_cells_that_wait_and_a_later_run_completes_them(
    tmp_path: Path,
) -> None:
    bench = Bench(
        tmp_path, QUESTION, ANSWER, expression("length", "{{ answer | length }}")
    )
    events: list[Any] = []
    first = await bench.run(on_event=events.append)
    assert (first.waiting, first.remaining, first.failed, first.generated) == (
        5,
        5,
        0,
        0,
    )
    assert first.first_failure is None and not read_failures(
        first.version.failure_list(0)
    )
    settled = [event for event in events if isinstance(event, RecordsSettled)]
    assert sum(event.waiting for event in settled) == 5 and not any(
        event.made or event.failed for event in settled
    )
    assert len(bench.client.taken) == 5, (
        "the answers cannot be asked for before the questions are there"
    )
    assert not api.status(bench.open()).usage, (
        "nothing is counted before its reply is there"
    )

    bench.client.deliver()
    second = await bench.run()
    assert (second.waiting, second.generated, len(bench.client.taken)) == (5, 0, 10), (
        "a wave for each column"
    )
    bench.client.deliver()
    third = await bench.run()
    assert (third.waiting, third.generated, third.failed, third.remaining) == (
        0,
        5,
        0,
        0,
    )
    assert third.replayed == 5, "the questions are in the journal"
    assert len(bench.client.taken) == 10, "no request was taken twice"
    records = stored_records(third.version)
    assert all(
        record["answer"].startswith("reply to answer reply to ask about")
        for record in records.values()
    )
    assert api.status(bench.open()).usage["writer"]["requests"] == 10
    metadata = read_metadata(third.version.metadata)
    assert not any(
        counts.get("requests") for counts in metadata.abandoned_usage.values()
    )


async def test_columns_that_do_not_wait_are_made_and_kept(tmp_path: Path) -> None:
    title = llm("title", "entitle {{ id }}", model_alias="now")
    bench = Bench(
        tmp_path, QUESTION, title, llm("shout", "shout {{ title }}", model_alias="now")
    )
    first = await bench.run()
    assert (first.waiting, len(bench.client.taken)) == (5, 5)
    assert api.status(bench.open()).usage["now"]["requests"] == 10
    bench.client.deliver()
    second = await bench.run()
    assert (second.generated, second.replayed) == (5, 10)
    assert api.status(bench.open()).usage["now"]["requests"] == 10, (
        "what was there is not asked again"
    )


async def test_some_records_wait_while_others_are_written(tmp_path: Path) -> None:
    skip = {"when": "{{ id < '8' }}", "value": "none"}
    bench = Bench(
        tmp_path,
        llm("question", "ask about {{ id }}", skip=skip),
        num_records=20,
        row_group_size=20,
    )
    first = await bench.run()
    assert (
        0 < first.generated < 20
        and first.waiting == first.remaining == 20 - first.generated
    )
    bench.client.deliver()
    second = await bench.run()
    assert second.generated == first.waiting and second.remaining == 0


async def test_the_status_says_which_row_groups_wait_until_their_replies_are_there(
    tmp_path: Path,
) -> None:
    skip = {"when": "{{ id < '8' }}", "value": "none"}
    bench = Bench(
        tmp_path,
        llm("question", "ask about {{ id }}", skip=skip),
        num_records=12,
        row_group_size=3,
    )
    first = await bench.run(row_groups=[0, 1, 2])
    found = api.status(bench.open())
    assert sum(found.waiting.values()) == first.waiting > 0
    assert set(found.waiting) <= {"00000", "00001", "00002"}, (
        "what was not started does not wait"
    )
    assert found.remaining == first.waiting + 3 and found.failed == 0
    shown = found.to_dict()
    assert shown["records"]["waiting"] == first.waiting
    assert shown["waiting"] == {
        "count": len(found.waiting),
        "keys": list(found.waiting),
    }

    waves = 0
    while (await bench.run()).waiting:
        bench.client.deliver()
        waves += 1
    assert waves == 1
    done = api.status(bench.open())
    assert (done.waiting, done.remaining) == ({}, 0) and done.to_dict()["records"][
        "waiting"
    ] == 0


async def test_a_correction_that_is_answered_later_goes_on_from_the_first_reply(
    tmp_path: Path,
) -> None:
    bench = Bench(
        tmp_path,
        structured("answer", "How many?", SHAPE),
        num_records=1,
        row_group_size=1,
    )
    assert (await bench.run()).waiting == 1
    bench.client.deliver("many")
    waves = 1
    while (summary := await bench.run()).waiting:
        bench.client.deliver("many" if waves < 2 else '{"n": 7}')
        waves += 1
    assert stored_records(summary.version)[0]["answer"] == {"n": 7}
    assert (
        api.status(bench.open()).usage["writer"]["requests"]
        == len(bench.client.taken)
        >= 2
    )


async def test_embeddings_may_wait_too(tmp_path: Path) -> None:
    column = {
        "column_type": "embedding",
        "name": "vector",
        "target_column": "id",
        "model_alias": "writer",
    }
    bench = Bench(tmp_path, column)
    assert (await bench.run()).waiting == 5
    bench.client.deliver()
    assert (await bench.run()).generated == 5


def doubled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(twice=pl.col("question") + pl.col("question"))


async def test_a_function_over_the_whole_row_group_waits_for_every_record(
    tmp_path: Path,
) -> None:
    skip = {"when": "{{ id < '8' }}", "value": "none"}
    function = {
        "propagate_skip": False,
        "column_type": "custom",
        "name": "twice",
        "generator_function": "doubled",
        "required_columns": ["question"],
    }
    question = llm("question", "ask about {{ id }}", skip=skip)
    bench = Bench(
        tmp_path, question, {**function, "generation_strategy": "full_column"}
    )
    lengths: list[int] = []

    def counted(frame: pl.DataFrame) -> pl.DataFrame:
        lengths.append(frame.height)
        return doubled(frame)

    def opened() -> api.Dataset:
        path = tmp_path / "tickets.yaml"
        return open_dataset(
            path,
            bench._config,
            root=tmp_path / "root",
            clients={"later": bench.client},
            functions={"doubled": counted},
        )

    first = await api.agenerate(opened())
    assert first.waiting > 0 and all(length == 3 or length == 2 for length in lengths)
    bench.client.deliver()
    second = await api.agenerate(opened())
    assert second.remaining == 0 and sorted(lengths) == [2, 3], (
        "called once a row group, with all of its records"
    )


@pytest.mark.parametrize("otherwise", ["drop", "best"])
async def test_a_candidate_that_waits_decides_nothing(
    tmp_path: Path, otherwise: str
) -> None:
    select = {
        "keep": "{{ 'reply' in question and 'a' in id[:8] }}",
        "candidates": 3,
        "otherwise": otherwise,
    }
    if otherwise == "best":
        select["best"] = "{{ question | length }}"
    bench = Bench(tmp_path, QUESTION, select=select)
    summary = await bench.run()
    waves = 0
    while summary.waiting:
        bench.client.deliver()
        summary = await bench.run()
        waves += 1
    assert 1 <= waves <= 3, "one for each candidate at most"
    assert summary.remaining == 0
    asked = {request.messages[-1].text for request in bench.client.taken.values()}
    assert len(asked) == len(bench.client.taken)

    online = LaterClient()
    at_once = open_dataset(
        tmp_path / "tickets.yaml",
        bench._config,
        root=tmp_path / "online",
        clients={"later": online},
    )
    online.replies = bench.client.replies
    direct = await api.agenerate(at_once)
    assert stored_records(direct.version) == stored_records(summary.version), (
        "as if every reply had come at once"
    )
    assert not online.taken


def test_a_reply_that_another_process_collects_becomes_a_cell_of_the_journal(
    tmp_path: Path,
) -> None:
    """What a collector does: build the request without waiting for anything, read the reply, put the cell."""
    bench = Bench(tmp_path, QUESTION, num_records=2, row_group_size=2)
    version = asyncio.run(bench.run()).version
    ids = api.preview(
        write_config(tmp_path / "ids.yaml", dataset_config(uuid(), num_records=2))
    ).table.to_pylist()
    dataset = bench.open()
    asyncio.run(collect(dataset, version, dict(enumerate(ids))))
    taken = len(bench.client.taken)
    summary = asyncio.run(bench.run())
    assert (summary.generated, summary.replayed, len(bench.client.taken)) == (
        2,
        2,
        taken,
    )
    assert all(
        "collected ask about" in record["question"]
        for record in stored_records(summary.version).values()
    )
    assert api.status(bench.open()).usage["writer"]["requests"] == 2


async def collect(
    dataset: api.Dataset, version: VersionLayout, rows: dict[int, dict[str, Any]]
) -> None:
    plan = dataset.plan
    async with open_models(
        plan.models, settings=plan.config.run, env={}, clients=plan.clients
    ) as models:
        generator = cell_generators(plan, models)["question"]
    assert isinstance(generator, ChatGenerator)
    with open_ledger_for(dataset.layout.root, env={}) as ledger:
        async with Journal(
            ledger, dataset=dataset.name, version=version.name, run_id="collector"
        ) as journal:
            store = CellStore(plan, journal=journal, kept=None, images=None)
            for record, values in rows.items():
                conversation = generator.conversation(record=record, values=values)
                request = conversation.start().state.request
                said = ChatResponse(
                    f"collected {request.messages[-1].text}", "stop", Usage(requests=1)
                )
                done = conversation.step(conversation.start().state, said)
                assert isinstance(done, Done)
                cell = generator.cell(done)
                inputs = store.mark("question", values)
                await store.put(
                    cell,
                    record=record,
                    column="question",
                    usage_by_alias=cell.usage_by_alias,
                    inputs=inputs,
                )


def test_the_command_says_what_waits_and_that_it_can_be_resumed(tmp_path: Path) -> None:
    source = """
from sdg_core.errors import ReplyDeferredError

class Later:
    async def complete(self, request):
        raise ReplyDeferredError("later")
"""
    (tmp_path / "own.py").write_text(source, encoding="utf-8")
    made = config(QUESTION)
    made["model_providers"][1]["client"] = "./own.py:Later"
    outcome = sdg(
        "generate",
        write_config(tmp_path / "tickets.yaml", made),
        "--root",
        tmp_path / "root",
    )
    assert outcome.returncode == 3, outcome.stderr
    assert "5 records wait for deferred replies" in outcome.stdout
    assert "remain" not in outcome.stdout and "next:" not in outcome.stdout
    shown = sdg("status", tmp_path / "tickets.yaml", "--root", tmp_path / "root").stdout
    assert "5 records wait for deferred replies, in row groups 0-1" in " ".join(
        shown.split()
    )
