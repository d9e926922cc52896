"""Evaluation sets that are files are opened by `validate`, before anything is paid."""

from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import FilterError, SdgError, SeedError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("eval.csv").write_text(
        "question\nwhat is the largest of all planets\n", encoding="utf-8"
    )
    return tmp_path


def dataset(source: dict[str, Any], column: str = "question") -> dict[str, Any]:
    return {
        "name": "d",
        "num_records": 1,
        "columns": [{"column_type": "expression", "name": "text", "expr": "none"}],
        "processors": [
            {
                "processor_type": "decontaminate",
                "name": "leaks",
                "columns": ["text"],
                "evaluation_sets": [{"source": source, "columns": [column]}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("source", "column", "error", "words"),
    [
        (
            {"path": "gone.csv"},
            "question",
            SeedError,
            "'leaks': evaluation_sets.0.: .*gone.csv",
        ),
        (
            {"path": "eval.csv"},
            "answer",
            FilterError,
            "has no column 'answer'; it has question",
        ),
        (
            {"seed_type": "file_contents", "path": "gone"},
            "content",
            SeedError,
            "evaluation_sets.0.: .*gone",
        ),
    ],
)
def test_a_file_that_is_of_no_use_is_refused(
    source: dict[str, Any], column: str, error: type[SdgError], words: str
) -> None:
    with pytest.raises(error, match=words):
        api.check_evaluation_sets(dataset(source, column))


def test_files_are_opened_and_the_others_named() -> None:
    assert api.check_evaluation_sets(dataset({"path": "eval.csv"})) == []
    (said,) = api.check_evaluation_sets(
        dataset({"seed_type": "hf", "path": "datasets/org/benchmark/test.parquet"})
    )
    assert "evaluation_sets[0] (hf) is not checked" in said
