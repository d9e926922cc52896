"""kill -9 while each processor decides and writes: processing again leaves out the same records, and loses none.

Points are passed once per batch and per file, in every pass over the rows, so that a count is a moment of the whole command.
"""

import random
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdg_core import api
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from sdg_core.system.failpoints import FAILPOINTS, VARIABLE
from tests.support.sdg import (
    dataset_config,
    only_version,
    sdg,
    snapshot,
    uuid,
    write_config,
)

RECORDS = 60
WORDS = [f"w{number}" for number in range(400)]
LEAK = "one two three four five six"
PROCESSORS: dict[str, dict[str, Any]] = {
    "filter": {"processor_type": "filter", "keep": "{{ score > 0.2 }}"},
    "quality": {
        "processor_type": "filter",
        "column": "text",
        "quality": [{"rule": "words", "at_least": 7}],
    },
    "exact": {"processor_type": "deduplicate", "columns": ["text"], "keep": "last"},
    "minhash": {
        "method": "minhash",
        "columns": ["text"],
        "keep": "best",
        "score": "score",
    },
    "embedding": {
        "method": "embedding",
        "columns": ["vector"],
        "threshold": 0.98,
        "keep": "best",
        "score": "score",
    },
    "decontaminate": {
        "processor_type": "decontaminate",
        "columns": ["text"],
        "n": 6,
        "evaluation_sets": [{"source": {"path": "eval.jsonl"}, "columns": ["q"]}],
    },
}
POINTS = [point for point in FAILPOINTS if point.startswith("processing")]
MOMENTS = [
    *((point, 1) for point in POINTS),
    *(("processing.after_batch", count) for count in (4, 7, 11)),
]
MOMENTS += [
    (f"file.{moment}", count)
    for moment in ("after_temporary", "before_replace")
    for count in (2, 3, 5)
]
EACH = [
    pytest.param(
        name, marks=() if name in ("minhash", "embedding") else pytest.mark.long
    )
    for name in PROCESSORS
]
"""In the short form the others are killed together with all."""


def config(*names: str) -> dict[str, Any]:
    chosen = [
        {"processor_type": "deduplicate", "name": name, **PROCESSORS[name]}
        for name in names
    ]
    seed = {"source": {"path": "seed.parquet"}}
    return dataset_config(
        uuid(),
        seed_config=seed,
        num_records=RECORDS,
        row_group_size=13,
        processors=chosen,
    )


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of which every processor leaves some out: copies, near-copies, vectors of almost one direction, leaks, short texts."""
    draw = random.Random(3)
    rows: list[dict[str, Any]] = []
    for number in range(RECORDS):
        words = draw.sample(WORDS, 30)
        vector = [draw.gauss(0, 1) for _ in range(8)]
        if number % 5 == 4:
            words = rows[number - 3]["text"].split()
            vector = [
                value + draw.gauss(0, 0.01) for value in rows[number - 3]["vector"]
            ]
        if number % 10 == 9:
            words[draw.randrange(len(words))] = "other"
        if number % 12 == 6:
            words[2:8] = LEAK.split()
        rows.append(
            {
                "text": " ".join(words[: 5 if number % 15 == 7 else 30]),
                "vector": vector,
                "score": draw.random(),
            }
        )
    directory = tmp_path_factory.mktemp("generated")
    pl.DataFrame(rows).write_parquet(directory / "seed.parquet")
    (directory / "eval.jsonl").write_text(f'{{"q": "{LEAK}"}}\n')
    file = write_config(directory / "tickets.yaml", config())
    api.generate(api.open_dataset(file, root=str(directory / "root")))
    return directory


def copy_of(generated: Path, place: Path, *names: str) -> tuple[Path, VersionLayout]:
    shutil.copytree(generated, place)
    return write_config(place / "tickets.yaml", config(*names)), only_version(
        place / "root"
    )


def what_is_left(
    version: VersionLayout,
) -> tuple[dict[str, str], dict[str, int], dict[str, int]]:
    metadata = read_metadata(version.metadata)
    assert metadata.post_generation_state == "complete"
    return (
        snapshot(version.processed),
        metadata.removed_by_processor,
        metadata.kept_by_processor,
    )


def killed_and_done_again(
    generated: Path, base: Path, *names: str, moments: list[tuple[str, int]]
) -> tuple[VersionLayout, VersionLayout]:
    """Two copies: one whose processing was killed at each moment that it passes, and one whose processing was not."""
    place = base / "killed"
    file, version = copy_of(generated, place, *names)
    row_groups = snapshot(version.row_groups)
    for point, count in moments:
        killed = sdg(
            "process",
            file,
            "--root",
            place / "root",
            env={VARIABLE: f"{point}:{count}"},
        )
        assert killed.returncode in (0, -9), killed.stderr
        assert snapshot(version.row_groups) == row_groups
    api.process(api.open_dataset(file, root=str(place / "root")))
    assert not list((place / "root").rglob(".tmp*"))
    other, undisturbed = copy_of(generated, base / "whole", *names)
    api.process(api.open_dataset(other, root=str(base / "whole" / "root")))
    return version, undisturbed


@pytest.mark.parametrize("name", EACH)
def test_each_processor_killed_in_the_middle(
    tmp_path: Path, generated: Path, name: str
) -> None:
    """In its second look at the rows where it has one, else while it writes."""
    version, whole = killed_and_done_again(
        generated, tmp_path, name, moments=[("processing.after_batch", 8)]
    )
    files, removed, kept = what_is_left(version)
    assert (files, removed, kept) == what_is_left(whole)
    assert 0 < removed[name] < RECORDS and removed[name] + kept[name] == RECORDS, (
        "nothing is lost"
    )


@pytest.mark.parametrize("name", [*PROCESSORS, "all"])
@pytest.mark.parametrize(
    "moment", MOMENTS, ids=lambda moment: ":".join(map(str, moment))
)
@pytest.mark.long
def test_every_processor_killed_at_every_point(
    tmp_path: Path, generated: Path, name: str, moment: tuple[str, int]
) -> None:
    names = [*PROCESSORS] if name == "all" else [name]
    version, whole = killed_and_done_again(
        generated, tmp_path, *names, moments=[moment]
    )
    assert what_is_left(version) == what_is_left(whole)


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 30))]
)
def test_all_processors_killed_again_and_again(
    tmp_path: Path, generated: Path, seed: int
) -> None:
    draw = random.Random(seed)
    names = draw.sample([*PROCESSORS], k=len(PROCESSORS))
    moments = [
        ("processing.after_batch", draw.randint(1, 20)),
        (draw.choice(POINTS), 1),
        draw.choice(MOMENTS),
    ]
    version, whole = killed_and_done_again(generated, tmp_path, *names, moments=moments)
    assert what_is_left(version) == what_is_left(whole)
    assert (
        sum(what_is_left(version)[1].values()) + api.process(opened(tmp_path)).num_rows
        == RECORDS
    )


def opened(base: Path) -> api.Dataset:
    return api.open_dataset(
        base / "killed" / "tickets.yaml", root=str(base / "killed" / "root")
    )
