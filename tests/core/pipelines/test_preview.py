"""A preview of a pipeline shows what models were sent, as that of a dataset does."""

import asyncio
from pathlib import Path

from sdg_core.api import pipelines
from sdg_core.testing import ModelServer, status
from tests.support.pipelines import WORDS, Project, llm_stage, served_by
from tests.support.sdg import sdg

PAIR = {"stage": "split", "column": "content", "unit": "words", "size": 2}


async def test_each_row_has_the_prompts_that_led_to_it(tmp_path: Path) -> None:
    stages = [
        PAIR,
        llm_stage("x", "x {{ content }}"),
        WORDS,
        llm_stage("y", "y {{ content }} of {{ x }}"),
    ]
    async with ModelServer(faults=[status(400)]) as server:
        project = Project(
            tmp_path, stages, more=served_by(server.url, max_parallel_requests=1)
        )
        project.more["sink"] = {"columns": ["y", "content"]}
        project.write(a="one two three four five six", b="seven eight")
        found = await asyncio.to_thread(
            pipelines.preview, project.open(), num_records=3
        )
        sent = list(server.prompts)
    rows = found.table.to_pylist()
    for row, lines, prompts in zip(rows, found.shown(), found.prompts, strict=True):
        assert list(prompts) == ["x", "y"] and all(
            messages[-1].text in sent for messages in prompts.values()
        )
        assert prompts["y"][-1].text.startswith(f"y {row['content']} of ")
        names = [name for name, _ in lines]
        assert names == [
            "y",
            "  prompt",
            "content",
            "_source",
            "_task",
            "x",
            "  prompt",
        ]
        assert row["content"] in dict(lines[-1:])["  prompt"]
    ((what, lines),) = found.shown_failures()
    assert "docs/a.txt, task 0/0, stages[1]" in what and lines[-1] == (
        "  prompt",
        "x one two",
    )
    assert found.usage["m"]["requests"] == len(sent)


def test_the_command_shows_them(tmp_path: Path) -> None:
    long = f"say {'word ' * 100}about {{{{ content }}}}"
    project = Project(tmp_path, [llm_stage("x", long)]).write(a="one", b="two")
    project.more = {
        "model_providers": [{"name": "r", "provider_type": "simulated"}],
        "model_configs": [{"alias": "m", "model": "any", "provider": "r"}],
    }
    project.write()
    shown = sdg("preview", project.file, "-n", "2", "--root", project.root)
    assert (
        shown.returncode == 0
        and shown.stdout.count("  prompt") == 2
        and "usage: m: 2 requests" in shown.stdout
    )
    assert "about one" not in shown.stdout
    assert (
        "about one"
        in sdg(
            "preview", project.file, "-n", "1", "--full", "--root", project.root
        ).stdout
    )
