"""Numbers of a report that people believe: shares are of what they say, skipped is not repeated, removed is not failed."""

import re
from pathlib import Path
from typing import Any

import polars as pl

from sdg_core import api
from sdg_core.config.columns import ValidationColumn
from sdg_core.profiling.scores import verdicts
from tests.support.sdg import category, dataset_config, expression, uuid

COLUMN = ValidationColumn.model_validate(
    {
        "column_type": "validation",
        "name": "check",
        "target_columns": ["code"],
        "validator_type": "code",
        "validator_params": {"code_lang": "python"},
    }
)


def judged(rows: list[dict[str, Any]], kind: pl.DataType) -> Any:
    frame = pl.DataFrame({"check": rows}, schema={"check": kind}).lazy()
    return verdicts(frame, COLUMN, kind)  # type: ignore[arg-type]


def test_a_reason_counts_once_in_each_value_that_it_is_said_of() -> None:
    message = pl.Struct({"message": pl.String})
    kind = pl.Struct(
        {"is_valid": pl.Boolean, "python_linter_messages": pl.List(message)}
    )
    often = [{"message": "undefined name"}] * 20
    rows = [
        {"is_valid": False, "python_linter_messages": often},
        {
            "is_valid": False,
            "python_linter_messages": [*often, {"message": "unused import"}],
        },
        {"is_valid": True, "python_linter_messages": often},
    ]
    found = judged(rows, kind)
    assert [(each.value, each.count, each.share) for each in found.reasons] == [
        ("undefined name", 2, 1.0),
        ("unused import", 1, 0.5),
    ]


def test_the_reason_of_a_function_of_the_user_is_shown() -> None:
    kind = pl.Struct({"is_valid": pl.Boolean, "reason": pl.String})
    rows = [
        {"is_valid": False, "reason": "too long"},
        {"is_valid": True, "reason": "fine"},
    ]
    assert [each.value for each in judged(rows, kind).reasons] == ["too long"]


def test_skipped_cells_are_no_repeats_and_removed_records_no_failures(
    tmp_path: Path,
) -> None:
    apology = {
        **expression("apology", "Sorry {{ id }}"),
        "skip": {"when": "{{ mood == 'good' }}", "value": "none needed"},
    }
    keep = {
        "processor_type": "filter",
        "name": "bad_only",
        "keep": "{{ mood == 'bad' }}",
    }
    config = dataset_config(
        uuid(), category("mood", "good", "bad"), apology, num_records=300
    )
    dataset = api.open_dataset(config, root=str(tmp_path / "all"))
    api.generate(dataset)
    (profile,) = (c for c in api.report(dataset).report.columns if c.name == "apology")
    skipped = dataset.to_polars().filter(pl.col("mood") == "good").height
    assert (profile.skipped, profile.duplicates) == (skipped, 0) and skipped > 100
    filtered = api.open_dataset(
        {**config, "processors": [keep]}, root=str(tmp_path / "some")
    )
    api.generate(filtered)
    result = api.process(filtered)
    page = result.version.report_html.read_text()
    assert (
        f"{result.num_rows} of 300 records, {300 - result.num_rows} removed by processors"
        in page
    )
    ids = {*re.findall(r'id="([^"]+)"', page)}
    assert {*re.findall(r'href="#([^"]+)"', page)} <= ids
