"""Reports on datasets: what they are of, that they come out the same again, and that the page is safe to open."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest

from sdg_core import api
from sdg_core.counts import counted
from sdg_core.dataset.events import Event, Notice
from sdg_core.errors import CorruptFileError, IncompleteError
from sdg_core.profiling.html import histogram, page
from sdg_core.profiling.report import Report
from sdg_core.profiling.table import Described, profile_table
from sdg_core.store.layout import VersionLayout
from tests.support.s3 import S3Server
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    uuid,
)

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(1)> " \' onload="x" {{ 7 * 7 }} &amp;'
JUDGE = {
    "column_type": "llm-judge",
    "name": "quality",
    "model_alias": "writer",
    "prompt": "judge {{ text }}",
    "scores": [
        {
            "name": "help",
            "description": "Does it help?",
            "options": {1: "not at all", 2: "a bit", 3: "a lot"},
        },
        {
            "name": "tone",
            "description": HOSTILE,
            "options": {"rude": "r", "kind": "k", "never": "n"},
        },
    ],
}
CHECKED = {
    "column_type": "validation",
    "name": "checked",
    "target_columns": ["plan", "other"],
    "validator_type": "code",
    "validator_params": {"code_lang": "sql:ansi"},
}
WEIGHTED = {
    "column_type": "sampler",
    "name": "plan",
    "sampler_type": "category",
    "params": {
        "values": ["select 1", "selec from ((", "select 2"],
        "weights": [2, 1, 1],
    },
}
VOID = {"meta", "br"}


def full_config(**top: Any) -> dict[str, Any]:
    return dataset_config(
        uuid(),
        WEIGHTED,
        expression("other", "select 3"),
        llm("text", "about {{ plan }} {{ id }}", description=HOSTILE),
        JUDGE,
        CHECKED,
        expression("hostile", HOSTILE.replace("{{ 7 * 7 }}", "{{ '{{ 7 * 7 }}' }}")),
        llm("secret", "x {{ id }}", drop=True),
        description=HOSTILE,
        **top,
    )


@pytest.fixture
def dataset(tmp_path: Path) -> api.Dataset:
    return open_dataset(
        tmp_path / "tickets.yaml", full_config(), root=tmp_path / "root"
    )


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], "elements that are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(text: str) -> Page:
    """A page that runs nothing and fetches nothing."""
    read = Page(text)
    for tag, attributes in read.elements:
        assert tag not in (
            "script",
            "img",
            "iframe",
            "object",
            "embed",
            "link",
            "form",
            "base",
            "foreignobject",
        )
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in (
                "src",
                "srcset",
                "action",
                "xlink:href",
            )
            if name == "href":
                assert value is not None and value.startswith("#")
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {
        str(attributes["href"])[1:]
        for _, attributes in read.elements
        if "href" in attributes
    }
    assert links <= set(ids)
    assert not re.search(r"url\(|@import", text)
    return read


def written(version: VersionLayout) -> dict[str, Any]:
    return dict(orjson.loads(version.report_json.read_bytes()))


def columns_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {column["name"]: column for column in report["columns"]}


def test_a_report_is_of_the_row_groups_there_are_so_far(dataset: api.Dataset) -> None:
    version = api.generate(dataset, row_groups=[0, 2]).version
    made = api.report(dataset)
    assert made.path == version.report_html
    report = written(version)
    assert (
        report["source"],
        report["num_rows"],
        report["target_num_records"],
        report["lacking"],
    ) == (
        "row_groups",
        15,
        25,
        10,
    )
    assert report["row_groups"] == {"there": 2, "planned": 3}
    assert (
        report["fingerprint"] == dataset.plan.fingerprint.config_hash
        and report["updated_at"]
    )
    read = check_page(version.report_html.read_text(encoding="utf-8"))
    assert (
        "Not finished." in read.text
        and "15 of 25 records" in read.text
        and "Simulated." in read.text
    )


def test_a_dataset_that_holds_no_record_has_no_report(dataset: api.Dataset) -> None:
    with pytest.raises(IncompleteError, match="holds no data of this config"):
        api.report(dataset)
    version = api.generate(dataset, row_groups=[]).version
    with pytest.raises(
        IncompleteError, match=r"has no records yet\n  -> generate records first"
    ):
        api.report(dataset)
    assert not version.report_html.exists() and not version.report_json.exists()


def test_processing_writes_the_report_on_the_finished_dataset_and_reopening_removes_it(
    dataset: api.Dataset,
) -> None:
    version = api.generate(dataset).version
    api.report(dataset)
    assert written(version)["source"] == "row_groups"
    api.process(dataset)
    assert (written(version)["source"], written(version)["num_rows"]) == ("dataset", 25)
    assert "Not finished" not in version.report_html.read_text(encoding="utf-8")
    version.report_json.unlink()
    assert api.process(dataset).already_done
    assert written(version)["source"] == "dataset", "a missing report is written"
    stamp = version.report_json.stat().st_mtime_ns
    api.process(dataset)
    assert version.report_json.stat().st_mtime_ns == stamp
    assert api.reopen(dataset)
    assert not version.report_html.exists() and not version.report_json.exists()


def test_reopening_keeps_a_report_on_row_groups(dataset: api.Dataset) -> None:
    version = api.generate(dataset).version
    api.report(dataset)
    before = version.report_json.read_bytes()
    api.process(dataset)
    version.report_json.write_bytes(before)
    assert api.reopen(dataset) and version.report_json.read_bytes() == before


def test_a_report_that_cannot_be_written_is_a_notice_and_the_dataset_is_finished(
    dataset: api.Dataset,
) -> None:
    version = api.generate(dataset).version
    version.report_html.mkdir()
    events: list[Event] = []
    result = api.process(dataset, on_event=events.append)
    assert result.num_rows == 25 and api.seal_of(dataset) is not None
    (notice,) = events
    assert isinstance(notice, Notice)
    assert notice.message.startswith(
        f"no report was written: cannot write {version.report_html}"
    )


def test_a_report_of_the_same_data_is_the_same_but_for_its_time(
    dataset: api.Dataset,
) -> None:
    version = api.generate(dataset).version
    first, again = api.report(dataset).report, api.report(dataset).report
    assert replace(first, made_at="") == replace(again, made_at="")
    pages = [
        page(replace(report, made_at="2026-01-01T00:00:00+00:00"))
        for report in (first, again)
    ]
    assert pages[0] == pages[1]
    api.process(dataset)
    finished = api.report(dataset).report
    assert finished.columns == first.columns, "the finished dataset has the same rows"
    assert finished.samples == first.samples and version.report_html.exists()


def test_the_page_may_be_written_elsewhere(
    dataset: api.Dataset, tmp_path: Path
) -> None:
    version = api.generate(dataset).version
    made = api.report(dataset, output=tmp_path / "there" / "page.html")
    assert (
        made.path == tmp_path / "there" / "page.html"
        and made.path.read_bytes().startswith(b"<!doctype html>")
    )
    assert not version.report_html.exists() and not version.report_json.exists()


@pytest.fixture
def finished(dataset: api.Dataset) -> tuple[Report, str]:
    version = api.generate(dataset).version
    api.process(dataset)
    return api.report(dataset).report, version.report_html.read_text(encoding="utf-8")


def test_what_data_and_config_say_is_shown_and_never_obeyed(
    finished: tuple[Report, str],
) -> None:
    _, text = finished
    read = check_page(text)
    shown = " ".join(read.text.split())
    assert shown.count(" ".join(HOSTILE.split())) >= 3, (
        "description of the dataset, of a column, and of a score"
    )
    assert (
        "<script>alert(1)" not in text
        and "{{ 7 * 7 }}" in read.text
        and "default-src 'none'" in text
    )
    assert len(text) < 500_000


def test_the_page_says_how_the_dataset_was_made(
    finished: tuple[Report, str], dataset: api.Dataset
) -> None:
    report, text = finished
    shown = " ".join(check_page(text).text.split())
    for part in (
        dataset.plan.fingerprint.config_hash,
        "How it was generated",
        "row_group_size: 10",
        "stored beside the dataset secret",
        "writer m simulated text, quality, secret",
        "if_possible done",
        "polars",
    ):
        assert part in shown, part
    places = [
        shown.index(title)
        for title in (
            "How it was generated",
            "Usage",
            "Columns",
            "Scores",
            "Sample records",
        )
    ]
    assert places == sorted(places)
    assert (
        report.facts.usage["writer"]["requests"] == 75
        and report.facts.usage_by_column["text"]["writer"]["requests"] == 25
    )
    assert [run.outcome for run in report.facts.runs] == ["done"]


def test_scores_verdicts_and_shares(
    finished: tuple[Report, str], dataset: api.Dataset
) -> None:
    report, _ = finished
    columns = columns_of(report.to_dict())
    rows = stored_rows_of(dataset)
    helpful, tone = columns["quality"]["scores"]
    given = [row["quality"]["help"]["score"] for row in rows]
    assert [item["count"] for item in helpful["values"]] == [
        given.count(option) for option in (1, 2, 3)
    ]
    assert helpful["mean"] == sum(given) / len(given) and "mean" not in tone
    reasons = {
        (row["quality"]["help"]["score"], row["quality"]["help"]["reasoning"])
        for row in rows
    }
    assert {
        (example["score"], example["reasoning"]) for example in helpful["examples"]
    } <= reasons
    assert (
        len({example["score"] for example in helpful["examples"]})
        == len(helpful["examples"])
        == len(set(given))
    )
    verdicts = columns["checked"]["verdicts"]
    invalid = sum(row["plan"].startswith("selec ") for row in rows)
    assert (verdicts["valid"], verdicts["invalid"]) == (
        25 - invalid,
        invalid,
    ) and invalid
    assert verdicts["targets"] == {"plan": 25 - invalid, "other": 25}
    assert sum(reason["count"] for reason in verdicts["reasons"]) == invalid
    expected = {item["value"]: item["expected"] for item in columns["plan"]["top"]}
    assert expected == {"select 1": 0.5, "selec from ((": 0.25, "select 2": 0.25}
    assert "secret" not in columns and columns["text"]["made_by"] == "llm-text"
    assert columns["quality"]["summary"].startswith("help ")


def stored_rows_of(dataset: api.Dataset) -> list[dict[str, Any]]:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    return list(pq.read_table(version.processed_dataset).to_pylist())


def test_samples_are_records_at_equal_distances(
    finished: tuple[Report, str], dataset: api.Dataset
) -> None:
    report, _ = finished
    rows = stored_rows_of(dataset)
    assert [sample.row for sample in report.samples] == [
        0,
        2,
        5,
        7,
        10,
        12,
        15,
        17,
        20,
        22,
    ]
    assert all(sample.values == rows[sample.row] for sample in report.samples)


def test_long_values_are_cut_and_say_so(tmp_path: Path) -> None:
    config = dataset_config(
        expression("long", "{{ 'word ' * 4000 }}"), expression("short", "x")
    )
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    version = api.generate(dataset).version
    sample = api.report(dataset).report.samples[0]
    assert (
        sample.values["long"].endswith("… 10,000 characters more")
        and len(sample.values["long"]) < 10_100
    )
    text = version.report_html.read_text(encoding="utf-8")
    assert len(text) < 400_000 and "<summary>word word" in text
    check_page(text)


def test_failures_are_counted_by_reason(tmp_path: Path) -> None:
    run = {"max_failure_rate": 1.0}
    config = dataset_config(
        category("word", "1", HOSTILE),
        expression("number", "{{ word }}", dtype="int"),
        run=run,
    )
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    summary = api.generate(dataset)
    assert 0 < summary.remaining < 25
    report = api.report(dataset).report
    (failure,) = report.facts.failures
    assert (failure.column, failure.kind, failure.count) == (
        "number",
        "expression",
        summary.remaining,
    )
    assert report.facts.remaining == summary.remaining
    read = check_page(summary.version.report_html.read_text(encoding="utf-8"))
    assert counted(summary.remaining, "record", "have") + " no row." in read.text


def test_seed_files_are_listed_with_their_digests(tmp_path: Path) -> None:
    (tmp_path / "seed.csv").write_text("product\nlamp\nchair\n", encoding="utf-8")
    config = dataset_config(
        expression("title", "{{ product }}"),
        seed_config={"source": {"path": "seed.csv"}},
    )
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    version = api.generate(dataset).version
    seed = api.report(dataset).report.facts.seed
    assert (
        seed is not None
        and list(seed.files) == ["seed.csv"]
        and seed.digest is not None
    )
    assert columns_of(written(version))["product"]["made_by"] == "seed data"
    assert (
        "seed.csv" in check_page(version.report_html.read_text(encoding="utf-8")).text
    )


def test_costs_are_shown_where_prices_are_configured(tmp_path: Path) -> None:
    config = dataset_config(uuid(), llm("text", "about {{ id }}"))
    config["model_configs"][0]["prices"] = {"requests": 0.01, "currency": "EUR"}
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    version = api.generate(dataset).version
    assert api.report(dataset).report.to_dict()["cost"] == {
        "writer": {"amount": 0.25, "currency": "EUR"}
    }
    assert (
        "0.25 EUR" in check_page(version.report_html.read_text(encoding="utf-8")).text
    )


def test_a_damaged_report_is_written_again(dataset: api.Dataset) -> None:
    version = api.generate(dataset).version
    for content in (b"", b"{", b"[]", b'{"schema_version": 99}'):
        version.report_json.write_bytes(content)
        api.process(dataset)
        assert written(version)["source"] == "dataset"
        version.report_json.write_bytes(content)
        assert api.reopen(dataset) and not version.report_json.exists()


def test_a_history_that_cannot_be_read_is_no_reason_for_no_report(
    dataset: api.Dataset,
) -> None:
    version = api.generate(dataset).version
    (ledger,) = (dataset.layout.root / ".sdg").glob("ledger.db")
    for path in ledger.parent.iterdir():
        path.unlink()
    ledger.write_bytes(b"this is no database" * 100)
    report = api.report(dataset).report
    assert report.facts.runs == () and report.facts.history_fault
    assert (
        "The history of runs is not known"
        in check_page(version.report_html.read_text(encoding="utf-8")).text
    )


@pytest.mark.parametrize("finished", [True, False])
def test_a_damaged_file_is_named_with_the_way_out(
    dataset: api.Dataset, tmp_path: Path, finished: bool
) -> None:
    version = api.generate(dataset).version
    if finished:
        api.process(dataset)
    part = (
        version.processed_dataset / "part-00000.parquet"
        if finished
        else version.row_group(1)
    )
    content = bytearray(part.read_bytes())
    content[4:200] = b"x" * 196
    part.write_bytes(content)
    way_out = "sdg reopen" if finished else "move the file out of row_groups/"
    with pytest.raises(CorruptFileError, match=f"is damaged: (.|\n)*{way_out}"):
        api.report(dataset)
    with pytest.raises(CorruptFileError, match=f"is damaged: (.|\n)*{way_out}"):
        api.export(dataset, tmp_path / "out.csv", partial=True)
    assert not (tmp_path / "out.csv").exists()


def test_on_an_object_store(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    there = open_dataset(tmp_path / "tickets.yaml", full_config(), root=s3.new_root())  # type: ignore[arg-type]
    here = open_dataset(
        tmp_path / "tickets.yaml", full_config(), root=tmp_path / "root"
    )
    for dataset in (there, here):
        api.generate(dataset)
        assert api.report(dataset).report.facts.source == "row_groups"
        api.process(dataset)
    reports = [api.report(dataset) for dataset in (there, here)]
    assert (
        reports[0].report.columns == reports[1].report.columns
        and reports[0].report.samples == reports[1].report.samples
    )
    version = VersionLayout(
        there.layout.version(there.plan.fingerprint.version).directory
    )
    assert written(version)["source"] == "dataset" and str(reports[0].path).startswith(
        "s3://"
    )
    check_page(version.report_html.read_text(encoding="utf-8"))
    assert (
        api.reopen(there)
        and not version.report_html.exists()
        and not version.report_json.exists()
    )


def test_bars_of_whole_numbers_name_the_numbers_in_them() -> None:
    frame = pl.DataFrame(
        {"n": [[0] * (number % 30) for number in range(60)], "few": ["a", "b"] * 30}
    ).lazy()
    few_items, few = profile_table(
        frame, [Described("n", "list"), Described("few", "string")], rows=60
    )
    chart = str(histogram(few_items))
    assert (
        "<title>0 to 1: 4</title>" in chart
        and "<title>28 to 29: 4</title>" in chart
        and "<span>29</span>" in chart
    )
    assert histogram(few) == "", "values that are listed need no bars"
    numbers = pl.DataFrame({"n": [1.5, 2.5] * 15 + [0.0 + n for n in range(30)]}).lazy()
    (found,) = profile_table(numbers, [Described("n", "double")], rows=60)
    assert "<span>0</span><span>29</span>" in str(histogram(found))
