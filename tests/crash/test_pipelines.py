"""Pipelines killed at every point at which something becomes durable end as if nothing had happened."""

import subprocess
from pathlib import Path

import pytest

from sdg_core.api import pipelines
from sdg_core.system.failpoints import VARIABLE
from tests.support.pipelines import Project, check_accounts, llm_stage, served_by
from tests.support.sdg import PROJECT, SDG, ServerProcess, environment, sdg

STAGES = [
    {"stage": "split", "column": "content", "unit": "words", "size": 2},
    llm_stage("x", "x {{ content }}"),
    {"stage": "filter", "keep": "{{ 'skip' not in content }}", "reason": "skipped"},
    {"stage": "split", "column": "content", "unit": "words", "size": 1},
    llm_stage("y", "y {{ content }} {{ x }}"),
]
TEXTS = {name: f"{name}1 {name}2 {name}3 skip {name}5 {name}6" for name in "abcde"}
POINTS = [
    *(
        (point, count)
        for point in ("file.before_replace", "file.after_replace")
        for count in (1, 7, 10, 12)
    ),
    *(("journal.after_commit", count) for count in (1, 3)),
    ("claim.after_take", 1),
    ("file.after_temporary", 9),
    ("file.after_directory_sync", 4),
    ("metadata.after_write", 1),
]
AT_ONCE = 4
IN_FLIGHT = 2 * AT_ONCE
"""Cells that may be on their way at a kill: requests, and replies that wait for their commit."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    with ServerProcess() as server:
        project = Project(
            tmp_path_factory.mktemp("whole"), STAGES, more=served_by(server.url)
        ).write(**TEXTS)
        project.generate()
        return project.rows()


@pytest.mark.slow
@pytest.mark.parametrize(("point", "count"), POINTS)
def test_killed_at_a_point_and_run_again(
    tmp_path: Path, point: str, count: int, undisturbed: list[dict[str, object]]
) -> None:
    with ServerProcess("--latency", "0.01") as server:
        more = served_by(server.url, max_parallel_requests=AT_ONCE)
        project = Project(tmp_path, STAGES, more=more).write(**TEXTS)
        command = ("generate", project.file, "--root", project.root)
        killed = sdg(*command, env={VARIABLE: f"{point}:{count}"})
        assert killed.returncode == -9, killed.stderr
        again = sdg(*command)
        assert again.returncode == 0, again.stderr
        prompts = server.prompts()
    assert project.rows() == undisturbed
    assert len(prompts) - len(set(prompts)) <= IN_FLIGHT
    check_accounts(project.footers())
    assert pipelines.generate(project.open()).made == 0


@pytest.mark.slow
def test_two_runs_at_once_make_every_source_once(
    tmp_path: Path, undisturbed: list[dict[str, object]]
) -> None:
    with ServerProcess("--latency", "0.02") as server:
        project = Project(tmp_path, STAGES, more=served_by(server.url)).write(**TEXTS)
        command = [*SDG, "generate", str(project.file), "--root", project.root]
        both = [
            subprocess.Popen(
                command,
                cwd=PROJECT,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]
        outcomes = [process.communicate() for process in both]
        assert [process.returncode for process in both] == [0, 0], outcomes
        prompts = server.prompts()
    assert project.rows() == undisturbed
    assert len(prompts) == len(set(prompts))
