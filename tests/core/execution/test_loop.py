"""Runs: the same records whatever the way to them, nothing lost and nothing paid for twice when they go wrong."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sdg_core import api
from sdg_core.dataset.events import Event, Notice, RecordsSettled, RowGroupFinished
from sdg_core.dataset.resume import choose_version, create_or_resume
from sdg_core.errors import (
    PlanError,
    RunAbortedError,
    StoreError,
    UnrecognizedFileError,
)
from sdg_core.execution.context import RunContext
from sdg_core.execution.loop import RowGroupRun
from sdg_core.execution.run_state import IN_FLIGHT_FACTOR
from sdg_core.models.open_pool import open_models
from sdg_core.seeds.readers import Seeds
from sdg_core.store.failures import Failure, read_failures
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_group_state import RowGroupState
from sdg_core.store.row_groups import read_footer
from sdg_core.testing import Fault, ModelServer, answer_to, status
from tests.support.requirements import LONG
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    snapshot,
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
    """Answers 400 to prompts that hold one of the `refused` words."""

    def __init__(self, *refused: str, **options: Any) -> None:
        super().__init__(**options)
        self.refused = set(refused)

    def _next_fault(self, prompt: str) -> Fault | None:
        refuse = any(word in prompt for word in self.refused)
        return status(400, message="refused") if refuse else super()._next_fault(prompt)


def chain(
    server: ModelServer,
    tmp_path: Path,
    *columns: dict[str, Any],
    root: str = "root",
    **top: Any,
) -> api.Dataset:
    config = dataset_config(*(columns or CHAIN), endpoint=server.url, **top)
    return open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / root)


# --- the same records whatever the way --------------------------------------------------------------------------------


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Samplers, expressions, and simulated columns one after another and side by side, with and without seed data."""
    seeded = draw(st.sampled_from([None, "ordered", "shuffle"]))
    gaussian = {
        "column_type": "sampler",
        "sampler_type": "gaussian",
        "params": {"mean": 0, "stddev": 2.5},
    }
    columns = [
        category("plan", "free", "pro", "team"),
        uuid(),
        {"name": "amount", **gaussian, "drop": draw(st.booleans())},
        expression("title", "{{ plan }}: {{ id }}" + (" {{ word }}" if seeded else "")),
        llm("left", "say {{ title }}", drop=draw(st.booleans())),
        llm(
            "right",
            draw(st.sampled_from(["say {{ plan }}", "nothing", "{{ left }} again"])),
        ),
        expression("length", "{{ left | length }}", dtype="int"),
        llm("both", "{{ left }} and {{ right }} of {{ length }}"),
    ]
    kept = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    columns = [
        *columns[:4],
        *(column for column, keep in zip(columns[4:], kept, strict=True) if keep),
    ]
    names = {column["name"] for column in columns}
    wanted = {
        "right": {"left"},
        "length": {"left"},
        "both": {"left", "right", "length"},
    }
    columns = [
        column
        for column in columns
        if column.get("prompt", "") in ("say {{ plan }}", "nothing")
        or wanted.get(column["name"], set()) <= names
    ]
    config = dataset_config(
        *columns, num_records=draw(st.integers(1, 30)), seed=draw(st.integers(0, 3))
    )
    if seeded:
        config["seed_config"] = {
            "source": {"seed_type": "local", "path": "seeds.csv"},
            "sampling_strategy": seeded,
        }
    return config


ways = {
    "row_group_size": st.integers(1, 31),
    "other_size": st.integers(1, 31),
    "first": st.integers(1, 30),
    "seed_rows": st.integers(1, 9),
    "order": st.randoms(use_true_random=False),
}


