"""What was paid for a source is not paid for again: neither in a version in which a later stage is edited, whatever became of the
source, nor when its content changes or it comes back."""

from pathlib import Path
from typing import Any

from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.testing import ModelServer, answer_to, status
from tests.support.pipelines import Project, check_accounts, llm_stage, served_by

SPLIT = {"stage": "split", "column": "content", "unit": "words", "size": 1}
FIRST = llm_stage("x", "x {{ content }}")
SINK: dict[str, Any] = {"sink": {"columns": ["content", "y"]}}


def second(prompt: str) -> dict[str, Any]:
    return llm_stage("y", prompt)


def keep(condition: str) -> dict[str, Any]:
    return {"stage": "filter", "keep": condition}


async def test_cells_of_finished_sources_are_carried_over(tmp_path: Path) -> None:
    async with ModelServer() as server:
        project = Project(
            tmp_path,
            [SPLIT, FIRST, keep("{{ content != 'two' }}"), second("y {{ x }}")],
        )
        project.more = {**served_by(server.url), **SINK}
        project.write(a="one two", b="three")
        first = await agenerate_pipeline(project.open())
        assert len(server.prompts) == 5
        project.stages[2:] = [keep("{{ content != 'one' }}"), second("y again {{ x }}")]
        project.write()
        after = await agenerate_pipeline(project.open())
        # the cell of the task that the first version filtered is there as well
        assert [
            prompt for prompt in server.prompts[5:] if not prompt.startswith("y again")
        ] == []
        assert len(server.prompts) == 7 and after.replayed == 3
        rows = [(row["content"], row["y"]) for row in project.rows()]
        assert rows == [
            (word, answer_to(f"y again {answer_to(f'x {word}')}"))
            for word in ("two", "three")
        ]
        usage = [footer.usage["m"]["requests"] for footer in project.footers()]
        assert usage == [1, 1]  # what was carried over is counted where it was paid
        assert after.version.name != first.version.name
        _remove(first.version.directory)
        project.stages[3] = second("y thrice {{ x }}")
        project.write()
        await agenerate_pipeline(project.open())
        assert len(server.prompts) == 9
        check_accounts(project.footers())


async def test_cells_of_partial_and_of_changed_sources(tmp_path: Path) -> None:
    async with ModelServer(faults=[None, None, status(400)]) as server:
        project = Project(tmp_path, [SPLIT, FIRST, second("y {{ x }}")])
        project.more = {**served_by(server.url), "run": {"max_failure_rate": 1.0}}
        project.write(a="one two", b="three")
        await agenerate_pipeline(project.open())
        asked = len(server.prompts)
        project.stages[2] = second("z {{ x }}")
        project.write(b="four")
        summary = await agenerate_pipeline(project.open())
        new = server.prompts[asked:]
        assert summary.states == {"complete": 2}
        assert len(new) == len({*new}) and "x four" in new
        assert (
            len([prompt for prompt in new if prompt.startswith("x")]) <= 2
        )  # the one that failed, and that of the new text


async def test_of_a_changed_source_what_stayed_as_it_was_is_not_paid_for_again(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, [SPLIT, FIRST, second("y {{ x }}")])
        project.more = served_by(server.url)
        project.write(a="one two", b="three")
        await agenerate_pipeline(project.open())
        usage = [footer.usage["m"]["requests"] for footer in project.footers()]
        project.write(a="one two four", b=None)
        changed = await agenerate_pipeline(project.open())
        assert (changed.made, changed.removed, changed.replayed) == (1, 1, 4)
        assert sorted(server.prompts[6:]) == ["x four", f"y {answer_to('x four')}"]
        project.write(a="four", b="three")
        back = await agenerate_pipeline(project.open())
        assert (back.made, back.replayed) == (2, 2)
        # another task
        assert sorted(server.prompts[8:]) == ["x four", f"y {answer_to('x four')}"]
        assert [row["content"] for row in project.rows()] == ["four", "three"]
        paid = sum(footer.usage["m"]["requests"] for footer in project.footers())
        assert sum(usage) == 6 and paid == len(server.prompts)
        check_accounts(project.footers())


async def test_never_takes_nothing_over(tmp_path: Path) -> None:
    async with ModelServer() as server:
        kept = {**SPLIT, "checkpoint": True}
        project = Project(tmp_path, [kept, FIRST], more=served_by(server.url)).write(
            a="one two"
        )
        await agenerate_pipeline(project.open())
        await agenerate_pipeline(project.open(), resume="never")
        assert sorted(server.prompts) == ["x one", "x one", "x two", "x two"]
        assert (await agenerate_pipeline(project.open())).adopted == 1


def _remove(directory: Any) -> None:
    import shutil

    shutil.rmtree(directory)
