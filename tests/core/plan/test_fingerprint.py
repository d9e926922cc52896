"""The fingerprint: which fields of a dataset file count, field by field, and that nothing else does.

`VERDICTS` lists every field that can be reached from DatasetConfig. Each verdict is checked by changing the field. A new field
without a verdict fails; so does any change that moves the golden value, which would orphan all existing data.
"""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from sdg_core.config.base import ConfigModel
from sdg_core.config.dataset import DatasetConfig
from sdg_core.plan.check import check_config
from sdg_core.plan.fingerprint import Fingerprint, canonical_json, compute_fingerprint, hashed_fields, version_name
from sdg_core.plan.graph import build_graph

Place = tuple[str | int, ...]
ABSENT = object()
SEED_COLUMNS = ("product", "price")
DIGEST = "sha256:" + "1" * 64
GOLDEN = "sha256:816af8011e7d19e3968708bdb57d81a3380d9ce00ee4edb36eb2145483254ee9"

BASE: dict[str, Any] = {
    "name": "base",
    "description": "words",
    "num_records": 10,
    "row_group_size": 5,
    "seed": 1,
    "columns": [
        {
            "column_type": "sampler",
            "name": "cat",
            "sampler_type": "category",
            "params": {"values": ["a", "b"], "weights": [1, 2]},
        },
        {
            "column_type": "sampler",
            "name": "sub",
            "sampler_type": "subcategory",
            "params": {"category": "cat", "values": {"a": ["x"], "b": ["y", "z"]}},
        },
        {"column_type": "sampler", "name": "uni", "sampler_type": "uniform", "params": {"low": 0, "high": 1}},
        {"column_type": "sampler", "name": "gau", "sampler_type": "gaussian", "params": {"mean": 0, "stddev": 1}},
        {"column_type": "sampler", "name": "uid", "sampler_type": "uuid", "params": {}},
        {
            "column_type": "sampler",
            "name": "day",
            "sampler_type": "datetime",
            "params": {"start": "2024-01-01", "end": "2025-01-01"},
        },
        {"column_type": "expression", "name": "exp", "expr": "{{ sub }} {{ price }}"},
        {
            "column_type": "llm-text",
            "name": "txt",
            "model_alias": "w",
            "prompt": "{{ exp }}",
            "system_prompt": "be {{ uid }}",
        },
        {"column_type": "seed-dataset", "name": "product"},
        {"column_type": "sampler", "name": "cat2", "sampler_type": "category", "params": {"values": ["a", "b"]}},
    ],
    "seed_config": {"source": {"path": "x.csv"}, "selection_strategy": {"start": 0, "end": 5}},
    "processors": [
        {"processor_type": "drop_columns", "name": "drop", "column_names": ["gau"]},
        {"processor_type": "schema_transform", "name": "chat", "template": {"m": "{{ txt }}"}},
    ],
    "model_providers": [{"name": "p", "endpoint": "http://x/v1"}, {"name": "p2", "endpoint": "http://y/v1"}],
    "model_configs": [{"alias": "w", "model": "m", "provider": "p"}, {"alias": "w2", "model": "m", "provider": "p"}],
    "run": {},
}
CAT, SUB, UNI, GAU, UID, DAY, EXP, TXT, SEED, CAT2 = (("columns", place) for place in range(10))
PROVIDER, MODEL = ("model_providers", 0), ("model_configs", 0)
INFERENCE: Place = (*MODEL, "inference_parameters")
BLOCK = {("seed_config", "selection_strategy"): {"index": 0, "num_partitions": 3}}


