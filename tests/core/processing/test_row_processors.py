"""Processors that leave records out: the same survivors however the records lie, each removal with its reason."""

import dataclasses
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from sdg_core import api
from sdg_core.config.processors import QualityBounds, RuleName
from sdg_core.errors import ConfigError, FilterError, SealedError, SeedError
from sdg_core.filters.quality import RULE_NAMES, QualityRule
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    open_dataset,
    sdg,
    snapshot,
    uuid,
    write_config,
)

TEXTS = [
    "the cat sat on the mat",
    "The  CAT sat on the mat",
    "a dog",
    "birds fly over the wide sea",
    "x y",
]
KEEP_FREE = {"processor_type": "filter", "name": "free", "keep": "{{ plan == 'free' }}"}
SAME = {"processor_type": "deduplicate", "name": "same", "columns": ["text"]}
COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    category("text", *TEXTS),
    category("score", 1, 2, 3),
    expression("secret", "{{ text }}", drop=True),
)


def opened(
    tmp_path: Path, *processors: dict[str, Any], columns: Any = COLUMNS, **top: Any
) -> api.Dataset:
    config = dataset_config(
        *columns, **{"processors": list(processors), "num_records": 60, **top}
    )
    return open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")


def finished(tmp_path: Path, *processors: dict[str, Any], **top: Any) -> VersionLayout:
    dataset = opened(tmp_path, *processors, **top)
    api.generate(dataset)
    return api.process(dataset).version


def rows(version: VersionLayout) -> list[dict[str, Any]]:
    return pq.read_table(version.processed_dataset).to_pylist()


def removed(version: VersionLayout, name: str) -> list[dict[str, Any]]:
    return pq.read_table(version.processed / "removed" / f"{name}.parquet").to_pylist()


def all_rows(tmp_path: Path) -> list[dict[str, Any]]:
    return rows(finished(tmp_path / "plain"))


def test_a_filter_keeps_what_its_template_says_and_lists_the_rest(
    tmp_path: Path,
) -> None:
    version = finished(tmp_path, KEEP_FREE)
    everything = all_rows(tmp_path)
    assert rows(version) == [row for row in everything if row["plan"] == "free"]
    out = removed(version, "free")
    assert [everything[row["record_index"]]["id"] for row in out] == [
        row["id"] for row in out
    ]
    assert {row["plan"] for row in out} == {"pro"} and {
        row["reason"] for row in out
    } == {"not true: {{ plan == 'free' }}"}
    metadata = read_metadata(version.metadata)
    assert metadata.removed_by_processor == {
        "free": len(out)
    } and metadata.kept_by_processor == {"free": 60 - len(out)}


def test_quality_rules_give_the_rule_that_failed(tmp_path: Path) -> None:
    rule = {"processor_type": "filter", "name": "long", "column": "secret"}
    version = finished(
        tmp_path, {**rule, "quality": [{"rule": "words", "at_least": 3}]}
    )
    assert {row["reason"] for row in removed(version, "long")} == {"words 2 is below 3"}
    assert {row["text"] for row in rows(version)} == {TEXTS[0], TEXTS[1], TEXTS[3]}, (
        "it may read a dropped column"
    )


@pytest.mark.parametrize("keep", ["first", "last", "best"])
def test_one_record_of_each_cluster_stays(tmp_path: Path, keep: str) -> None:
    score = {"score": "score"} if keep == "best" else {}
    version = finished(tmp_path, {**SAME, "keep": keep, **score})
    clusters: dict[str, list[int]] = {}
    everything = all_rows(tmp_path)
    for index, row in enumerate(everything):
        clusters.setdefault(" ".join(row["text"].lower().split()), []).append(index)
    survivors = {
        "first": [min(found) for found in clusters.values()],
        "last": [max(found) for found in clusters.values()],
        "best": [
            min(found, key=lambda i: (-everything[i]["score"], i))
            for found in clusters.values()
        ],
    }[keep]
    assert [row["id"] for row in rows(version)] == [
        everything[index]["id"] for index in sorted(survivors)
    ]
    by_record = {row["record_index"]: row["reason"] for row in removed(version, "same")}
    for found in clusters.values():
        (stays,) = set(found) & set(survivors)
        assert {by_record[index] for index in found if index != stays} == {
            f"same as record {stays}"
        }
    table = pq.read_table(
        version.processed / "removed" / "same.clusters.parquet"
    ).to_pylist()
    assert {row["record_index"] for row in table if row["kept"]} == set(survivors)
    assert len(table) == 60


