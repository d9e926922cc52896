"""Claims in runs: two of them never make the same record, nobody publishes over a successor, and the dead hold nobody up."""

import asyncio
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.dataset.events import Event, Notice, RowGroupFinished
from sdg_core.dataset.ledger import exclusive_access, open_ledger_for
from sdg_core.errors import ClaimedError, SealedError
from sdg_core.ledger.claims import Claims
from sdg_core.store.row_groups import read_footer
from sdg_core.testing import Fault, ModelServer
from tests.support.requirements import PATIENCE
from tests.support.sdg import (
    PROJECT,
    ServerProcess,
    dataset_config,
    environment,
    llm,
    only_version,
    open_dataset,
    sdg,
    snapshot,
    stored_records,
    uuid,
    wait_until,
    write_config,
)

CHAIN = (
    uuid(),
    llm("question", "ask about {{ id }}"),
    llm("answer", "answer {{ question }} ({{ id }})"),
)
SHORT_LEASE = "import sdg_core.ledger.claims as c; c.LEASE = 0.6; from sdg_core.cli.main import main; main()"


class Notices(list[str]):
    """Keeps the notices of a run."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.append(event.message)


@contextmanager
def generating(
    file: Path, root: Path, *options: str, code: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """`sdg generate` while it runs, with its output below the root's parent; killed at the end of the block if it still does."""
    start = ["-c", code] if code is not None else ["-m", "sdg_core.cli.main"]
    process = subprocess.Popen(
        [sys.executable, *start, "generate", str(file), "--root", str(root), *options],
        cwd=PROJECT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


def _is_free(lock: Path) -> bool:
    with lock.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def pause(process: subprocess.Popen[str], root: Path) -> None:
    """Stop a process at a moment in which it holds no lock of the ledger or of files, which would stop everybody else, too."""

    def stopped_without_lock() -> bool:
        process.send_signal(signal.SIGSTOP)
        other = sqlite3.connect(
            root / ".sdg" / "ledger.db", timeout=0.5, isolation_level=None
        )
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            return False
        finally:
            other.close()
        if all(map(_is_free, root.rglob(".lock"))):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    wait_until(stopped_without_lock, "a moment without a lock")


def chain(server: ModelServer, tmp_path: Path, **top: Any) -> api.Dataset:
    return open_dataset(
        tmp_path / "tickets.yaml",
        dataset_config(*CHAIN, endpoint=server.url, **top),
        root=tmp_path / "root",
    )


# --- two at once ------------------------------------------------------------------------------------------------------


def test_two_processes_share_the_work_and_ask_for_each_cell_once(
    tmp_path: Path,
) -> None:
    with ServerProcess("--latency", "0.02") as server:
        config = dataset_config(*CHAIN, endpoint=server.url, num_records=80, parallel=2)
        file, root = write_config(tmp_path / "tickets.yaml", config), tmp_path / "root"
        with generating(file, root) as one, generating(file, root) as two:
            outputs = [
                process.communicate(timeout=PATIENCE)[0] for process in (one, two)
            ]
        assert [one.returncode, two.returncode] == [0, 0], outputs
        prompts = server.prompts()
        assert len(prompts) == len(set(prompts)) == 160
        assert len(stored_records(only_version(root))) == 80


async def test_a_second_run_waits_names_the_holder_and_adopts(tmp_path: Path) -> None:
    async with ModelServer(rates=[(Fault("hang"), 1.0)]) as server:
        dataset = chain(server, tmp_path, num_records=5)
        first = asyncio.create_task(api.agenerate(dataset, run_id="first-run"))
        await server.seen(4)
        notices = Notices()
        second = asyncio.create_task(api.agenerate(dataset, on_event=notices))
        while not any("waiting for it" in notice for notice in notices):
            await asyncio.sleep(0.01)
        assert not second.done()
        server.let_go()
        made, waited = await asyncio.gather(first, second)
        assert (made.generated, waited.generated, waited.adopted, waited.remaining) == (
            5,
            0,
            1,
            0,
        )
        assert len(server.requests) == 10
    (held,) = [notice for notice in notices if "waiting for it" in notice]
    assert (
        f"row group 00000 is held by run first-ru (process {os.getpid()} on " in held
        and "UTC" in held
    )
    assert any("are free again: continuing" in notice for notice in notices)


async def test_what_is_free_is_made_while_others_are_waited_for(tmp_path: Path) -> None:
    async with ModelServer(faults=[Fault("hang")] * 4) as server:
        dataset = chain(server, tmp_path, num_records=25, parallel=4, row_group_size=8)
        first = asyncio.create_task(api.agenerate(dataset, row_groups=[0]))
        await server.seen(4)
        finished: list[int] = []

        def on_event(event: Event) -> None:
            if isinstance(event, RowGroupFinished):
                finished.append(event.group.index)
                if len(finished) == 3:
                    server.let_go()

        await asyncio.gather(first, api.agenerate(dataset, on_event=on_event))
        assert sorted(finished[:3]) == [1, 2, 3] and finished[3:] == [0]


async def test_by_setting_a_second_run_refuses_before_it_makes_anything(
    tmp_path: Path,
) -> None:
    async with ModelServer(rates=[(Fault("hang"), 1.0)]) as server:
        dataset = chain(server, tmp_path, parallel=4, row_group_size=4)
        first = asyncio.create_task(
            api.agenerate(dataset, run_id="first-run", row_groups=[3])
        )
        await server.seen(4)
        settings = dataset.plan.config.run.model_copy(update={"when_claimed": "refuse"})
        with pytest.raises(
            ClaimedError,
            match=r"(?s)row group 00003 is held by run first-ru .*wait for it to finish",
        ) as refused:
            await api.agenerate(dataset, settings=settings)
        assert "process" in str(refused.value)
        assert len(server.requests) == 4
        assert [run.outcome for run in api.history(dataset)] == ["refused", None]
        server.let_go()
        await first
        assert (await api.agenerate(dataset, settings=settings)).remaining == 0, (
            "what it had taken is free again"
        )


async def test_a_cancelled_run_gives_its_row_groups_back(tmp_path: Path) -> None:
    async with ModelServer(rates=[(Fault("hang"), 1.0)]) as server:
        dataset = chain(server, tmp_path)
        first = asyncio.create_task(api.agenerate(dataset))
        await server.seen(4)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.rates.clear()
        settings = dataset.plan.config.run.model_copy(update={"when_claimed": "refuse"})
        assert (await api.agenerate(dataset, settings=settings)).remaining == 0


# --- the dead and the thought dead ------------------------------------------------------------------------------------


def says(process: subprocess.Popen[str], words: str) -> bool:
    """Whether a process writes a line with these words before it ends."""
    return any(words in line for line in process.stdout or ())


async def test_the_row_groups_of_a_killed_run_are_free_at_once(tmp_path: Path) -> None:
    async with ModelServer(faults=[*[None] * 6, *[Fault("hang")] * 4]) as server:
        file = write_config(
            tmp_path / "tickets.yaml",
            dataset_config(*CHAIN, endpoint=server.url, num_records=10),
        )
        root = tmp_path / "root"
        with generating(file, root) as holder:
            await server.seen(7)
            with generating(file, root) as waiter:
                assert await asyncio.to_thread(says, waiter, "waiting for it")
                holder.kill()
                server.let_go()
                rest, _ = await asyncio.to_thread(waiter.communicate, timeout=PATIENCE)
        assert waiter.returncode == 0 and "are free again: continuing" in rest
        assert len(stored_records(only_version(root))) == 10


async def test_a_paused_run_whose_lease_ran_out_publishes_nothing(
    tmp_path: Path,
) -> None:
    async with ModelServer(faults=[*[None] * 4, *[Fault("hang")] * 2]) as server:
        file = write_config(
            tmp_path / "tickets.yaml",
            dataset_config(*CHAIN, endpoint=server.url, num_records=10, parallel=2),
        )
        root = tmp_path / "root"
        with generating(file, root, code=SHORT_LEASE) as zombie:
            await server.seen(5)
            await asyncio.to_thread(pause, zombie, root)
            server.let_go()
            with generating(file, root, code=SHORT_LEASE) as heir:
                output, _ = await asyncio.to_thread(heir.communicate, timeout=PATIENCE)
            assert heir.returncode == 0, output
            version = only_version(root)
            before = snapshot(version.row_groups)
            heirs = read_footer(version.row_group(0)).run_id
            zombie.send_signal(signal.SIGCONT)
            output, _ = await asyncio.to_thread(zombie.communicate, timeout=PATIENCE)
        assert zombie.returncode == 2 and "taken over by another run" in output, output
        assert (
            snapshot(version.row_groups) == before
            and read_footer(version.row_group(0)).run_id == heirs
        )
        assert (
            await asyncio.to_thread(sdg, "generate", file, "--root", root)
        ).returncode == 0


# --- processing -------------------------------------------------------------------------------------------------------


async def test_a_dataset_is_not_sealed_while_a_run_writes_into_it(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        dataset = chain(server, tmp_path, num_records=10)
        await api.agenerate(dataset)
        server.rates = [(Fault("hang"), 1.0)]
        more = chain(server, tmp_path, num_records=20)
        running = asyncio.create_task(api.agenerate(more, run_id="extends"))
        await server.seen(24)
        for call in (api.process, api.reopen):
            with pytest.raises(
                ClaimedError, match="row group 00001 is held by run extends"
            ):
                await asyncio.to_thread(call, more)
        assert not api.status(more).sealed
        server.let_go()
        await running
        api.process(more)
        assert api.status(more).sealed


async def test_a_run_waits_for_processing_and_then_finds_the_seal(
    tmp_path: Path,
) -> None:
    config = dataset_config(uuid(), num_records=10)
    dataset = open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "root")
    await api.agenerate(dataset)
    version, more = (
        only_version(tmp_path / "root"),
        open_dataset(
            tmp_path / "d.yaml", {**config, "num_records": 20}, root=tmp_path / "root"
        ),
    )
    notices = Notices()
    with exclusive_access(dataset, action="process"):
        running = asyncio.create_task(api.agenerate(more, on_event=notices))
        while not any(
            "this version is held by process" in notice for notice in notices
        ):
            await asyncio.sleep(0.01)
        changed = version.metadata.read_bytes().replace(
            b'"post_generation_state": "none"', b'"post_generation_state": "started"'
        )
        version.metadata.write_bytes(changed)
    with pytest.raises(SealedError):
        await running
    assert version.existing_row_groups() == [0]


def test_two_processings_exclude_each_other(tmp_path: Path) -> None:
    dataset = open_dataset(
        tmp_path / "d.yaml", dataset_config(uuid()), root=tmp_path / "root"
    )
    api.generate(dataset)
    with (
        exclusive_access(dataset, action="process"),
        pytest.raises(ClaimedError, match="this version is held by process"),
    ):
        api.process(dataset)
    assert api.process(dataset).num_rows == 25


def test_a_claim_that_cannot_block_anybody_is_not_waited_for(tmp_path: Path) -> None:
    """Of a run that ended without giving back, such as one whose process is gone."""
    dataset = open_dataset(
        tmp_path / "d.yaml", dataset_config(uuid()), root=tmp_path / "root"
    )
    api.generate(dataset, row_groups=[0])
    with open_ledger_for(dataset.layout.root, env=dataset.env) as ledger:
        place = {
            "dataset": dataset.name,
            "version": only_version(tmp_path / "root").name,
        }
        gone = Claims(ledger, **place, run_id="gone", clock=lambda: 1_000.0)
        gone.acquire_free(["00001", "00002"])
        notices = Notices()
        assert api.generate(dataset, on_event=notices).remaining == 0
        assert not any("held" in notice for notice in notices)