@dataclass(frozen=True)
class Verdict:
    """Whether a field counts, with a change that shows it. `before` prepares the config for the change."""

    counts: bool
    change: Mapping[Place, Any]
    before: Mapping[Place, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tag:
    """A field with a single possible value: it tells kinds apart, and is hashed or not."""

    counts: bool
    place: Place


def inside(place: Place, name: str, value: Any, **more: Any) -> Verdict:
    """A field that counts."""
    return Verdict(True, {(*place, name): value}, **more)


def outside(place: Place, name: str, value: Any, **more: Any) -> Verdict:
    """A field that does not count."""
    return Verdict(False, {(*place, name): value}, **more)


def sampler_column(place: Place) -> Place:
    return (*place, "params")


VERDICTS: dict[str, Verdict | Tag] = {
    "DatasetConfig.name": outside((), "name", "other"),
    "DatasetConfig.description": outside((), "description", None),
    "DatasetConfig.num_records": outside((), "num_records", 99),
    "DatasetConfig.row_group_size": outside((), "row_group_size", 7),
    "DatasetConfig.seed": inside((), "seed", 2),
    "DatasetConfig.columns": inside((), "columns", [*BASE["columns"][1:], BASE["columns"][0]]),
    "DatasetConfig.seed_config": inside((), "seed_config", {"source": {"path": "x.csv"}}),
    "DatasetConfig.processors": inside((), "processors", []),
    "DatasetConfig.model_providers": inside(PROVIDER, "extra_body", {"x": 1}),
    "DatasetConfig.model_configs": inside(MODEL, "model", "m2"),
    "DatasetConfig.run": outside((), "run", {"num_retries": 9}),
    "RunSettings.resume": outside(("run",), "resume", "never"),
    "RunSettings.num_retries": outside(("run",), "num_retries", 1),
    "RunSettings.max_failure_rate": outside(("run",), "max_failure_rate", 0.1),
    "RunSettings.max_missing_rate": outside(("run",), "max_missing_rate", 0.1),
    "RunSettings.stall_timeout": outside(("run",), "stall_timeout", 1.0),
    "SamplerColumn.name": inside(GAU, "name", "gau2", before={("processors",): []}),
    "SamplerColumn.drop": inside(UNI, "drop", True),
    "SamplerColumn.description": outside(UNI, "description", "x"),
    "SamplerColumn.column_type": Tag(True, UNI),
    "SamplerColumn.sampler_type": Verdict(True, {(*GAU, "sampler_type"): "uuid", (*GAU, "params"): {}}),
    "SamplerColumn.params": inside(GAU, "params", {"mean": 1, "stddev": 1}),
    "SamplerColumn.convert_to": inside(UNI, "convert_to", "str"),
    "CategoryParams.sampler_type": Tag(True, sampler_column(CAT)),
    "CategoryParams.values": inside(sampler_column(CAT2), "values", ["b", "a"]),
    "CategoryParams.weights": inside(sampler_column(CAT), "weights", [1, 3]),
    "SubcategoryParams.sampler_type": Tag(True, sampler_column(SUB)),
    "SubcategoryParams.category": inside(sampler_column(SUB), "category", "cat2"),
    "SubcategoryParams.values": inside(sampler_column(SUB), "values", {"a": ["x"], "b": ["z", "y"]}),
    "UniformParams.sampler_type": Tag(True, sampler_column(UNI)),
    "UniformParams.low": inside(sampler_column(UNI), "low", 0.5),
    "UniformParams.high": inside(sampler_column(UNI), "high", 2),
    "UniformParams.decimal_places": inside(sampler_column(UNI), "decimal_places", 2),
    "GaussianParams.sampler_type": Tag(True, sampler_column(GAU)),
    "GaussianParams.mean": inside(sampler_column(GAU), "mean", 1),
    "GaussianParams.stddev": inside(sampler_column(GAU), "stddev", 2),
    "GaussianParams.decimal_places": inside(sampler_column(GAU), "decimal_places", 2),
    "UuidParams.sampler_type": Tag(True, sampler_column(UID)),
    "UuidParams.prefix": inside(sampler_column(UID), "prefix", "id-"),
    "UuidParams.short_form": inside(sampler_column(UID), "short_form", True),
    "UuidParams.uppercase": inside(sampler_column(UID), "uppercase", True),
    "DatetimeParams.sampler_type": Tag(True, sampler_column(DAY)),
    "DatetimeParams.start": inside(sampler_column(DAY), "start", "2024-01-02"),
    "DatetimeParams.end": inside(sampler_column(DAY), "end", "2025-01-02"),
    "DatetimeParams.unit": inside(sampler_column(DAY), "unit", "h"),
    "ExpressionColumn.name": Verdict(True, {(*EXP, "name"): "exp2", (*TXT, "prompt"): "{{ exp2 }}"}),
    "ExpressionColumn.drop": inside(EXP, "drop", True),
    "ExpressionColumn.description": outside(EXP, "description", "x"),
    "ExpressionColumn.column_type": Tag(True, EXP),
    "ExpressionColumn.expr": inside(EXP, "expr", "{{ sub }}"),
    "ExpressionColumn.dtype": inside(EXP, "dtype", "int"),
    "LlmTextColumn.name": Verdict(True, {(*TXT, "name"): "txt2"}, {("processors",): []}),
    "LlmTextColumn.drop": inside(TXT, "drop", True),
    "LlmTextColumn.description": outside(TXT, "description", "x"),
    "LlmTextColumn.column_type": Tag(True, TXT),
    "LlmTextColumn.prompt": inside(TXT, "prompt", "{{ exp }}!"),
    "LlmTextColumn.model_alias": inside(TXT, "model_alias", "w2"),
    "LlmTextColumn.system_prompt": inside(TXT, "system_prompt", "be"),
    "SeedColumn.name": inside(SEED, "name", "price"),
    "SeedColumn.drop": inside(SEED, "drop", True),
    "SeedColumn.description": outside(SEED, "description", "x"),
    "SeedColumn.column_type": Tag(True, SEED),
    "SeedConfig.source": outside(("seed_config",), "source", {"path": "elsewhere/y.csv"}),
    "SeedConfig.sampling_strategy": inside(("seed_config",), "sampling_strategy", "shuffle"),
    "SeedConfig.selection_strategy": inside(("seed_config",), "selection_strategy", None),
    "LocalSeedSource.seed_type": Tag(True, ("seed_config", "source")),
    "LocalSeedSource.path": outside(("seed_config", "source"), "path", "y.csv"),
    "LocalSeedSource.upstream_asset": outside(("seed_config", "source"), "upstream_asset", "a/b"),
    "IndexRange.start": inside(("seed_config", "selection_strategy"), "start", 1),
    "IndexRange.end": inside(("seed_config", "selection_strategy"), "end", 4),
    "PartitionBlock.index": inside(("seed_config", "selection_strategy"), "index", 1, before=BLOCK),
    "PartitionBlock.num_partitions": inside(("seed_config", "selection_strategy"), "num_partitions", 4, before=BLOCK),
    "DropColumnsProcessor.processor_type": Tag(True, ("processors", 0)),
    "DropColumnsProcessor.name": outside(("processors", 0), "name", "other"),
    "DropColumnsProcessor.column_names": inside(("processors", 0), "column_names", ["uni"]),
    "SchemaTransformProcessor.processor_type": Tag(False, ("processors", 1)),
    "SchemaTransformProcessor.name": outside(("processors", 1), "name", "other"),
    "SchemaTransformProcessor.template": outside(("processors", 1), "template", {"n": "{{ exp }}"}),
    "ModelProvider.name": Verdict(
        True, {(*PROVIDER, "name"): "q", (*MODEL, "provider"): "q", ("model_configs", 1, "provider"): "q"}
    ),
    "ModelProvider.provider_type": inside(PROVIDER, "provider_type", "simulated"),
    "ModelProvider.endpoint": outside(PROVIDER, "endpoint", "https://z/v1"),
    "ModelProvider.endpoint_env": outside(PROVIDER, "endpoint_env", "URL"),
    "ModelProvider.api_key": outside(PROVIDER, "api_key", "KEY"),
    "ModelProvider.extra_body": inside(PROVIDER, "extra_body", {"a": {"b": 1}}),
    "ModelProvider.extra_headers": outside(PROVIDER, "extra_headers", {"X-Team": "a"}),
    "ModelProvider.simulation": outside(PROVIDER, "simulation", {"latency": 0.5}),
    "Simulation.latency": outside(
        (*PROVIDER, "simulation"), "latency", 0.5, before={(*PROVIDER, "provider_type"): "simulated"}
    ),
    "ModelConfig.alias": Verdict(True, {(*MODEL, "alias"): "v", (*TXT, "model_alias"): "v"}),
    "ModelConfig.model": inside(MODEL, "model", "m2"),
    "ModelConfig.provider": inside(MODEL, "provider", "p2"),
    "ModelConfig.model_env": outside(MODEL, "model_env", "MODEL"),
    "ModelConfig.inference_parameters": inside(MODEL, "inference_parameters", {"temperature": 0.5}),
    "ModelConfig.skip_health_check": outside(MODEL, "skip_health_check", True),
    "InferenceParameters.generation_type": Tag(False, INFERENCE),
    "InferenceParameters.temperature": inside(INFERENCE, "temperature", 0.5),
    "InferenceParameters.top_p": inside(INFERENCE, "top_p", 0.5),
    "InferenceParameters.max_tokens": inside(INFERENCE, "max_tokens", 5),
    "InferenceParameters.max_parallel_requests": outside(INFERENCE, "max_parallel_requests", 5),
    "InferenceParameters.timeout": outside(INFERENCE, "timeout", 5.0),
    "InferenceParameters.extra_body": inside(INFERENCE, "extra_body", {"a": 1}),
}


def changed(raw: dict[str, Any], changes: Mapping[Place, Any]) -> dict[str, Any]:
    """A copy of `raw` with values set (or removed) at places, mappings made on the way."""
    raw = copy.deepcopy(raw)
    for place, value in changes.items():
        target: Any = raw
        for part in place[:-1]:
            target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
        if value is ABSENT:
            target.pop(place[-1], None)
        else:
            target[place[-1]] = value
    return raw


def fingerprint(raw: dict[str, Any], *, seed_digest: str | None = DIGEST) -> Fingerprint:
    config = DatasetConfig.model_validate(raw)
    problems = check_config(config, seed_columns=SEED_COLUMNS)
    assert problems == []
    columns = SEED_COLUMNS if seed_digest else ()
    return compute_fingerprint(config, build_graph(config), seed_columns=columns, seed_digest=seed_digest)


def fields_of(root: type[BaseModel]) -> dict[str, Any]:
    """`Model.field` to annotation, for every model that can be reached from `root`."""
    found: dict[str, Any] = {}
    seen: set[type[BaseModel]] = set()
    todo: list[Any] = [root]
    while todo:
        item = todo.pop()
        if isinstance(item, type) and issubclass(item, BaseModel):
            if item not in seen:
                seen.add(item)
                annotations = {f"{item.__name__}.{name}": info.annotation for name, info in item.model_fields.items()}
                found |= annotations
                todo.extend(annotations.values())
        else:
            todo.extend(get_args(item))
    return found


def test_every_field_has_a_verdict() -> None:
    assert fields_of(DatasetConfig).keys() == VERDICTS.keys()


def test_a_new_field_without_a_verdict_would_be_found() -> None:
    class Extended(DatasetConfig):
        surprise: int = 0

    Extended.__name__ = "DatasetConfig"
    assert fields_of(Extended).keys() - VERDICTS.keys() == {"DatasetConfig.surprise"}


@pytest.mark.parametrize("name", [name for name, verdict in VERDICTS.items() if isinstance(verdict, Verdict)])
def test_a_field_counts_or_not(name: str) -> None:
    verdict = VERDICTS[name]
    assert isinstance(verdict, Verdict)
    before, after = changed(BASE, verdict.before), changed(changed(BASE, verdict.before), verdict.change)
    assert DatasetConfig.model_validate(before) != DatasetConfig.model_validate(after), "the change changes nothing"
    old, new = fingerprint(before), fingerprint(after)
    assert (old.config_hash != new.config_hash) is verdict.counts
    assert (old.config_part != new.config_part) is verdict.counts
    if not verdict.counts:
        assert old == new


@pytest.mark.parametrize("name", [name for name, verdict in VERDICTS.items() if isinstance(verdict, Tag)])
def test_a_tag_is_hashed_or_not(name: str) -> None:
    verdict = VERDICTS[name]
    assert isinstance(verdict, Tag)
    annotation = fields_of(DatasetConfig)[name]
    assert get_origin(annotation) is Literal and len(get_args(annotation)) == 1
    model: Any = DatasetConfig.model_validate(BASE)
    for part in verdict.place:
        model = model[part] if isinstance(part, int) else getattr(model, part)
    assert isinstance(model, ConfigModel) and type(model).__name__ == name.partition(".")[0]
    assert (name.partition(".")[2] in hashed_fields(model)) is verdict.counts


def test_the_golden_value_has_not_moved() -> None:
    assert fingerprint(BASE).config_hash == GOLDEN, (
        "existing data would be orphaned: raise CONFIG_HASH_VERSION knowingly"
    )


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_another_process_finds_the_same(hash_seed: str) -> None:
    script = (
        "import json, sys; from sdg_core.config.dataset import DatasetConfig; from sdg_core.plan.graph import build_graph\n"
        "from sdg_core.plan.fingerprint import compute_fingerprint\n"
        "raw, columns, digest = json.load(sys.stdin); config = DatasetConfig.model_validate(raw)\n"
        "f = compute_fingerprint(config, build_graph(config), seed_columns=tuple(columns), seed_digest=digest)\n"
        "print(json.dumps([f.config_hash, f.config_part, dict(f.column_hashes)]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    text = json.dumps([BASE, SEED_COLUMNS, DIGEST])
    done = subprocess.run(
        [sys.executable, "-c", script], input=text, env=env, check=True, capture_output=True, text=True
    )
    ours = fingerprint(BASE)
    assert json.loads(done.stdout) == [ours.config_hash, ours.config_part, dict(ours.column_hashes)]


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ((*CAT2, "params", "weights"), [None]),
        ((*TXT, "description"), [None]),
        ((*UNI, "convert_to"), [None]),
        ((*UNI, "params", "decimal_places"), [None]),
        ((*PROVIDER, "extra_body"), [None, {}]),
        ((*INFERENCE, "extra_body"), [None, {}]),
        ((*MODEL, "inference_parameters"), [{}]),
        ((*PROVIDER, "simulation"), [{}]),
        (("run",), [{}]),
    ],
)
def test_absent_null_and_empty_are_the_same(place: Place, values: list[Any]) -> None:
    absent = fingerprint(changed(BASE, {place: ABSENT}))
    assert all(fingerprint(changed(BASE, {place: value})) == absent for value in values)