@pytest.mark.parametrize("method", ["exact", "minhash"])
def test_survivors_do_not_depend_on_the_row_group_size(
    tmp_path: Path, method: str
) -> None:
    processors = (KEEP_FREE, {**SAME, "method": method, "columns": ["text", "score"]})
    found = []
    for size in (1, 7, 60):
        version = finished(tmp_path / str(size), *processors, row_group_size=size)
        found.append(
            (rows(version), removed(version, "free"), removed(version, "same"))
        )
    assert found[0] == found[1] == found[2]
    kept, _, same = found[0]
    assert {row["plan"] for row in kept} == {"free"} and {
        row["plan"] for row in same
    } == {"free"}
    assert same


def test_records_are_compared_by_embeddings(tmp_path: Path) -> None:
    columns = (
        category("plan", "free", "pro"),
        {"column_type": "embedding", "name": "e", "target_column": "plan"},
    )
    columns = (columns[0], {**columns[1], "model_alias": "embed"})
    models = {
        "model_providers": [{"name": "p", "provider_type": "simulated"}],
        "model_configs": [
            {
                "alias": "embed",
                "model": "m",
                "provider": "p",
                "inference_parameters": {"generation_type": "embedding"},
            }
        ],
    }
    same = {**SAME, "method": "embedding", "columns": ["e"], "threshold": 0.999}
    version = finished(tmp_path, same, columns=columns, **models)
    kept = rows(version)
    assert len({orjson.dumps(row["e"]) for row in kept}) == len(kept) >= 1
    assert len(kept) + len(removed(version, "same")) == 60 and removed(version, "same")


def leak_config(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "eval.jsonl").write_text(
        '{"q": "nothing of it"}\n{"q": "Birds fly over the wide sea!"}\n'
    )
    return {
        "processor_type": "decontaminate",
        "name": "leaks",
        "columns": ["text"],
        "n": 4,
        "evaluation_sets": [{"source": {"path": "eval.jsonl"}, "columns": ["q"]}],
    }


def test_leaks_of_evaluation_texts_are_found_and_none_is_invented(
    tmp_path: Path,
) -> None:
    version = finished(tmp_path, leak_config(tmp_path))
    assert {row["text"] for row in rows(version)} == set(TEXTS) - {TEXTS[3]}
    out = removed(version, "leaks")
    assert {row["text"] for row in out} == {TEXTS[3]}
    assert {row["reason"] for row in out} == {
        "holds 100% of the 4-grams of row 1 of evaluation_sets[0]"
    }


@pytest.mark.parametrize(
    ("content", "change", "error", "match"),
    [
        (
            "",
            {},
            SeedError,
            r"processor 'leaks': evaluation_sets\[0\]: the file .* has no records",
        ),
        (
            '{"q": null}\n',
            {},
            FilterError,
            "processor 'leaks': no evaluation text has 4 words",
        ),
        (
            '{"other": "a b c d e"}\n',
            {},
            FilterError,
            r"evaluation_sets\[0\] has no column 'q'; it has other",
        ),
        (
            '{"q": "too short"}\n',
            {"n": 9},
            FilterError,
            "no evaluation text has 9 words",
        ),
    ],
)
def test_an_evaluation_set_that_cannot_be_used_stops_before_anything_is_written(
    tmp_path: Path,
    content: str,
    change: dict[str, Any],
    error: type[Exception],
    match: str,
) -> None:
    config = {**leak_config(tmp_path), **change}
    (tmp_path / "eval.jsonl").write_text(content)
    dataset = opened(tmp_path, config)
    version = api.generate(dataset).version
    with pytest.raises(error, match=match):
        api.process(dataset)
    assert not version.processed.exists() and not read_metadata(version.metadata).sealed


def test_a_filter_that_removes_everything_ends_clearly_and_can_be_loosened(
    tmp_path: Path,
) -> None:
    api.generate(opened(tmp_path))
    with pytest.raises(
        FilterError,
        match="processor 'none' removed all 60 records .* not true: {{ plan == 'x' }}",
    ) as raised:
        api.process(
            opened(tmp_path, {**KEEP_FREE, "name": "none", "keep": "{{ plan == 'x' }}"})
        )
    assert "relax it" in str(raised.value)
    result = api.process(opened(tmp_path, KEEP_FREE))
    assert result.removed_by_processor == {"free": 60 - result.num_rows}


