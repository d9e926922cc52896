"""What a stranger's file reads outside its directory is named before it is read, whatever link or pattern leads there."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core.api import effects_of_file
from tests.hostile.test_pipeline_trust import pipeline
from tests.support.sdg import dataset_config, uuid


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A packed directory with links to files of the person who unpacks it."""
    private = tmp_path / "home"
    private.mkdir()
    (private / "diary.txt").write_text("private")
    (private / "rows.csv").write_text("a\n1\n")
    foreign = tmp_path / "foreign"
    (foreign / "data").mkdir(parents=True)
    (foreign / "root").mkdir()
    (foreign / "data" / "own.csv").write_text("a\n1\n")
    os.symlink(private / "diary.txt", foreign / "data" / "note.txt")
    os.symlink(private / "rows.csv", foreign / "data" / "linked.csv")
    os.symlink(private, foreign / "everything")
    os.symlink(foreign / "data" / "own.csv", foreign / "own.csv")
    return foreign


def seeded(**source: Any) -> dict[str, Any]:
    return dataset_config(uuid(), seed_config={"source": source})


SOURCES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "directory": (
        seeded(seed_type="directory", path="data"),
        {"home/diary.txt", "home/rows.csv"},
    ),
    "contents": (
        seeded(seed_type="file_contents", path="."),
        {"home/diary.txt", "home/rows.csv"},
    ),
    "sessions": (
        seeded(seed_type="agent_rollout", path="data", format="codex"),
        {"home/diary.txt", "home/rows.csv"},
    ),
    "linked directory": (seeded(seed_type="directory", path="everything"), {"home"}),
    "glob": (seeded(path="data/*.csv"), {"home/rows.csv"}),
    "glob of links": (seeded(path="every*/*.csv"), {"home/rows.csv"}),
    "all below": (seeded(path="**/*.csv"), {"home/rows.csv"}),
    "list": (seeded(path=["own.csv", "data/linked.csv"]), {"home/rows.csv"}),
    "out of the root": (seeded(path="{root}/../../home/rows.csv"), {"home/rows.csv"}),
    "own": (seeded(path="own.csv"), set()),
    "own by pattern": (seeded(path="data/o*.csv"), set()),
    "own root": (seeded(path="{root}/rows.csv"), set()),
    "pages": (
        pipeline(sources={"reader": "files", "path": "data/*.txt"}),
        {"home/diary.txt"},
    ),
    "all pages": (
        pipeline(sources={"reader": "csv", "path": "{root}/../**/*.csv"}),
        {"home/rows.csv"},
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_links_count_as_what_they_lead_to(place: Path, kind: str) -> None:
    config, outside = SOURCES[kind]
    (place / "d.yaml").write_text(yaml.safe_dump(config))
    lines = effects_of_file(place / "d.yaml", root=place / "root").lines
    assert {*lines} == {f"reads {place.parent / name}" for name in outside}


def test_other_data_of_the_root_is_outside_if_the_root_is(place: Path) -> None:
    (place / "d.yaml").write_text(
        yaml.safe_dump(seeded(seed_type="dataset", dataset="private"))
    )
    assert effects_of_file(place / "d.yaml", root=place / "root").lines == ()
    mine = place.parent / "mine"
    assert effects_of_file(place / "d.yaml", root=mine).lines == (
        f"reads {mine / 'private'}",
    )


def test_a_link_that_changed_asks_again(place: Path) -> None:
    (place / "d.yaml").write_text(yaml.safe_dump(seeded(path="*.csv")))
    before = effects_of_file(place / "d.yaml")
    (place / "own.csv").unlink()
    os.symlink(place.parent / "home" / "rows.csv", place / "own.csv")
    after = effects_of_file(place / "d.yaml")
    assert before.lines == () and after.lines == (
        f"reads {place.parent / 'home' / 'rows.csv'}",
    )
    assert before.digest != after.digest