def test_no_processors_and_an_empty_list_of_them_are_the_same() -> None:
    assert fingerprint(changed(BASE, {("processors",): []})) == fingerprint(changed(BASE, {("processors",): ABSENT}))


def test_spelling_out_a_default_changes_nothing() -> None:
    spelt = DatasetConfig.model_validate(BASE).model_dump()
    assert fingerprint(spelt) == fingerprint(BASE)


def test_whole_and_real_numbers_are_the_same_where_the_value_is_real() -> None:
    assert fingerprint(changed(BASE, {(*UNI, "params", "low"): 0.0})) == fingerprint(BASE)


def test_keys_of_mappings_have_no_order() -> None:
    reordered = {key: BASE[key] for key in reversed(BASE)}
    reordered = changed(reordered, {(*SUB, "params", "values"): {"b": ["y", "z"], "a": ["x"]}})
    assert fingerprint(reordered) == fingerprint(BASE)


def test_models_that_no_column_uses_do_not_count() -> None:
    unused = {("model_configs", 1, "model"): "other", ("model_providers", 1, "extra_body"): {"a": 1}}
    assert fingerprint(changed(BASE, unused)) == fingerprint(BASE)


def moved(changes: Mapping[Place, Any]) -> set[str]:
    """Columns whose fingerprint a change moves."""
    old, new = fingerprint(BASE).column_hashes, fingerprint(changed(BASE, changes)).column_hashes
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({(*CAT, "params", "weights"): [1, 9]}, {"cat", "sub", "exp", "txt"}),
        ({(*SUB, "params", "values"): {"a": ["q"], "b": ["y"]}}, {"sub", "exp", "txt"}),
        ({(*UID, "params", "prefix"): "p"}, {"uid", "txt"}),
        ({(*GAU, "params", "mean"): 4}, {"gau"}),
        ({(*TXT, "prompt"): "{{ exp }}?"}, {"txt"}),
        ({(*MODEL, "model"): "m2"}, {"txt"}),
        ({(*CAT, "drop"): True}, set()),
        ({("seed",): 5}, {"cat", "sub", "uni", "gau", "uid", "day", "cat2", "exp", "txt"}),
        ({("seed_config", "selection_strategy", "end"): 3}, {"product", "price", "exp", "txt"}),
        ({("processors",): []}, set()),
    ],
)
def test_a_change_moves_a_column_and_its_dependants_only(changes: Mapping[Place, Any], columns: set[str]) -> None:
    assert moved(changes) == columns


