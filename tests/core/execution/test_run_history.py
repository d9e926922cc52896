"""What a run leaves in the ledger: its history, what it replays, usage that is counted once, and life without a ledger."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdg_core import api
from sdg_core.counts import counted
from sdg_core.dataset.events import Event, Notice
from sdg_core.dataset.ledger import open_ledger_for
from sdg_core.errors import LedgerError, PermanentModelError, RunAbortedError
from sdg_core.store.row_groups import read_footer, read_rows
from sdg_core.testing import Fault, ModelServer, answer_to, status
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    only_version,
    open_dataset,
    sdg,
    started_sdg,
    stored_records,
    uuid,
    write_config,
)

CHAIN = (
    uuid(),
    llm("question", "ask about {{ id }}"),
    llm("answer", "answer {{ question }} ({{ id }})"),
)


class PickyServer(ModelServer):
    """Refuses prompts with one of the `refused` words for good."""

    def __init__(self, *refused: str, **options: Any) -> None:
        super().__init__(**options)
        self.refused = set(refused)

    def _next_fault(self, prompt: str) -> Fault | None:
        return (
            status(400)
            if any(word in prompt for word in self.refused)
            else super()._next_fault(prompt)
        )


def chain(
    server: ModelServer, tmp_path: Path, *columns: dict[str, Any], **top: Any
) -> api.Dataset:
    config = dataset_config(*(columns or CHAIN), endpoint=server.url, **top)
    return open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")


# --- history ----------------------------------------------------------------------------------------------------------


async def test_every_run_is_in_the_history_however_it_ended(tmp_path: Path) -> None:
    async with PickyServer("ask") as server:
        dataset = chain(server, tmp_path)
        assert api.history(dataset) == [] and not (tmp_path / "root").exists(), (
            "looking makes no ledger"
        )
        with pytest.raises(RunAbortedError):
            await api.agenerate(dataset)
        server.refused = set()
        server.script.extend([None] * 30 + [Fault("hang")] * 60)
        task = asyncio.create_task(api.agenerate(dataset, resume="always"))
        await server.seen(len(server.requests) + 31)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.script.clear()
        done = await api.agenerate(dataset)
        again = await api.agenerate(dataset)
    runs = api.history(dataset)
    assert [run.outcome for run in runs] == ["done", "done", "interrupted", "stopped"]
    assert "run.max_failure_rate" in str(runs[3].message) and runs[3].failed == 20
    assert runs[2].resume == "always" and runs[2].generated + runs[1].generated == 25
    assert (runs[1].run_id, runs[1].generated, runs[1].replayed) == (
        done.run_id,
        done.generated,
        done.replayed,
    )
    assert done.replayed > 0
    assert (again.adopted, runs[0].adopted, runs[0].written) == (3, 3, 0)
    assert all(
        run.ended_at is not None and run.started_at <= run.ended_at for run in runs
    )
    assert len(api.history(dataset, at_most=2)) == 2


async def test_a_killed_run_has_no_end_and_its_replies_are_replayed(
    tmp_path: Path,
) -> None:
    """Eight records are made at once: the thirteenth request comes when replies to one of them are saved."""
    async with ModelServer(faults=[*[None] * 12, *[Fault("hang")] * 4]) as server:
        file = write_config(
            tmp_path / "tickets.yaml", dataset_config(*CHAIN, endpoint=server.url)
        )
        root = tmp_path / "root"
        with started_sdg("generate", file, "--root", root) as running:
            await server.seen(13)
            running.kill()
            running.communicate()
        server.let_go()
        outcome = await asyncio.to_thread(sdg, "generate", file, "--root", root)
    assert outcome.returncode == 0
    dataset = api.open_dataset(file, root=str(root))
    latest, killed = api.history(dataset)
    assert killed.outcome is None and killed.ended_at is None
    assert latest.replayed > 0
    assert (
        f"{counted(latest.replayed, 'reply', 'were')} replayed from the journal"
        in outcome.stdout
    )


def test_a_history_that_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(
        tmp_path / "d.yaml", dataset_config(uuid()), root=tmp_path / "root"
    )
    with (
        open_ledger_for(dataset.layout.root, env=dataset.env) as ledger,
        ledger.transaction("write") as connection,
    ):
        connection.execute("DROP TABLE runs")
    notices: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)

    assert api.generate(dataset, on_event=on_event).remaining == 0
    assert any("could not be added to the history" in notice for notice in notices)


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["group.before_settle", "group.after_settle"])
def test_a_kill_between_file_and_journal_counts_no_usage_twice(
    tmp_path: Path, point: str
) -> None:
    with ServerProcess("--rate", "400=0.3") as server:
        config = dataset_config(
            *CHAIN, endpoint=server.url, num_records=10, run={"max_failure_rate": 1.0}
        )
        file, root = write_config(tmp_path / "tickets.yaml", config), tmp_path / "root"
        killed = sdg("generate", file, "--root", root, env={"SDG_TEST_KILL_AT": point})
        assert killed.returncode == -9, killed.stderr
        remaining = read_footer(only_version(root).row_group(0))
        assert remaining.missing and remaining.counted, (
            "replies of records without a row are still in the journal"
        )
        while sdg("generate", file, "--root", root).returncode != 0:
            pass
        asked = server.prompts()
    footer = read_footer(only_version(root).row_group(0))
    assert footer.usage["writer"]["requests"] == len(asked)
    assert footer.counted == {}


async def test_replies_of_lacking_records_are_counted_once_over_many_runs(
    tmp_path: Path,
) -> None:
    columns = (
        uuid(),
        category("kind", "good", "bad"),
        llm("question", "ask {{ id }}"),
        llm("answer", "{{ kind }} {{ question }}"),
    )
    async with PickyServer("bad") as server:
        dataset = chain(
            server, tmp_path, *columns, num_records=10, run={"max_failure_rate": 1.0}
        )
        version = (await api.agenerate(dataset)).version
        path = version.row_group(0)
        footer = read_footer(path)
        (by_column,) = footer.counted.values()
        assert footer.missing and by_column == {"question": footer.missing}
        for _ in range(2):
            await api.agenerate(dataset)
            assert read_footer(path).usage["writer"]["requests"] == len(server.requests)
        shutil.copy(path, tmp_path / "ahead.parquet")
        server.refused = set()
        summary = await api.agenerate(dataset)
        assert summary.replayed == len(footer.missing) and summary.remaining == 0
        assert read_footer(path).usage["writer"]["requests"] == len(server.requests)
        assert read_footer(path).counted == {}


async def test_a_reply_that_came_too_late_to_be_counted_is_counted_by_the_next_run(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        dataset = chain(server, tmp_path, num_records=10)
        for count in (5, 9, 14):
            server.script.extend(
                [None] * (count - len(server.requests)) + [Fault("hang")] * 40
            )
            task = asyncio.create_task(api.agenerate(dataset))
            await server.seen(count + 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.script.clear()
        asked_in_vain = len(server.prompts) - len(set(server.prompts))
        summary = await api.agenerate(dataset)
        used = read_footer(summary.version.row_group(0)).usage["writer"]["requests"]
        hanging = len(server.requests) - 20
        assert used == 20 and asked_in_vain <= hanging


# --- functions that change the rows -----------------------------------------------------------------------------------


async def test_replies_for_rows_that_a_function_has_made_are_kept_as_long_as_the_rows_are_the_same(
    tmp_path: Path,
) -> None:
    def double(df: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([df.with_columns(part=pl.lit(part)) for part in parts])

    parts = ["a", "b"]
    column = {
        "column_type": "custom",
        "name": "part",
        "generator_function": "double",
        "version": 1,
    }
    resizing = {
        **column,
        "generation_strategy": "full_column",
        "allow_resize": True,
        "required_columns": ["id", "before"],
    }
    columns = (
        uuid(),
        llm("before", "before {{ id }}"),
        resizing,
        llm("text", "{{ part }} of {{ id }}"),
    )
    async with PickyServer() as server:
        config = dataset_config(
            *columns, endpoint=server.url, num_records=4, run={"max_failure_rate": 1.0}
        )
        dataset = open_dataset(
            tmp_path / "d.yaml",
            config,
            root=tmp_path / "root",
            functions={"double": double},
        )
        server.refused = {"b of"}
        first = await api.agenerate(dataset)
        assert first.generated == 0 and len(server.requests) == 4 + 8
        server.refused = set()
        parts[1] = "c"
        second = await api.agenerate(dataset)
        assert second.remaining == 0 and second.replayed == 4 + 4
        assert len(server.requests) == 12 + 4, (
            "only rows that have changed or failed are asked for again"
        )
    rows = read_rows(second.version.row_group(0)).to_pylist()
    assert [row["text"] for row in rows] == [
        answer_to(f"{row['part']} of {row['id']}") for row in rows
    ]
    with (
        open_ledger_for(dataset.layout.root, env=dataset.env) as ledger,
        ledger.reading() as connection,
    ):
        assert (
            connection.execute("SELECT count(*) AS number FROM cells")[0]["number"] == 0
        )


# --- without a ledger, without a key -----------------------------------------------------------------------------------


async def test_a_deleted_ledger_costs_no_finished_record(tmp_path: Path) -> None:
    async with PickyServer("answer") as server:
        dataset = chain(server, tmp_path, num_records=20, run={"max_failure_rate": 1.0})
        await api.agenerate(dataset, row_groups=[0])
        server.refused = set()
        version = (await api.agenerate(dataset, row_groups=[1])).version
        saved = stored_records(version)
        shutil.rmtree(tmp_path / "root" / ".sdg")
        assert api.history(dataset) == []
        summary = await api.agenerate(dataset)
        assert (summary.adopted, summary.generated, summary.remaining) == (1, 10, 0)
        assert {index: stored_records(version)[index] for index in saved} == saved
        assert (
            read_footer(version.row_group(0)).usage["writer"]["requests"]
            == 10 + 10 + 20
        )


def test_a_corrupt_ledger_is_named_with_the_way_out(tmp_path: Path) -> None:
    dataset = open_dataset(
        tmp_path / "d.yaml", dataset_config(uuid()), root=tmp_path / "root"
    )
    api.generate(dataset, row_groups=[0])
    file = tmp_path / "root" / ".sdg" / "ledger.db"
    for beside in file.parent.glob("ledger.db-*"):
        beside.unlink()
    file.write_bytes(b"no database, " * 1000)
    with pytest.raises(
        LedgerError,
        match=r"(?s)ledger\.db.*move .*ledger\.db.* elsewhere and run again",
    ):
        api.generate(dataset)
    file.unlink()
    assert api.generate(dataset).remaining == 0


async def test_a_finished_dataset_needs_no_key(tmp_path: Path) -> None:
    async with ModelServer(api_key="sesame") as server:
        config = dataset_config(*CHAIN, endpoint=server.url, num_records=5)
        config["model_providers"][0]["api_key"] = "MY_KEY"
        with_key, without = (
            open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "root", env=env)
            for env in ({"MY_KEY": "sesame"}, {})
        )
        with pytest.raises(PermanentModelError, match="MY_KEY"):
            await api.agenerate(without)
        await api.agenerate(with_key)
        assert (await api.agenerate(without)).adopted == 1
