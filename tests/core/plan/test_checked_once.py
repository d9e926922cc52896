"""Opening a dataset checks its config once, and once more only for what the seed data decides; its graph is built once."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import ConfigError
from sdg_core.plan.checks.config import check_before_graph
from sdg_core.plan.graph import build_graph
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    uuid,
)

COLUMNS = (uuid(), category("plan", "free", "pro"), llm("text", "{{ plan }} {{ id }}"))
SEEDED = {"seed_config": {"source": {"seed_type": "local", "path": "seeds.csv"}}}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How often each of these is called while the block lasts, by any caller."""
    codes = {
        function.__code__: function.__name__
        for function in (check_before_graph, build_graph)
    }
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in codes:
            calls[codes[frame.f_code]] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize(
    ("more", "checks"),
    [({}, 1), (SEEDED, 2), ({"constraints": []}, 1)],
    ids=["alone", "seeded", "constrained"],
)
def test_a_config_is_checked_once_and_its_graph_built_once(
    tmp_path: Path, more: dict[str, Any], checks: int
) -> None:
    (tmp_path / "seeds.csv").write_text("word\none\ntwo\n", encoding="utf-8")
    config = dataset_config(*COLUMNS, **more)
    with counted() as calls:
        dataset = open_dataset(
            tmp_path / "tickets.yaml", config, root=tmp_path / "root", num_records=3
        )
    assert calls == {"check_before_graph": checks, "build_graph": 1}
    with counted() as calls:
        api.generate(dataset)
    assert not calls


def test_what_only_an_option_decides_is_still_checked(tmp_path: Path) -> None:
    config = dataset_config(*COLUMNS, row_group_size=1)
    with pytest.raises(ConfigError, match="row_group_size"):
        open_dataset(
            tmp_path / "tickets.yaml",
            config,
            root=tmp_path / "root",
            num_records=10_000_000,
        )


def test_what_only_the_seed_data_shows_is_still_checked(tmp_path: Path) -> None:
    (tmp_path / "seeds.csv").write_text("word\none\n", encoding="utf-8")
    config = dataset_config(expression("shown", "{{ wrod }}"), **SEEDED)
    with pytest.raises(ConfigError, match="did you mean 'word'"):
        open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
