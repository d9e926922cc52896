"""Random pipelines through random histories: kills at points where something becomes durable, two runs at once, sources that
come, change, go and get other names, stages that are edited, tasks that fail; on disk and in an object store. They end in the
rows of one undisturbed run over the final state, and nothing is paid for twice. Every sum of the accounts holds, after every run.
"""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.system.failpoints import VARIABLE
from tests.support.pipelines import Project, check_accounts, llm_stage, served_by
from tests.support.s3 import S3Server
from tests.support.sdg import ServerProcess, sdg, started_sdg

FUNCTIONS = """
from pathlib import Path

HERE = Path(__file__).parent

def flaky(record):
    if "bad" in record["content"] and not (HERE / "fixed").exists():
        raise ValueError("cannot do it")
    return {**record, "upper": record["content"].upper()}

def marked(record, number):
    words = [f"{word}.{number}" for word in record["content"].split()]
    return {**record, "content": " ".join(words)}

def fan_out(records):
    return [[marked(record, number) for number in range(len(record["content"]) % 4)] for record in records]
"""
AT_ONCE = 2
IN_FLIGHT = 2 * AT_ONCE
POINTS = (
    "file.before_replace",
    "file.after_replace",
    "journal.after_commit",
    "checkpoint.after_save",
    "claim.after_take",
)
WORDS = ("red", "bad", "skip", "green", "blue", "a")


def stages_of(draw: random.Random) -> list[dict[str, Any]]:
    """Some stages in some order; every one can stand after every other. No two model stages ask alike, nor two tasks of one, so
    what is asked twice is paid for twice."""
    marks = [draw.randrange(10**6) for _ in range(2)]
    made: list[dict[str, Any]] = [
        {
            "stage": "split",
            "column": "content",
            "unit": "words",
            "size": draw.choice((1, 2)),
        },
        llm_stage("x", f"x{marks[0]} {{{{ content }}}}"),
        {"stage": "filter", "keep": "{{ 'skip' not in content }}", "reason": "skipped"},
        {"stage": "function", "function": "./own.py:flaky"},
        {
            "stage": "function",
            "function": "./own.py:fan_out",
            "batch_size": draw.choice((1, 3)),
        },
        llm_stage("y", f"y{marks[1]} {{{{ content }}}} of {{{{ source }}}}"),
    ]
    chosen = draw.sample(made, draw.randint(3, len(made)))
    for stage in chosen:
        stage["checkpoint"] = draw.random() < 0.3
    return chosen


def text(draw: random.Random) -> str:
    """Words that no other text has."""
    return " ".join(
        f"{word}{draw.randrange(10**6)}"
        for word in draw.choices(WORDS, k=draw.randint(0, 6))
    )