def test_a_value_that_cannot_be_judged_names_processor_and_record(
    tmp_path: Path,
) -> None:
    dataset = opened(tmp_path, {**KEEP_FREE, "keep": "{{ 1 // (score - 1) }}"})
    api.generate(dataset)
    with pytest.raises(FilterError, match=r"processor 'free': record \d+: "):
        api.process(dataset)
    other = opened(tmp_path, {**SAME, "keep": "best", "score": "plan"})
    with pytest.raises(
        FilterError,
        match=r"processor 'same': record \d+: the score '(free|pro)' is not a number",
    ):
        api.process(other)


def test_removed_is_not_failed_in_status_and_report_and_reopen_takes_it_back(
    tmp_path: Path,
) -> None:
    dataset = opened(tmp_path, KEEP_FREE, SAME)
    api.generate(dataset)
    result = api.process(dataset)
    status = api.status(dataset)
    assert status.failed == status.remaining == 0
    assert sum(status.removed_by_processor.values()) == 60 - result.num_rows
    report = api.report(dataset).report.to_dict()
    assert report["removed"] == [
        {
            "processor": name,
            "kept": status.kept_by_processor[name],
            "removed": status.removed_by_processor[name],
        }
        for name in ("free", "same")
    ]
    assert report["processor_methods"] == {"free": "template", "same": "exact"}
    assert report["removal_examples"]["free"] == "not true: {{ plan == 'free' }}"
    page = result.version.report_html.read_text()
    assert (
        "Removed by processors" in page and report["removal_examples"]["same"] in page
    )
    assert (
        "free"
        in sdg("status", tmp_path / "tickets.yaml", "--root", tmp_path / "root").stdout
    )
    before = snapshot(result.version.processed)
    assert dataclasses.replace(result, already_done=True) == api.process(dataset)
    assert snapshot(result.version.processed) == before
    api.reopen(dataset)
    assert not result.version.processed.exists()
    assert (
        api.status(dataset).removed_by_processor
        == read_metadata(result.version.metadata).processor_marks
        == {}
    )


@pytest.mark.parametrize(
    "other",
    [[], [{**KEEP_FREE, "keep": "{{ plan == 'pro' }}"}, SAME], [SAME, KEEP_FREE]],
)
def test_other_processors_of_a_sealed_dataset_need_a_reopening(
    tmp_path: Path, other: list[dict[str, Any]]
) -> None:
    finished(tmp_path, KEEP_FREE, SAME)
    with pytest.raises(SealedError, match="sealed"):
        api.process(opened(tmp_path, *other))


def test_the_columns_of_removed_records_do_not_collide_with_those_of_the_dataset(
    tmp_path: Path,
) -> None:
    columns = (category("reason", "free", "pro"), uuid("record_index"))
    version = finished(
        tmp_path, {**KEEP_FREE, "keep": "{{ reason == 'free' }}"}, columns=columns
    )
    assert set(removed(version, "free")[0]) == {
        "reason",
        "record_index",
        "_reason",
        "_record_index",
    }