@settings(
    max_examples=25 if LONG else 15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(config=configs(), **ways)
def test_records_do_not_depend_on_the_way_to_them(
    config: dict[str, Any],
    row_group_size: int,
    other_size: int,
    first: int,
    seed_rows: int,
    order: Any,
) -> None:
    with TemporaryDirectory() as directory:
        base = Path(directory)
        words = "".join(f"word{number}\n" for number in range(seed_rows))
        (base / "seeds.csv").write_text(f"word\n{words}")

        def opened(root: str, size: int, **more: Any) -> api.Dataset:
            changed = {**config, "row_group_size": size}
            return open_dataset(
                base / "tickets.yaml", changed, root=base / root, **more
            )

        at_once = api.generate(opened("at_once", row_group_size)).version
        expected = stored_records(at_once)
        assert sorted(expected) == list(range(config["num_records"]))

        one_by_one = opened("one_by_one", other_size)
        indices = [group.index for group in one_by_one.plan.row_groups]
        order.shuffle(indices)
        for index in indices:
            version = api.generate(one_by_one, row_groups=[index]).version
        assert stored_records(version) == expected

        subset = opened("subset", row_group_size)
        some = [group.index for group in subset.plan.row_groups if order.random() < 0.5]
        api.generate(subset, row_groups=some)
        assert stored_records(api.generate(subset, resume="always").version) == expected

        smaller = opened(
            "extended", other_size, num_records=min(first, config["num_records"])
        )
        api.generate(smaller)
        assert (
            stored_records(api.generate(opened("extended", other_size)).version)
            == expected
        )
        assert (
            api.status(opened("extended", other_size)).states[RowGroupState.PARTIAL]
            == ()
        )


def test_a_row_group_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    dataset = open_dataset(
        tmp_path / "tickets.yaml", dataset_config(uuid()), root=tmp_path / "root"
    )
    for wrong in ([3], [0, 7], [-1]):
        with pytest.raises(PlanError, match="do not exist") as raised:
            api.generate(dataset, row_groups=wrong)
        assert "0 to 2" in str(raised.value)
    assert not (tmp_path / "root").exists()


# --- failing records --------------------------------------------------------------------------------------------------


async def test_failing_records_are_left_out_listed_and_tried_again(
    tmp_path: Path,
) -> None:
    columns = (
        uuid(),
        category("kind", "good", "bad"),
        llm("text", "{{ kind }} {{ id }}"),
        llm("more", "on {{ text }}"),
    )
    async with PickyServer("bad") as server:
        dataset = chain(server, tmp_path, *columns, run={"max_failure_rate": 1.0})
        events: list[RowGroupFinished] = []
        summary = await api.agenerate(
            dataset,
            on_event=lambda event: (
                events.append(event) if isinstance(event, RowGroupFinished) else None
            ),
        )
        stored = stored_records(summary.version)
        bad = sorted(set(range(25)) - set(stored))
        assert 0 < len(bad) < 25 and (summary.failed, summary.remaining) == (
            len(bad),
            len(bad),
        )
        assert all(record["kind"] == "good" for record in stored.values())
        first_requests = len(server.requests)
        assert first_requests == 2 * len(stored) + len(bad)
        for index in range(3):
            footer = read_footer(summary.version.row_group(index))
            listed = read_failures(summary.version.failure_list(index))
            assert [failure.record for failure in listed] == footer.missing
            assert set(footer.missing) <= set(bad)
            for failure in listed:
                assert (failure.column, failure.kind, failure.attempts) == (
                    "text",
                    "permanent",
                    1,
                )
                assert (
                    "answered 400" in failure.message and "refused" in failure.message
                )
        assert sum(event.failed for event in events) == len(bad)
        assert all(
            str(event.first_failure).startswith("record ")
            for event in events
            if event.failed
        )
        report = api.status(dataset)
        assert (
            report.failed,
            report.remaining,
            report.usage["writer"]["requests"],
        ) == (
            len(bad),
            len(bad),
            first_requests,
        )

        server.refused = set()
        again = await api.agenerate(dataset)
        assert (again.generated, again.failed, again.remaining) == (len(bad), 0, 0)
        assert len(server.requests) - first_requests == 2 * len(bad)
        assert api.status(dataset).usage["writer"]["requests"] == len(server.requests)
        assert read_metadata(again.version.metadata).usage["writer"]["requests"] == len(
            server.requests
        )
        assert api.status(dataset).failed == 0
        whole = await api.agenerate(chain(server, tmp_path, *columns, root="whole"))
        assert stored_records(again.version) == stored_records(whole.version)
        assert {
            index: record
            for index, record in stored_records(again.version).items()
            if index in stored
        } == stored


async def test_a_transient_fault_costs_no_record_and_counts_as_a_retry(
    tmp_path: Path,
) -> None:
    async with ModelServer(faults=[status(500), None, status(500)]) as server:
        dataset = chain(
            server, tmp_path, uuid(), llm("text", "{{ id }}"), num_records=5
        )
        summary = await api.agenerate(dataset)
    assert (summary.generated, summary.failed) == (5, 0)
    usage = api.status(dataset).usage["writer"]
    assert (usage["requests"], usage["retries"]) == (7, 2)


async def test_in_parallel_branches_one_failure_fails_the_record(
    tmp_path: Path,
) -> None:
    columns = (
        uuid(),
        llm("left", "left {{ id }}"),
        llm("right", "right {{ id }}"),
        llm("both", "{{ left }} {{ right }}"),
    )
    async with PickyServer("right") as server:
        dataset = chain(
            server, tmp_path, *columns, num_records=4, run={"max_failure_rate": 1.0}
        )
        summary = await api.agenerate(dataset)
        assert (summary.failed, summary.generated) == (4, 0)
        assert {
            failure.column for failure in read_failures(summary.version.failure_list(0))
        } == {"right"}
        server.refused = {"answer"}
        await api.agenerate(dataset)
        assert {
            failure.column for failure in read_failures(summary.version.failure_list(0))
        } == {"both"}


async def test_failures_not_tried_again_yet_stay_listed(tmp_path: Path) -> None:
    async with PickyServer("ask") as server:
        dataset = chain(
            server, tmp_path, num_records=8, parallel=1, run={"max_failure_rate": 1.0}
        )
        version = (await api.agenerate(dataset)).version
        assert len(read_failures(version.failure_list(0))) == 8
        server.refused = set()
        server.script.extend(
            [None, None, None, *[Fault("hang")] * 20]
        )  # questions 0 and 1, answer 0, then silence
        settled = asyncio.Event()

        def on_event(event: Event) -> None:
            if isinstance(event, RecordsSettled) and event.made:
                settled.set()

        task = asyncio.create_task(api.agenerate(dataset, on_event=on_event))
        await settled.wait()
        await server.seen(8 + 4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (made,) = stored_records(version)
        assert [f.record for f in read_failures(version.failure_list(0))] == [
            r for r in range(8) if r != made
        ]
        assert api.status(dataset).failed == 7


async def test_a_plainly_broken_run_stops_early_with_the_first_error(
    tmp_path: Path,
) -> None:
    async with PickyServer("ask") as server:
        dataset = chain(server, tmp_path, num_records=2000, row_group_size=500)
        with pytest.raises(RunAbortedError) as raised:
            await api.agenerate(dataset)
        assert len(server.requests) <= 20 + 2 * 4
        assert "run.max_failure_rate 0.5" in str(raised.value)
        assert "column 'question'" in str(raised.value) and "refused" in str(
            raised.value
        )
        assert "run the same command" in str(raised.value)
        assert api.status(dataset).failed >= 20
        assert api.status(dataset).usage["writer"]["requests"] >= 20


async def test_a_run_that_breaks_half_way_keeps_what_was_made(tmp_path: Path) -> None:
    async with PickyServer() as server:
        dataset = chain(
            server,
            tmp_path,
            num_records=200,
            row_group_size=50,
            run={"max_failure_rate": 0.2},
        )

        def breaks(event: Event) -> None:
            if len(server.requests) > 120:
                server.refused = {"ask", "answer"}

        with pytest.raises(RunAbortedError):
            await api.agenerate(dataset, on_event=breaks)
        stored = api.status(dataset).records
        assert stored > 40
        server.refused, asked = set(), len(server.requests)
        summary = await api.agenerate(dataset)
        assert (summary.generated, summary.remaining) == (200 - stored, 0)
        assert len(server.requests) - asked <= 2 * summary.generated, (
            "replies of unfinished records are taken from the journal"
        )
        whole = await api.agenerate(
            chain(server, tmp_path, num_records=200, row_group_size=200, root="whole")
        )
        assert stored_records(summary.version) == stored_records(whole.version)


@pytest.mark.parametrize("columns", [(), (llm("text", "{{ number }}"),)])
def test_an_expression_that_fails_now_and_then_does_not_stop_a_run(
    tmp_path: Path, columns: tuple[Any, ...]
) -> None:
    words = [*map(str, range(9)), "many"]
    config = dataset_config(
        category("word", *words),
        expression("number", "{{ word }}", dtype="int"),
        *columns,
        num_records=1000,
    )
    config["row_group_size"] = 300
    summary = api.generate(
        open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    )
    assert 40 < summary.failed < 200 and summary.generated == 1000 - summary.failed
    (first, *_) = read_failures(summary.version.failure_list(0))
    assert first == Failure(
        first.record, "number", "expression", "'many' is not an int", 0
    )


def test_an_expression_that_mostly_fails_stops_a_run(tmp_path: Path) -> None:
    config = dataset_config(
        category("word", "few", "many", 3),
        expression("number", "{{ word }}", dtype="int"),
        num_records=1000,
    ) | {
        "columns": [
            category("word", "few", "many", "3"),
            expression("number", "{{ word }}", dtype="int"),
        ]
    }
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    with pytest.raises(
        RunAbortedError, match=r"column 'number': '(few|many)' is not an int"
    ):
        api.generate(dataset)
    assert 0 < api.status(dataset).records < 500


# --- stalls, stragglers, the window ---------------------------------------------------------------------------------


class ManualTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, before: Callable[[], Any]) -> None:
        self.now, self._before = 100.0, before
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        awake = self.now + seconds
        await self._before()
        self.now = max(self.now, awake)


@pytest.mark.parametrize("prompt", ["ask about {{ id }}", "always the same"])
async def test_a_run_in_which_nothing_succeeds_stops_after_the_stall_timeout(
    tmp_path: Path, prompt: str
) -> None:
    async with ModelServer(rates=[(Fault("hang"), 1.0)]) as server:
        dataset = chain(
            server, tmp_path, uuid(), llm("text", prompt), run={"stall_timeout": 300.0}
        )
        time = ManualTime(before=lambda: server.seen(4))
        with pytest.raises(
            RunAbortedError,
            match=r"nothing has succeeded for 300 s .*stall_timeout is 300 s",
        ) as raised:
            await run_with_clock(dataset, time)
        assert "nothing is lost" in str(raised.value)
    assert time.slept == [300.0]


async def test_success_puts_the_stall_timeout_off(tmp_path: Path) -> None:
    async with ModelServer(faults=[None, None], rates=[(Fault("hang"), 1.0)]) as server:
        dataset = chain(server, tmp_path, uuid(), llm("text", "{{ id }}"), parallel=1)
        both_made = asyncio.Event()

        def on_event(event: Event) -> None:
            if isinstance(event, RecordsSettled) and event.made:
                if time.now > 100.0:
                    both_made.set()
                time.now += 50.0

        time = ManualTime(before=both_made.wait)
        with pytest.raises(RunAbortedError, match="nothing has succeeded for"):
            await run_with_clock(dataset, time, on_event=on_event)
        assert time.slept == [600.0, 50.0], (
            "once from the start, at 100, and once more from the last success, at 150"
        )
        assert api.status(dataset).records == 2


async def run_with_clock(
    dataset: api.Dataset,
    time: ManualTime,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
) -> None:
    plan = dataset.plan
    async with open_models(plan.models, settings=plan.config.run, env={}) as models:
        version = create_or_resume(
            dataset.layout,
            choose_version(dataset.layout, plan, mode="if_possible"),
            plan,
        )
        context = RunContext(
            plan,
            version.layout,
            dataset.seeds,
            models,
            plan.config.run,
            on_event,
            "run",
            clock=lambda: time.now,
            sleep=time.sleep,
        )
        await RowGroupRun(context).run(api.row_group_statuses(dataset))


async def test_a_straggler_holds_up_only_its_own_row_group(tmp_path: Path) -> None:
    async with ModelServer(faults=[Fault("hang")]) as server:
        dataset = chain(server, tmp_path, num_records=60)
        finished: list[int] = []
        others_done = asyncio.Event()

        def on_event(event: Event) -> None:
            if isinstance(event, RowGroupFinished):
                assert event.path.exists(), "told only once the file is there"
                finished.append(event.group.index)
                if len(finished) == 5:
                    others_done.set()

        task = asyncio.create_task(api.agenerate(dataset, on_event=on_event))
        await others_done.wait()
        assert not task.done()
        assert sorted(finished) == [1, 2, 3, 4, 5]
        assert [s.state.value for s in api.row_group_statuses(dataset)] == [
            "missing",
            *["complete"] * 5,
        ]
        server.let_go()
        summary = await task
    assert finished[-1] == 0 and summary.generated == 60


class CountingSeeds(Seeds):
    """Counts how often seed rows are read: once per row group that is opened."""

    def __init__(self, seeds: Seeds) -> None:
        self.reads, self._seeds = 0, seeds

    def read(self, indices: NDArray[np.int64]) -> pl.DataFrame:
        self.reads += 1
        return self._seeds.read(indices)


async def test_the_window_bounds_the_number_of_open_row_groups(tmp_path: Path) -> None:
    (tmp_path / "seeds.csv").write_text(
        "word\n" + "".join(f"word{n}\n" for n in range(50))
    )
    seed_config = {"source": {"seed_type": "local", "path": "seeds.csv"}}
    async with ModelServer(rates=[(Fault("hang"), 1.0)]) as server:
        dataset = chain(
            server,
            tmp_path,
            llm("text", "{{ word }}"),
            parallel=3,
            num_records=50,
            row_group_size=1,
            seed_config=seed_config,
        )
        assert dataset.seeds is not None
        seeds = CountingSeeds(dataset.seeds)
        dataset = replace(dataset, seeds=seeds)
        task = asyncio.create_task(api.agenerate(dataset))
        await server.seen(3)
        while seeds.reads < IN_FLIGHT_FACTOR * 3 + 1:
            await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert seeds.reads == IN_FLIGHT_FACTOR * 3 + 1, (
            "one more group is open, waiting for room"
        )
        assert len(server.requests) == 3
        server.let_go()
        assert (await task).generated == 50
        assert seeds.reads == 50 and server.peak == 3


# --- interruption ---------------------------------------------------------------------------------------------------


async def test_a_cancelled_run_saves_finished_records(tmp_path: Path) -> None:
    async with ModelServer() as server:
        dataset = chain(server, tmp_path, num_records=60)
        notices: list[str] = []
        task = asyncio.create_task(
            api.agenerate(
                dataset,
                on_event=lambda e: (
                    notices.append(e.message) if isinstance(e, Notice) else None
                ),
            )
        )
        await server.seen(71)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        version = api.open_dataset(
            tmp_path / "tickets.yaml", root=str(tmp_path / "root")
        ).layout.versions()[0]
        stored = stored_records(dataset.layout.version(version))
        assert len(stored) >= 20
        assert any("records saved" in notice for notice in notices)
        assert read_metadata(
            dataset.layout.version(version).metadata
        ).actual_num_records == len(stored)
        saved = {record["id"] for record in stored.values()}
        before = len(server.prompts)
        summary = await api.agenerate(dataset)
        assert not [
            prompt
            for prompt in server.prompts[before:]
            if any(identity in prompt for identity in saved)
        ]
        whole = await api.agenerate(
            chain(server, tmp_path, num_records=60, root="whole")
        )
        assert stored_records(summary.version) == stored_records(whole.version)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_saves_finished_records_and_a_rerun_completes_them(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with ModelServer(faults=[*[None] * 70, *[Fault("hang")] * 4]) as server:
        config = write_config(
            tmp_path / "tickets.yaml",
            dataset_config(*CHAIN, endpoint=server.url, num_records=60),
        )
        root = tmp_path / "root"
        with started_sdg("generate", config, "--root", root) as running:
            await server.seen(71)
            running.send_signal(number)
            _, errors = await asyncio.to_thread(running.communicate)
        server.let_go()
        assert running.returncode == 3, errors
        assert (
            "interrupted; finished records are saved" in errors
            and "Traceback" not in errors
        )
        dataset = api.open_dataset(config, root=str(root))
        stored = stored_records(
            dataset.layout.version(dataset.plan.fingerprint.version)
        )
        assert 10 <= len(stored) < 60
        saved, before = (
            {record["id"] for record in stored.values()},
            len(server.prompts),
        )
        summary = await api.agenerate(dataset)
        later = server.prompts[before:]
        assert not [
            prompt for prompt in later if any(identity in prompt for identity in saved)
        ]
        final = stored_records(summary.version)
        assert len(final) == 60 and {index: final[index] for index in stored} == stored
        assert all(
            record["question"] == answer_to(f"ask about {record['id']}")
            for record in final.values()
        )


# --- damaged and foreign files --------------------------------------------------------------------------------------


def test_a_corrupt_file_is_put_aside_and_made_again_alike(tmp_path: Path) -> None:
    dataset = open_dataset(
        tmp_path / "tickets.yaml", dataset_config(*CHAIN), root=tmp_path / "root"
    )
    version = api.generate(dataset).version
    before = stored_records(version)
    damaged = version.row_group(1).read_bytes()[:-20]
    version.row_group(1).write_bytes(damaged)
    notices: list[str] = []
    summary = api.generate(
        dataset,
        on_event=lambda event: (
            notices.append(event.message) if isinstance(event, Notice) else None
        ),
    )
    assert (summary.generated, summary.adopted, summary.written) == (10, 2, 1)
    assert stored_records(version) == before
    (aside,) = version.quarantine.iterdir()
    assert aside.read_bytes() == damaged
    assert any(
        str(version.row_group(1)) in notice and str(aside) in notice
        for notice in notices
    )


def test_a_foreign_file_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    dataset = open_dataset(
        tmp_path / "tickets.yaml", dataset_config(uuid()), root=tmp_path / "root"
    )
    version = api.generate(dataset, row_groups=[0]).version
    pq.write_table(pa.table({"mine": [1, 2, 3]}), version.row_group(2))
    before = snapshot(tmp_path / "root")
    for chosen in (None, [2]):
        with pytest.raises(
            UnrecognizedFileError,
            match=r"batch_00002\.parquet was not written by sdg",
        ):
            api.generate(dataset, row_groups=chosen)
    assert snapshot(tmp_path / "root") == before
    assert api.generate(dataset, row_groups=[1]).written == 1, (
        "other row groups are not held up"
    )


async def test_lost_dropped_columns_are_named_with_a_way_out(tmp_path: Path) -> None:
    columns = (
        uuid(),
        category("kind", "good", "bad"),
        llm("text", "{{ kind }} {{ id }}", drop=True),
    )
    async with PickyServer("bad") as server:
        dataset = chain(
            server, tmp_path, *columns, num_records=10, run={"max_failure_rate": 1.0}
        )
        version = (await api.agenerate(dataset)).version
        version.dropped(0).unlink()
        server.refused = set()
        with pytest.raises(StoreError, match="dropped columns") as raised:
            await api.agenerate(dataset)
        assert "move the row group's file out of row_groups/" in str(raised.value)
        version.row_group(0).unlink()
        assert (await api.agenerate(dataset)).generated == 10


async def test_a_crash_between_dropped_columns_and_row_group_is_mended(
    tmp_path: Path,
) -> None:
    columns = (
        uuid(),
        category("kind", "good", "bad"),
        llm("text", "{{ kind }} {{ id }}", drop=True),
    )
    async with PickyServer("bad") as server:
        dataset = chain(
            server, tmp_path, *columns, num_records=10, run={"max_failure_rate": 1.0}
        )
        version = (await api.agenerate(dataset)).version
        behind = version.row_group(0).read_bytes()
        server.refused = set()
        await api.agenerate(dataset)
        complete = stored_records(version)
        version.row_group(0).write_bytes(behind)
        assert len(stored_records(version)) < 10
        await api.agenerate(dataset)
        assert stored_records(version) == complete
