"""What commands, the report and the finished dataset say of candidates that were not kept."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sdg_core import api
from sdg_core.cli import show
from sdg_core.cli.show_plan import run_plan
from sdg_core.cli.show_run import run_summary
from sdg_core.counts import counted
from sdg_core.errors import IncompleteError
from tests.support.sdg import category, dataset_config, llm, open_dataset, uuid

KEEP = "{{ [text, grade][1] == 3 }}"
"""Not decided before the text is paid for."""


def selecting(base: Path, keep: str = KEEP, **more: object) -> api.Dataset:
    columns = (uuid(), category("grade", 1, 2, 3), llm("text", "write {{ id }}"))
    config = dataset_config(*columns, select={"keep": keep, "candidates": 2, **more})
    config["model_configs"][0]["prices"] = {
        "prompt_tokens": 1000,
        "completion_tokens": 1000,
        "currency": "EUR",
    }
    return open_dataset(base / "tickets.yaml", config, root=base / "root")


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_every_command_tells_dropped_records_from_failed_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = selecting(tmp_path)
    show.plan(dataset, acceptances=(), as_json=False)
    assert (
        f"each record is drawn up to 2 times until {KEEP}; else it has no row"
        in printed(capsys)
    )
    run_plan(api.plan(dataset), as_json=False)
    assert (
        "writer: 25" in (shown := printed(capsys)) and "up to 2 times as many" in shown
    )

    summary = api.generate(dataset)
    run_summary(summary, following=None, as_json=False)
    shown = printed(capsys)
    assert f"{summary.generated} records generated, 0 failed" in shown
    assert (
        counted(summary.dropped, "record", "have") + " no row" in shown
        and "remain" not in shown
    )
    status = api.status(dataset)
    assert status.selection is not None and status.selection.dropped == summary.dropped
    show.status(status, as_json=False)
    shown = printed(capsys)
    assert (
        f"{status.selection.rejected} candidates rejected; {summary.dropped} records without a row"
        in shown
    )
    assert "of that for rejected candidates: writer: " in shown and "EUR" in shown
    show.status(status, as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert data["selection"]["rejected"] == status.selection.rejected
    assert (
        0
        < data["selection"]["cost"]["writer"]["amount"]
        < data["cost"]["writer"]["amount"]
    )
    assert (data["records"]["remaining"], data["failures"]["count"]) == (0, 0)


def test_the_report_and_the_card_say_how_rows_were_selected(tmp_path: Path) -> None:
    dataset = selecting(tmp_path)
    summary = api.generate(dataset)
    result = api.process(dataset)
    assert result.num_rows == summary.generated
    made = api.report(dataset)
    page = Path(str(made.path)).read_text(encoding="utf-8")
    assert (
        counted(summary.dropped, "record", "have") + " no row" in page
        and "Usage of rejected candidates" in page
    )
    assert "each record is drawn up to 2 times until" in page
    assert made.report.to_dict()["selection"]["dropped"] == summary.dropped
    card = Path(str(summary.version.card)).read_text(encoding="utf-8")
    assert f"each record drawn up to 2 times until `{KEEP}`" in card


def test_nothing_kept_is_a_clear_end(tmp_path: Path) -> None:
    dataset = selecting(tmp_path, "{{ grade > 3 }}")
    summary = api.generate(dataset)
    assert (summary.generated, summary.dropped) == (0, 25)
    with pytest.raises(
        IncompleteError, match="select kept no candidate of any of 25 records"
    ):
        api.process(dataset)


def test_columns_of_the_rejected_rows_give_way_to_those_of_the_dataset(
    tmp_path: Path,
) -> None:
    columns = (category("reason", 1, 2, 3), category("candidate", "a", "b"))
    config = dataset_config(*columns, select={"keep": "{{ reason == 3 }}"})
    version = api.generate(
        open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    ).version
    names = pq.read_schema(str(version.rejected_candidates(0))).names
    assert names == ["record_index", "_candidate", "_reason", "reason", "candidate"]


@pytest.mark.parametrize(
    ("select", "words"),
    [
        ({"otherwise": "fail"}, "else it has failed"),
        (
            {"otherwise": "best", "best": "grade"},
            "else the candidate with the best grade is taken",
        ),
        (
            {"keep": None, "otherwise": "best", "best": "grade"},
            "each record is the one of 2 candidates with the best grade",
        ),
    ],
)
def test_validate_says_what_becomes_of_a_record(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    select: dict[str, object],
    words: str,
) -> None:
    keep = {"keep": "{{ grade == 3 }}", **select}
    show.plan(selecting(tmp_path, **keep), acceptances=(), as_json=False)  # type: ignore[arg-type]
    assert words in printed(capsys)