@pytest.mark.parametrize(
    ("processor", "where", "message"),
    [
        (
            {**KEEP_FREE, "keep": "{{ plam }}"},
            "processors[0].keep",
            "unknown column 'plam'",
        ),
        (
            {**KEEP_FREE, "keep": "{{ plan"},
            "processors[0].keep",
            "not a valid template",
        ),
        ({**KEEP_FREE, "keep": "plan"}, "processors[0].keep", "is plain text"),
        ({**KEEP_FREE, "keep": "{{ 1 }}"}, "processors[0].keep", "reads no column"),
        (
            {"processor_type": "filter", "name": "f"},
            "processors[0]",
            "give either keep",
        ),
        (
            {**KEEP_FREE, "name": "removed"},
            "processors[0].name",
            "is reserved for removed records",
        ),
        (
            {**SAME, "columns": ["text", "txt"]},
            "processors[0].columns[1]",
            "unknown column 'txt'",
        ),
        ({**SAME, "columns": []}, "processors[0].columns", ""),
        ({**SAME, "threshold": 0.5}, "processors[0]", "method exact has no threshold"),
        (
            {**SAME, "method": "minhash", "threshold": 1.5},
            "processors[0].threshold",
            "",
        ),
        ({**SAME, "method": "minhash", "threshold": 0}, "processors[0].threshold", ""),
        (
            {**SAME, "method": "embedding", "columns": ["text", "id"]},
            "processors[0]",
            "vectors of one column",
        ),
        (
            {**SAME, "keep": "best"},
            "processors[0]",
            "`score` is required with keep: best",
        ),
        (
            {**SAME, "keep": "best", "score": "skore"},
            "processors[0].score",
            "unknown column 'skore'",
        ),
        (
            {"processor_type": "decontaminate", "name": "d", "columns": ["text"]},
            "processors[0].evaluation_sets",
            "",
        ),
    ],
)
def test_a_processor_that_cannot_be_used_is_found_in_the_file(
    tmp_path: Path, processor: dict[str, Any], where: str, message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        opened(tmp_path, processor)
    assert any(
        problem.path == where and message in problem.message
        for problem in raised.value.problems
    ), raised.value


BOUNDS: list[dict[str, Any]] = [
    {},
    {"at_least": 0.5},
    {"at_most": 2},
    {"at_least": 9},
    {"at_least": -1},
    {"at_least": 0.9, "at_most": 0.1},
    {"at_most": 0.1, "n": 3},
    {"at_most": 0.1, "n": 101},
    {"at_least": 0.1, "language": "en"},
]


@pytest.mark.parametrize(
    ("processor", "place"),
    [
        (
            {"processor_type": "deduplicate", "columns": ["text", "pic"]},
            r"columns\[1\]",
        ),
        (
            {
                "processor_type": "filter",
                "column": "pic",
                "quality": [{"rule": "words", "at_least": 1}],
            },
            "column",
        ),
    ],
)
def test_paths_of_images_are_not_compared(
    tmp_path: Path, processor: dict[str, Any], place: str
) -> None:
    image = {
        "column_type": "image",
        "name": "pic",
        "model_alias": "m",
        "prompt": "{{ text }}",
    }
    config = dataset_config(
        expression("text", "a"), image, processors=[{**processor, "name": "p"}]
    )
    config["model_providers"] = [{"name": "p", "provider_type": "simulated"}]
    parameters = {"generation_type": "image"}
    config["model_configs"] = [
        {
            "alias": "m",
            "model": "m",
            "provider": "p",
            "inference_parameters": parameters,
        }
    ]
    with pytest.raises(ConfigError, match=rf"processors\[0\].{place}: 'pic' holds"):
        open_dataset(tmp_path / "a.yaml", config, root=tmp_path / "root")


@pytest.mark.parametrize("rule", RULE_NAMES)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_file_and_the_filters_agree_on_quality_rules(
    rule: str, bounds: dict[str, Any]
) -> None:
    try:
        QualityRule(rule, **bounds)
        usable = True
    except FilterError:
        usable = False
    try:
        QualityBounds.model_validate({"rule": rule, **bounds})
        accepted = True
    except ValidationError:
        accepted = False
    assert accepted == usable


def test_the_rules_of_the_file_are_those_of_the_filters() -> None:
    assert set(RuleName.__args__) == set(RULE_NAMES)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "point",
    [
        "processing.after_decisions",
        "processing.before_publish",
        "processing.after_publish",
    ],
)
def test_processing_that_was_killed_ends_in_the_same_files(
    tmp_path: Path, point: str
) -> None:
    """`kill -9` loses nothing: row groups stay, and processing again writes what an uninterrupted one writes."""
    processors = [KEEP_FREE, SAME, leak_config(tmp_path)]
    expected = snapshot(finished(tmp_path, *processors).processed)
    file = write_config(
        tmp_path / "tickets.yaml",
        dataset_config(*COLUMNS, processors=processors, num_records=60),
    )
    dataset = api.open_dataset(file, root=str(tmp_path / "other"))
    version = api.generate(dataset).version
    killed = sdg(
        "process", file, "--root", tmp_path / "other", env={"SDG_TEST_KILL_AT": point}
    )
    assert killed.returncode == -9, killed.stderr
    again = sdg("process", file, "--root", tmp_path / "other")
    assert again.returncode == 0, again.stderr
    assert "removed by same: " in again.stdout
    assert snapshot(version.processed) == expected
