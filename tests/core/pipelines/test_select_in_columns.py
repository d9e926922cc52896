"""`select` in a `columns` stage: the columns of a task are made again until they are kept, and a task of which nothing is kept is
filtered; the same whatever is interrupted, and nothing is paid for twice."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.errors import ConfigError
from sdg_core.testing import Fault, ModelServer, status
from tests.support.pipelines import Project, check_accounts, llm_stage, served_by

WORDS = " ".join(f"word{number}" for number in range(40))
SPLIT = {"stage": "split", "column": "content", "unit": "words", "size": 1}
GRADE = {
    "column_type": "sampler",
    "name": "grade",
    "sampler_type": "category",
    "params": {"values": [1, 2, 3]},
}


def stage(keep: str | None, *columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    text = llm_stage("answer", "answer {{ content }} {{ grade }}")["columns"]
    select = {"keep": keep, "candidates": 3, **more}
    return {"stage": "columns", "columns": [GRADE, *text, *columns], "select": select}


def project(base: Path, url: str, keep: str | None, **more: Any) -> Project:
    made = Project(base, [SPLIT, stage(keep, **more)], more=served_by(url))
    return made.write(first=WORDS, second="alone")


def by_word(made: Project) -> dict[str, tuple[int, str]]:
    return {row["content"]: (row["grade"], row["answer"]) for row in made.rows()}


async def test_tasks_are_made_again_until_they_are_kept(tmp_path: Path) -> None:
    async with ModelServer() as server:
        made = project(tmp_path, server.url, "{{ grade == 3 and content != 'word7' }}")
        await pipelines.agenerate_pipeline(made.open())
        rows = by_word(made)
        assert (
            20 < len(rows) < 40
            and "word7" not in rows
            and {grade for grade, _ in rows.values()} == {3}
        )
        assert len(server.prompts) == len(rows), (
            "nothing is asked for what a cheap column rejects"
        )
        filtered: Counter[str] = Counter()
        for footer in made.footers():
            for source in footer.sources:
                filtered.update(source.stages[-1].filtered)
        assert filtered == {"select: no candidate was kept": 41 - len(rows)}
        check_accounts(made.footers())
        every = await every_candidate(tmp_path / "plain", server.url)
        assert {grade for grade, _ in every.values()} == {1, 2, 3}
        assert all(
            rows[word] == found
            for word, found in every.items()
            if found[0] == 3 and word != "word7"
        )


async def every_candidate(base: Path, url: str) -> dict[str, tuple[int, str]]:
    """The first candidates: what a stage without `select` makes."""
    made = Project(
        base, [SPLIT, {**stage("{{ grade }}"), "select": None}], more=served_by(url)
    )
    del made.stages[1]["select"]
    made.write(first=WORDS, second="alone")
    await pipelines.agenerate_pipeline(made.open())
    return by_word(made)


async def test_best_takes_every_task_and_fail_fails_those_of_which_nothing_is_kept(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        best = project(
            tmp_path / "best", server.url, None, otherwise="best", best="{{ grade }}"
        )
        await pipelines.agenerate_pipeline(best.open())
        assert (
            len(by_word(best)) == 41
            and Counter(grade for grade, _ in by_word(best).values())[3] > 20
        )
        fail = project(
            tmp_path / "fail", server.url, "{{ grade == 3 }}", otherwise="fail"
        )
        fail.more = {**fail.more, "run": {"max_failure_rate": 1.0}}
        fail.write()
        await pipelines.agenerate_pipeline(fail.open())
        failed = [
            task
            for footer in fail.footers()
            for source in footer.sources
            for task in source.failed
        ]
        assert len(failed) == 41 - len(by_word(fail)) > 0
        assert all("none of 3 candidates was kept" in task.message for task in failed)


async def test_an_interruption_changes_nothing_and_nothing_is_paid_for_twice(
    tmp_path: Path,
) -> None:
    answered: Counter[str] = Counter()

    def answer(prompt: str) -> str:
        answered[prompt] += 1
        return f"{prompt}!"

    faults: list[Fault | None] = [
        None if place % 3 else status(400) for place in range(30)
    ]
    keep = "{{ [answer, grade][1] == 3 }}"
    async with ModelServer(faults=faults, answer=answer) as server:
        made = project(tmp_path / "cut", server.url, keep)
        made.more = {**made.more, "run": {"max_failure_rate": 1.0, "max_attempts": 9}}
        made.write()
        while (await pipelines.agenerate_pipeline(made.open())).remaining:
            pass
        assert set(answered.values()) <= {1, 2, 3}, (
            "candidates of one task may have the same prompt"
        )
        asked = sum(answered.values())
    async with ModelServer(answer=answer) as server:
        whole = project(tmp_path / "whole", server.url, keep)
        await pipelines.agenerate_pipeline(whole.open())
        assert sum(answered.values()) == 2 * asked
    assert by_word(made) == by_word(whole)


def test_select_is_checked_and_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/v1"
    with pytest.raises(
        ConfigError, match=r"stages\[1\].select.keep: unknown column 'nope'"
    ):
        project(tmp_path, url, "{{ nope }}").open()
    hashes = {
        project(tmp_path, url, keep).open().plan.fingerprint.config_hash
        for keep in ("{{ grade == 3 }}", "{{ grade == 2 }}")
    }
    assert len(hashes) == 2
