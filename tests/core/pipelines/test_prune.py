"""Pruning a pipeline: old versions and checkpoints go that nothing that stays would use, and nothing under a live run."""

from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.dataset.ledger import open_ledger_for
from sdg_core.errors import ClaimedError
from sdg_core.ledger.claims import Claims
from tests.support.pipelines import Project
from tests.support.sdg import sdg

FUNCTIONS = """
from pathlib import Path

def slow(record):
    with (Path(__file__).parent / "calls").open("a") as calls:
        calls.write(record["content"] + "\\n")
    return record
"""


def stages(size: int, last: str = "q") -> list[dict[str, Any]]:
    return [
        {"stage": "split", "column": "content", "unit": "words", "size": size},
        {"stage": "function", "function": "./own.py:slow", "checkpoint": True},
        {"stage": "filter", "keep": "{{ '" + last + "' not in content }}"},
    ]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "own.py").write_text(FUNCTIONS)
    return Project(tmp_path, stages(1)).write(a="one two", b="three")


def calls(project: Project) -> int:
    return len((project.directory / "calls").read_text().splitlines())


def checkpoints(project: Project) -> list[Path]:
    return sorted(Path(project.root, "notes", "checkpoints").glob("*/*"))


def edited(project: Project, size: int, last: str = "q") -> None:
    project.stages = stages(size, last)
    project.write()
    project.generate()


def test_checkpoints_of_what_stays_stay(project: Project) -> None:
    project.generate()
    edited(project, 2)
    edited(project, 2, last="z")
    assert len(checkpoints(project)) == 4, "two sources, by two fingerprints"
    found = pipelines.prune(project.open(), dry_run=True)
    assert (len(found.versions), len(found.checkpoints)) == (2, 1) and found.size > 0
    assert pipelines.prune(project.open(), keep=2, dry_run=True).checkpoints == (), (
        "old versions that stay keep theirs"
    )
    removed = pipelines.prune(project.open())
    assert removed == found
    assert len(checkpoints(project)) == 2 and len(project.rows()) == 2
    made = calls(project)
    edited(project, 2, last="y")
    assert calls(project) == made, (
        "a later stage was edited: the checkpoints that stayed are used"
    )
    edited(project, 1)
    assert calls(project) == made + 3, "those that went are made again"


def test_what_is_kept_of_a_source_that_is_gone_goes(project: Project) -> None:
    project.generate()
    project.write(b=None)
    project.generate()
    found = pipelines.prune(project.open())
    assert found.versions == () and len(found.checkpoints) == 1
    assert len(checkpoints(project)) == 1
    assert not pipelines.prune(project.open())


def test_nothing_goes_under_a_live_run(project: Project) -> None:
    project.generate()
    edited(project, 2)
    before = checkpoints(project)
    version = pipelines.status(project.open()).version
    opened = project.open()
    with open_ledger_for(opened.layout.root, env=opened.env) as ledger:
        Claims(ledger, dataset="notes", version=version, run_id="other").acquire_free(
            ["00000"]
        )
        with pytest.raises(ClaimedError, match="^partition 00000 is held by run other"):
            pipelines.prune(project.open())
    assert (
        checkpoints(project) == before
        and len(pipelines.status(project.open()).versions) == 2
    )


def test_the_command_says_what_goes(project: Project) -> None:
    project.generate()
    edited(project, 2)
    place = (project.file, "--root", project.root)
    shown = sdg("prune", *place, "--dry-run")
    assert (
        shown.returncode == 0
        and "1 old version and 1 directory of checkpoints" in shown.stdout
    )
    assert len(checkpoints(project)) == 4
    done = sdg("prune", *place, "--yes")
    assert (
        done.returncode == 0
        and "removed 1 old version and 1 directory of checkpoints" in done.stderr
    )
    assert "nothing to remove" in sdg("prune", *place, "--yes").stdout
