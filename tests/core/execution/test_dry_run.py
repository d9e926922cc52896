"""`plan`: what it says before a run is what the run then does, and saying it leaves no trace."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import PlanError
from sdg_core.ledger.claims import Claims
from sdg_core.ledger.database import open_ledger
from sdg_core.store.row_group_state import RowGroupState
from sdg_core.testing import Fault, ModelServer, status
from tests.core.execution.test_carry_over import BASE, Project, edited
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    snapshot,
    uuid,
)


def to_make(plan: api.RunPlan) -> dict[str, int]:
    return {column.column: column.to_make for column in plan.columns if column.to_make}


async def test_a_plan_says_what_the_run_then_asks(tmp_path: Path) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        steps: list[tuple[tuple[dict[str, Any], ...], dict[str, Any]]] = [
            (BASE, {}),
            (edited(BASE, "answer", prompt="answer: reply to {{ question }}"), {}),
            (
                (*BASE, llm("summary", "summary: {{ answer }}")),
                {"row_group_size": 4, "num_records": 31},
            ),
            (
                (*BASE, llm("summary", "summary: {{ answer }}")),
                {"row_group_size": 4, "num_records": 33},
            ),
        ]
        for columns, top in steps:
            before = snapshot(tmp_path / "root")
            asked = len(server.requests) + server.checks
            plan = api.plan(project.open(*columns, **top))
            assert (
                snapshot(tmp_path / "root") == before
                and len(server.requests) + server.checks == asked
            )
            summary = await project.generate(*columns, **top)
            assert to_make(plan) == project.asked
            assert plan.requests == {"writer": project.asked.total()}
            assert (
                sum(sum(column.carried.values()) for column in plan.columns)
                == summary.carried
            )
            assert (plan.records, plan.version) == (
                summary.generated,
                summary.version.name,
            )
            assert api.plan(project.open(*columns, **top)).nothing_to_do


async def test_a_first_run_and_one_that_goes_on(tmp_path: Path) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        plan = api.plan(project.open(*BASE))
        assert (plan.action, plan.previous, plan.drift) == ("start", None, ())
        assert plan.states[RowGroupState.MISSING] == ("00000", "00001", "00002")
        assert not (tmp_path / "root").exists()
        await api.agenerate(project.open(*BASE), row_groups=[0])
        plan = api.plan(project.open(*BASE))
        assert plan.action == "resume" and plan.records == 15
        assert plan.states[RowGroupState.COMPLETE] == ("00000",)
        assert api.plan(project.open(*BASE), row_groups=[0]).nothing_to_do
        with pytest.raises(PlanError, match="do not exist"):
            api.plan(project.open(*BASE), row_groups=[7])


async def test_a_new_version_is_explained(tmp_path: Path) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        old = (await project.generate(*BASE)).version
        columns = edited(BASE, "answer", prompt="answer: {{ question }}?")
        plan = api.plan(project.open(*columns))
        assert (plan.action, plan.previous) == ("new version", old.name)
        assert plan.drift == (
            "columns[3].prompt: 'answer: say {{ question }}' is now 'answer: {{ question }}?'",
        )
        carried = {column.column: dict(column.carried) for column in plan.columns}
        assert carried == {
            "question": {old.name: 25},
            "answer": {},
            "title": {old.name: 25},
        }
        forced = api.plan(project.open(*BASE), resume="never")
        assert (forced.action, forced.version, forced.drift) == (
            "forced version",
            f"{old.name}-2",
            (),
        )
        assert to_make(forced) == {"question": 25, "answer": 25, "title": 25}


async def test_what_the_journals_keep_is_counted(tmp_path: Path) -> None:
    async with ModelServer(rates=[(Fault("hang"), 0.2)]) as server:
        project = Project(tmp_path, server)
        running = asyncio.create_task(project.generate(*BASE, parallel=40))
        await server.seen(60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.rates = []
        same, other = (
            project.open(*BASE),
            project.open(*edited(BASE, "answer", prompt="answer: {{ question }}!")),
        )
        plan = api.plan(same)
        assert sum(column.journaled for column in plan.columns) > 0
        changed = api.plan(other)
        assert sum(sum(column.carried.values()) for column in changed.columns) > 0
        await project.generate(
            *edited(BASE, "answer", prompt="answer: {{ question }}!")
        )
        assert to_make(changed) == project.asked
        await project.generate(*BASE)
        assert project.asked["answer"] == to_make(plan)["answer"]
        assert project.asked["question"] == 0, "the other version has them"


async def test_failed_records_count_as_lacking(tmp_path: Path) -> None:
    async with ModelServer(rates=[(status(400), 0.3)]) as server:
        project = Project(tmp_path, server)
        run = {"max_failure_rate": 1.0}
        summary = await project.generate(*BASE, run=run)
        plan = api.plan(project.open(*BASE, run=run))
        assert plan.records == summary.remaining > 0


def test_refusals_come_with_the_way_out(tmp_path: Path) -> None:
    config = dataset_config(uuid(), category("plan", "a", "b"))
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"

    def opened(**top: Any) -> api.Dataset:
        return open_dataset(file, {**config, **top}, root=root)

    version = api.generate(opened()).version
    for dataset, mode, error, way_out in (
        (
            opened(row_group_size=5),
            None,
            "RowGroupSizeError",
            "set row_group_size back to 10",
        ),
        (opened(num_records=20), None, "ShrinkError", "set num_records to 25 or more"),
        (opened(seed=8), "always", "ConfigDriftError", "--resume if_possible"),
    ):
        plan = api.plan(dataset, resume=mode)  # type: ignore[arg-type]
        assert plan.refused is not None and plan.action == "refused"
        assert plan.refused.error == error and way_out in str(plan.refused.remedy)
    api.process(opened())
    sealed = api.plan(opened())
    assert sealed.refused is not None and "sdg reopen" in str(sealed.refused.remedy)
    assert api.plan(opened(), resume="never").refused is None
    version.row_group(0).write_bytes(b"")
    api.reopen(opened())
    assert api.plan(opened()).states[RowGroupState.CORRUPT] == ("00000",)


def test_row_groups_that_others_work_on_are_named(tmp_path: Path) -> None:
    config = dataset_config(uuid(), llm("text", "about {{ id }}"))
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    version = api.generate(dataset, row_groups=[0]).version
    ledger = open_ledger(None, root=tmp_path / "root")
    claims = Claims(ledger, dataset="tickets", version=version.name, run_id="another")
    claim = claims.acquire("00001")
    (line,) = api.plan(dataset).held
    assert "row group 00001 is held by run another" in line
    claims.release(claim)
    assert api.plan(dataset).held == ()
    ledger.close()


def test_without_models_there_is_nothing_to_ask(tmp_path: Path) -> None:
    config = dataset_config(uuid(), expression("title", "{{ id }}"))
    plan = api.plan(
        open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    )
    assert (plan.records, plan.columns, dict(plan.requests)) == (25, (), {})
