"""Money of a pipeline: over all versions that its cells came from, in the journal and in files, counted once and never lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.errors import BudgetReachedError
from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.testing import ModelServer, status
from tests.support.pipelines import WORDS, Project, llm_stage, served_by
from tests.support.sdg import sdg

A_REQUEST = {"prices": {"requests": 1.0}}
FIRST = llm_stage("x", "x {{ content }}")


def second(prompt: str) -> dict[str, Any]:
    return llm_stage("y", prompt)


def project_at(folder: Path, url: str, *stages: dict[str, Any], **run: Any) -> Project:
    """A request costs 1."""
    project = Project(folder, [WORDS, *stages])
    project.more = served_by(url)
    project.more["model_configs"][0] |= A_REQUEST
    project.more["run"] = run
    return project


async def test_the_cost_is_that_of_all_versions_and_survives_prune(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = project_at(tmp_path, server.url, FIRST, second("y {{ x }}")).write(
            a="one two", b="three"
        )
        first = await agenerate_pipeline(project.open())
        assert (
            first.cost
            == first.spending.total
            == {"USD": 6.0}
            == {"USD": float(len(server.prompts))}
        )
        costs = []
        versions = [first.version.name]
        for prompt in ("y again {{ x }}", "y thrice {{ x }}"):
            project.stages[2] = second(prompt)
            last = await agenerate_pipeline(project.write().open())
            costs.append((last.cost, last.spending.total))
            versions.append(last.version.name)
        assert costs == [({"USD": 3.0}, {"USD": 9.0}), ({"USD": 3.0}, {"USD": 12.0})]
        assert len(server.prompts) == 12
        found = pipelines.status(project.open())
        assert found.carried == {versions[1]: {"x": 3}}
        assert {
            name: spent.total for name, spent in found.spending.earlier.items()
        } == {
            versions[0]: {"USD": 6.0},
            versions[1]: {"USD": 3.0},
        }
        assert len(pipelines.prune(project.open()).versions) == 2
        after = pipelines.status(project.open())
        assert after.spending.total == {"USD": 12.0} and after.to_dict()[
            "total_cost"
        ] == {"USD": 12.0}
        pipelines.process(project.open())
        made = json.loads(
            (Path(after.directory) / "report.json").read_text(encoding="utf-8")
        )
        assert made["total_cost"] == {"USD": 12.0}
        below = {
            "name": "below",
            "num_records": 2,
            "columns": [{"column_type": "seed-dataset", "name": "y"}],
        }
        below["seed_config"] = {"source": {"seed_type": "dataset", "dataset": "notes"}}
        assert api.status(
            api.open_dataset(below, root=project.root)
        ).spending.upstream == {"notes": {"USD": 12.0}}


async def test_replies_in_the_journal_are_counted_once(tmp_path: Path) -> None:
    async with ModelServer(faults=[None, None, status(400)]) as server:
        project = project_at(tmp_path, server.url, FIRST, max_failure_rate=1.0).write(
            a="one two three four"
        )
        first = await agenerate_pipeline(project.open())
        assert first.states == {"partial": 1}
        assert pipelines.status(project.open()).spending.total == {
            "USD": float(len(server.prompts))
        }
        last = await agenerate_pipeline(project.open())
        assert last.states == {"complete": 1}
        assert (
            last.spending.total == {"USD": float(len(server.prompts))} == {"USD": 5.0}
        )


async def test_a_budget_counts_the_versions_that_cells_came_from(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = project_at(tmp_path, server.url, FIRST, max_cost=7.5).write(
            a="one two", b="three four"
        )
        await agenerate_pipeline(project.open())
        project.stages.append(second("y {{ x }}"))
        with pytest.raises(BudgetReachedError):
            await agenerate_pipeline(project.write().open())
        assert len(server.prompts) == 7
        assert pipelines.status(project.open()).spending.total == {"USD": 7.0}
        project.more["run"] = {"max_cost": 8.0}
        assert (await agenerate_pipeline(project.write().open())).remaining == 0
        assert len(server.prompts) == 8


async def test_the_run_table_and_the_command_say_what_was_made(tmp_path: Path) -> None:
    async with ModelServer(faults=[status(400)]) as server:
        project = project_at(tmp_path, server.url, FIRST, max_failure_rate=1.0).write(
            a="one two", b="three four"
        )
        first = await agenerate_pipeline(project.open())
        failed, rows = len(first.failures), first.rows
        assert (failed, rows) == (1, 3)
        second_run = await agenerate_pipeline(project.open())
        newest, oldest = pipelines.status(project.open()).runs
        assert (oldest.generated, oldest.failed, oldest.adopted, oldest.outcome) == (
            3,
            1,
            0,
            "failed_records",
        )
        assert (newest.generated, newest.failed, newest.adopted, newest.outcome) == (
            1,
            0,
            1,
            "done",
        )
        assert second_run.rows == 4
    shown = sdg("status", str(project.file), "--root", project.root).stdout
    assert "m: 5.00 USD" in shown, shown


def test_a_rehearsal_would_cost(tmp_path: Path) -> None:
    project = Project(tmp_path, [WORDS, FIRST]).write(a="one two")
    project.more = {
        "model_providers": [{"name": "r", "provider_type": "simulated"}],
        "model_configs": [{"alias": "m", "model": "any", "provider": "r", **A_REQUEST}],
    }
    done = sdg("generate", str(project.write().file), "--root", project.root)
    assert "cost: simulated, would cost 2.00 USD in this run" in done.stdout, (
        done.stdout
    )
    assert (
        "simulated, would cost m: 2.00 USD"
        in sdg("status", str(project.file), "--root", project.root).stdout
    )
    assert json.loads(
        sdg("generate", str(project.file), "--root", project.root, "--json").stdout
    )["spending"]["total_cost"] == {"USD": 2.0}