class History:
    """A project and what it should come to. there: its sources. renamed: how often each word got into another source, which is
    a source of its own and paid for as such."""

    def __init__(
        self, directory: Path, url: str, seed: int, *, bucket: str | None = None
    ) -> None:
        self.draw = random.Random(seed)
        self.company = random.Random(f"company of {seed}")
        self.there: dict[str, str] = {}
        self.renamed: Counter[str] = Counter()
        self.words: set[str] = set()
        self.more = {
            **served_by(url, max_parallel_requests=AT_ONCE),
            "run": {"max_failure_rate": 1.0, "max_attempts": 2},
        }
        self.kills = 0
        self.in_company = 0
        sources = {
            "reader": "files",
            "path": "docs/*.txt",
            "allow_empty": True,
            "sources_per_partition": self.draw.choice((1, 2)),
        }
        self.project = self.project_in(directory, stages_of(self.draw), sources)
        self.project.bucket = bucket

    def project_in(
        self, directory: Path, stages: list[dict[str, Any]], sources: dict[str, Any]
    ) -> Project:
        directory.mkdir(exist_ok=True)
        (directory / "own.py").write_text(FUNCTIONS, encoding="utf-8")
        return Project(directory, stages, sources, self.more)

    def change_sources(self) -> None:
        for name in "abcde":
            if self.draw.random() < 0.5:
                self.there[name] = text(self.draw)
                self.words.update(self.there[name].split())
                self.project.write(**{name: self.there[name]})
            elif name in self.there and self.draw.random() < 0.3:
                del self.there[name]
                self.project.write(**{name: None})
        if self.there and self.draw.random() < 0.4:
            self.rename_source()

    def rename_source(self) -> None:
        name = self.draw.choice(sorted(self.there))
        content = self.there.pop(name)
        other = self.draw.choice([name for name in "abcdefg" if name not in self.there])
        self.there[other] = content
        self.renamed.update(content.split())
        folder = self.project.directory / "docs"
        (folder / f"{name}.txt").rename(folder / f"{other}.txt")

    def paid_again(self, prompts: list[str]) -> int:
        """How many prompts are repetitions, apart from those of a text that another source had before. Prompts of empty texts are
        left out: these are all alike, so that a source can have had one before."""
        again = 0
        for prompt, count in Counter(prompts).items():
            words = self.words & {word.partition(".")[0] for word in prompt.split()}
            if words:
                expected = 1 + max(self.renamed[word] for word in words)
                again += max(0, count - expected)
        return again

    def run(self, *, may_die: bool) -> None:
        point = (
            f"{self.draw.choice(POINTS)}:{self.draw.randint(1, 9)}" if may_die else ""
        )
        command = (
            self.draw.choice(("generate", "generate", "retry")),
            self.project.file,
            "--root",
            self.project.root,
        )
        if self.company.random() < 0.5:
            self.in_company += 1
            with started_sdg(*command) as beside:
                done = sdg(*command, env={VARIABLE: point})
                said = beside.communicate()
            assert beside.returncode in (0, 1), said
        else:
            done = sdg(*command, env={VARIABLE: point})
        assert done.returncode in (0, 1, -9), done.stderr
        self.kills += done.returncode == -9
        check_accounts(self.project.footers())


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 60))]
)
def test_any_history_ends_like_an_undisturbed_run(tmp_path: Path, seed: int) -> None:
    live_through(tmp_path, seed)


@pytest.mark.slow
def test_a_history_in_an_object_store_ends_like_one_on_disk(
    tmp_path: Path, s3: S3Server
) -> None:
    """The undisturbed run is on disk."""
    history = live_through(tmp_path, 4, bucket=s3.new_root())
    assert history.kills and history.in_company and history.renamed


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("seed", range(60, 90))
def test_many_histories_in_an_object_store(
    tmp_path: Path, seed: int, s3: S3Server
) -> None:
    live_through(tmp_path, seed, bucket=s3.new_root())


def live_through(tmp_path: Path, seed: int, *, bucket: str | None = None) -> History:
    """A history, what it ends in, and what it paid for."""
    with ServerProcess("--latency", "0.002") as server:
        history = History(tmp_path / "history", server.url, seed, bucket=bucket)
        project = history.project
        for _ in range(3):
            history.change_sources()
            if history.draw.random() < 0.4:
                project.stages = [
                    *project.stages[: history.draw.randint(1, 3)],
                    *stages_of(history.draw)[:2],
                ]
                project.stages = without_clashes(project.stages)
            project.write()
            history.run(may_die=True)
        (project.directory / "fixed").touch()
        final = pipelines.generate(project.open(), retry=True)
        assert final.remaining == 0
        check_accounts(project.footers())
        assert pipelines.generate(project.open()).made == 0
        prompts = server.prompts()
        once = history.project_in(tmp_path / "once", project.stages, project.sources)
        (once.directory / "fixed").touch()
        once.write(**history.there)
        pipelines.generate(once.open())
    assert plain(project.rows()) == plain(once.rows())
    assert history.paid_again(prompts) <= IN_FLIGHT * history.kills
    return history


def without_clashes(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stages without those that make a column which another one makes already."""
    kept: list[dict[str, Any]] = []
    names: set[str] = set()
    for stage in stages:
        made = {column["name"] for column in stage.get("columns", ())}
        if not made & names:
            kept.append(stage)
            names |= made
    return kept


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the order of their columns, and without those that only some of a file's sources have."""
    return [
        {name: value for name, value in sorted(row.items()) if value is not None}
        for row in rows
    ]