def test_the_order_of_columns_moves_the_dataset_but_no_column() -> None:
    columns = [*BASE["columns"][1:], BASE["columns"][0]]
    assert moved({("columns",): columns}) == set()


def test_the_seed_moves_replies_of_the_simulated_provider_only() -> None:
    free = changed(BASE, {(*TXT, "prompt"): "hi", (*TXT, "system_prompt"): ABSENT})
    simulated = changed(free, {(*PROVIDER, "provider_type"): "simulated"})
    for raw, moves in ((free, False), (simulated, True)):
        old, new = fingerprint(raw), fingerprint(changed(raw, {("seed",): 2}))
        assert (old.column_hashes["txt"] != new.column_hashes["txt"]) is moves


def test_seed_content_moves_the_whole_but_not_the_config_part() -> None:
    old, new = fingerprint(BASE), fingerprint(BASE, seed_digest="sha256:" + "2" * 64)
    assert old.config_hash != new.config_hash and old.config_part == new.config_part
    moved_columns = {name for name in old.column_hashes if old.column_hashes[name] != new.column_hashes[name]}
    assert moved_columns == {"product", "price", "exp", "txt"}


def test_the_config_part_needs_no_seed_data() -> None:
    assert fingerprint(BASE, seed_digest=None).config_part == fingerprint(BASE).config_part
    assert fingerprint(BASE, seed_digest=None).config_hash == fingerprint(BASE).config_part


def test_every_column_has_its_own_fingerprint() -> None:
    hashes = fingerprint(BASE).column_hashes
    assert {*hashes} == {column["name"] for column in BASE["columns"]} | {*SEED_COLUMNS}
    assert len({*hashes.values()}) == len(hashes)


def test_the_version_is_the_first_twelve_digits() -> None:
    assert version_name("sha256:0123456789abcdef") == "0123456789ab"
    assert fingerprint(BASE).version == fingerprint(BASE).config_hash[7:19]


def test_canonical_json_is_one_text_per_value() -> None:
    assert (
        canonical_json({"b": [1, 1.5, "é", None], "a": {"d": True, "c": ""}})
        == '{"a":{"c":"","d":true},"b":[1,1.5,"é",null]}'
    )
