"""Compiling a dataset: schema, order, dropped columns, models, row groups."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from sdg_core.errors import ConfigError, PlanError
from sdg_core.plan.compile import compile_plan, config_fingerprint
from sdg_core.plan.dataset_plan import SeedInfo
from sdg_core.plan.load import LoadedDataset, load_dataset

SEED = SeedInfo(
    pa.schema([("sku", pa.string()), ("price", pa.float64()), ("stock", pa.int32())]),
    num_rows=4,
    digest="sha256:1",
)
TEXT = """\
num_records: 25
row_group_size: 10
columns:
- {column_type: llm-text, name: reply, prompt: "{{ label }}", model_alias: w}
- {column_type: sampler, name: kind, sampler_type: category, params: {values: [1, 2]}, drop: true}
- {column_type: sampler, name: mixed, sampler_type: category, params: {values: [1, 2.5]}}
- {column_type: sampler, name: word, sampler_type: category, params: {values: [a, b]}}
- {column_type: sampler, name: detail, sampler_type: subcategory, params: {category: word, values: {a: [1], b: [2]}}}
- {column_type: seed-dataset, name: price}
- {column_type: expression, name: label, expr: "{{ sku }} {{ kind }}"}
- {column_type: expression, name: count, expr: "{{ kind }}", dtype: int}
- {column_type: expression, name: ok, expr: "{{ reply }}", dtype: bool}
- {column_type: sampler, name: whole, sampler_type: uniform, params: {low: 0, high: 9}, convert_to: int}
- {column_type: sampler, name: real, sampler_type: gaussian, params: {mean: 0, stddev: 1}}
- {column_type: sampler, name: id, sampler_type: uuid}
- {column_type: sampler, name: at, sampler_type: datetime, params: {start: 2024-01-01, end: 2025-01-01}}
seed_config: {source: {path: x.csv}}
processors:
- {processor_type: drop_columns, name: tidy, column_names: ["st*", id]}
model_providers: [{name: p, provider_type: simulated}]
model_configs: [{alias: w, model: m, provider: p}, {alias: unused, model: m, provider: p}]
"""


def dataset(folder: Path, text: str = TEXT) -> LoadedDataset:
    path = folder / "x.yaml"
    path.write_text(text)
    return load_dataset(path, env={})


def test_the_schema_follows_the_config_with_unlisted_seed_columns_first(
    tmp_path: Path,
) -> None:
    plan = compile_plan(dataset(tmp_path), SEED)
    assert [(field.name, str(field.type)) for field in plan.schema] == [
        ("sku", "string"),
        ("stock", "int32"),
        ("reply", "string"),
        ("kind", "int64"),
        ("mixed", "double"),
        ("word", "string"),
        ("detail", "int64"),
        ("price", "double"),
        ("label", "string"),
        ("count", "int64"),
        ("ok", "bool"),
        ("whole", "int64"),
        ("real", "double"),
        ("id", "string"),
        ("at", "string"),
    ]


def test_dropped_columns_are_kept_apart(tmp_path: Path) -> None:
    plan = compile_plan(dataset(tmp_path), SEED)
    assert plan.dropped == {"kind", "stock", "id"}
    assert plan.dropped_schema.names == ["stock", "kind", "id"]
    assert {*plan.kept_schema.names} | plan.dropped == {*plan.schema.names}


def test_columns_are_ordered_by_what_they_read(tmp_path: Path) -> None:
    graph = compile_plan(dataset(tmp_path), SEED).graph
    assert graph.dependencies["label"] == ("kind", "sku")
    for name, reads in graph.dependencies.items():
        assert all(
            graph.order.index(other) < graph.order.index(name)
            for other in reads
            if other in graph.order
        )
    assert graph.per_record == {"reply", "ok"}
    assert graph.order[0] == "kind"  # the first in config order that reads nothing


def test_row_groups_and_models(tmp_path: Path) -> None:
    plan = compile_plan(dataset(tmp_path), SEED)
    assert [(group.key, group.start, group.size) for group in plan.row_groups] == [
        ("00000", 0, 10),
        ("00001", 10, 10),
        ("00002", 20, 5),
    ]
    assert plan.num_records == 25 and [*plan.models] == ["w"] and plan.simulated
    assert plan.column("label").column_type == "expression"


def test_another_number_of_records_is_the_same_dataset(tmp_path: Path) -> None:
    loaded = dataset(tmp_path)
    plan = compile_plan(loaded, SEED)
    more = replace(loaded, config=loaded.config.model_copy(update={"num_records": 31}))
    longer = compile_plan(more, SEED)
    assert (
        longer.fingerprint == plan.fingerprint
        and longer.num_records == longer.config.num_records == 31
    )
    none = replace(loaded, config=loaded.config.model_copy(update={"num_records": 0}))
    with pytest.raises(PlanError, match="at least 1 record"):
        compile_plan(none, SEED)


def test_the_config_fingerprint_is_known_before_the_seed_data(tmp_path: Path) -> None:
    loaded = dataset(tmp_path)
    plan = compile_plan(loaded, SEED)
    assert (
        config_fingerprint(loaded.config)
        == plan.fingerprint.config_fingerprint
        != plan.fingerprint.config_hash
    )
    assert {*plan.fingerprint.column_hashes} == {*plan.schema.names}


def test_a_seed_column_that_does_not_exist(tmp_path: Path) -> None:
    seed = SeedInfo(
        pa.schema(
            [("skus", pa.string()), ("price", pa.float64()), ("stock", pa.int32())]
        ),
        num_rows=4,
        digest="d",
    )
    with pytest.raises(
        ConfigError,
        match=r"line 10, columns\[6\]\.expr: unknown column 'sku'; did you mean 'skus'\?",
    ):
        compile_plan(dataset(tmp_path), seed)


def test_without_num_records_there_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="num_records is not set"):
        compile_plan(dataset(tmp_path, TEXT.replace("num_records: 25\n", "")), SEED)


def test_at_least_one_column_is_kept(tmp_path: Path) -> None:
    text = "num_records: 1\ncolumns:\n- {column_type: expression, name: a, expr: x, drop: true}\n"
    with pytest.raises(ConfigError, match="every column is dropped"):
        compile_plan(dataset(tmp_path, text), None)


def test_a_real_provider_is_not_simulated(tmp_path: Path) -> None:
    text = TEXT.replace("provider_type: simulated", "endpoint: 'http://x/v1'")
    assert not compile_plan(dataset(tmp_path, text), SEED).simulated
