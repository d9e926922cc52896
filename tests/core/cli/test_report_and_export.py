"""`sdg report` and `sdg export` as people and programs meet them."""

import re
from pathlib import Path

import orjson
import pytest

from sdg_core import api
from sdg_core.store.metadata import read_metadata
from tests.support.sdg import (
    category,
    dataset_config,
    llm,
    only_version,
    sdg,
    uuid,
    write_config,
)

CONFIG = dataset_config(
    uuid(),
    category("plan", "free", "[red] :smile:"),
    llm("text", "about {{ plan }} {{ id }}"),
)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """A dataset file, and a root (with an odd name) with its row groups."""
    file, root = write_config(tmp_path / "tickets.yaml", CONFIG), tmp_path / "[ro*ot]"
    api.generate(api.open_dataset(file, root=str(root)))
    return file, root


def test_a_report_is_written_beside_the_data_and_shown_in_short(
    made: tuple[Path, Path],
) -> None:
    file, root = made
    outcome = sdg("report", file, "--root", root)
    assert outcome.returncode == 0 and outcome.stderr == ""
    lines = outcome.stdout.splitlines()
    assert (
        lines[0] == "tickets: 25 of 25 records (row groups so far, simulated replies)"
    )
    assert re.fullmatch(
        r"plan +sampler category +0 +2 +(free|\[red\] :smile:) \d.*", lines[3].rstrip()
    )
    version = only_version(root)
    assert (
        lines[-1] == str(version.report_html)
        and version.report_html.stat().st_size < 100_000
    )
    as_json = sdg("report", file, "--root", root, "--json")
    printed = orjson.loads(as_json.stdout)
    assert printed == orjson.loads(version.report_json.read_bytes())
    assert (
        printed["schema_version"],
        printed["num_rows"],
        printed["columns"][1]["name"],
    ) == (
        1,
        25,
        "plan",
    )


def test_the_page_goes_where_it_is_told(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    file, root = made
    outcome = sdg("report", file, "--root", root, "-o", "page.html", cwd=tmp_path)
    assert outcome.returncode == 0 and outcome.stdout.splitlines()[-1] == str(
        tmp_path / "page.html"
    )
    assert (tmp_path / "page.html").exists() and not only_version(
        root
    ).report_html.exists()


def test_without_data_both_are_refused(tmp_path: Path) -> None:
    file = write_config(tmp_path / "tickets.yaml", CONFIG)
    for arguments in (("report", file), ("export", file, tmp_path / "out.csv")):
        outcome = sdg(*arguments, "--root", tmp_path / "root")
        assert (
            outcome.returncode == 2
            and "-> generate it first" in outcome.stderr
            and outcome.stdout == ""
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tickets.yaml"]


def test_a_dataset_is_exported_once_it_is_processed(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    file, root = made
    out = tmp_path / "out.jsonl"
    early = sdg("export", file, out, "--root", root)
    assert (
        early.returncode == 2
        and "`sdg process` it first" in early.stderr
        and not out.exists()
    )
    partial = sdg("export", file, out, "--root", root, "--partial")
    assert partial.returncode == 0 and partial.stdout == f"25 rows written to {out}\n"
    assert partial.stderr == "tickets: not finished: 25 rows for 25 records\n"
    done = sdg("process", file, "--root", root)
    assert (
        done.returncode == 0
        and done.stderr == ""
        and only_version(root).report_html.exists()
    )
    again = sdg("export", file, out, "--root", root)
    assert again.returncode == 2 and f"{out} exists" in again.stderr
    forced = sdg("export", file, out, "--root", root, "--force")
    assert (
        forced.returncode == 0
        and forced.stderr == ""
        and len(out.read_bytes().splitlines()) == 25
    )
    wrong = sdg("export", file, tmp_path / "out.xlsx", "--root", root)
    assert wrong.returncode == 2 and ".parquet, .jsonl, .csv" in wrong.stderr


@pytest.mark.parametrize(
    "point", ["processing.after_seal", "file.before_replace:4", "file.after_replace:4"]
)
def test_processing_that_is_killed_before_its_report_is_whole_makes_it_the_next_time(
    made: tuple[Path, Path], point: str
) -> None:
    file, root = made
    killed = sdg("process", file, "--root", root, env={"SDG_TEST_KILL_AT": point})
    version = only_version(root)
    assert killed.returncode == -9 and not version.report_json.exists()
    assert read_metadata(version.metadata).post_generation_state == "complete"
    again = sdg("process", file, "--root", root)
    assert again.returncode == 0 and "already processed: 25 rows" in again.stdout
    assert (
        version.report_html.exists()
        and orjson.loads(version.report_json.read_bytes())["source"] == "dataset"
    )
    assert [
        path.name
        for path in version.directory.iterdir()
        if path.name.startswith(".tmp")
    ] == []


def test_a_report_that_cannot_be_written_is_said_and_the_dataset_is_finished(
    made: tuple[Path, Path],
) -> None:
    file, root = made
    only_version(root).report_html.mkdir()
    outcome = sdg("process", file, "--root", root)
    assert outcome.returncode == 0 and "processed and sealed: 25 rows" in outcome.stdout
    assert outcome.stderr.startswith("tickets: no report was written: cannot write ")
