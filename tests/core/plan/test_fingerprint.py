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
from pydantic import BaseModel, ValidationError

from sdg_core.config.base import ConfigModel
from sdg_core.config.dataset import DatasetConfig
from sdg_core.plan.checks.config import check_config
from sdg_core.plan.fingerprint import Fingerprint, compute_fingerprint, version_name
from sdg_core.plan.graph import build_graph
from sdg_core.plan.hashed_fields import canonical_json, hashed_fields

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
        {
            "column_type": "sampler",
            "name": "uni",
            "sampler_type": "uniform",
            "params": {"low": 0, "high": 1},
        },
        {
            "column_type": "sampler",
            "name": "gau",
            "sampler_type": "gaussian",
            "params": {"mean": 0, "stddev": 1},
        },
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
        {
            "column_type": "sampler",
            "name": "cat2",
            "sampler_type": "category",
            "params": {"values": ["a", "b"]},
        },
    ],
    "seed_config": {
        "source": {"path": "x.csv"},
        "selection_strategy": {"start": 0, "end": 5},
    },
    "processors": [
        {"processor_type": "drop_columns", "name": "drop", "column_names": ["gau"]},
        {
            "processor_type": "schema_transform",
            "name": "chat",
            "template": {"m": "{{ txt }}"},
        },
    ],
    "model_providers": [
        {"name": "p", "endpoint": "http://x/v1"},
        {"name": "p2", "endpoint": "http://y/v1"},
    ],
    "model_configs": [
        {"alias": "w", "model": "m", "provider": "p"},
        {"alias": "w2", "model": "m", "provider": "p"},
    ],
    "run": {},
}
CAT, SUB, UNI, GAU, UID, DAY, EXP, TXT, SEED, CAT2 = (
    ("columns", place) for place in range(10)
)
PROVIDER, MODEL = ("model_providers", 0), ("model_configs", 0)
INFERENCE: Place = (*MODEL, "inference_parameters")
BLOCK = {("seed_config", "selection_strategy"): {"index": 0, "num_partitions": 3}}
SOURCE: Place = ("seed_config", "source")
DIRECTORY = {SOURCE: {"seed_type": "directory", "path": "d"}}
CONTENTS = {SOURCE: {"seed_type": "file_contents", "path": "d"}}
ROLLOUTS = {SOURCE: {"seed_type": "agent_rollout", "path": "d", "format": "codex"}}
SQL = {
    SOURCE: {
        "seed_type": "sql",
        "url": "sqlite:///x.db",
        "query": "SELECT a FROM t ORDER BY a",
    }
}
HUB = {SOURCE: {"seed_type": "hf", "path": "datasets/u/d/x.parquet"}}
DATASET = {SOURCE: {"seed_type": "dataset", "dataset": "other"}}
CUSTOM = {SOURCE: {"seed_type": "custom", "reader": "m:Reader"}}
SIMULATION: Place = (*PROVIDER, "simulation")
SIMULATED = {
    (*PROVIDER, "provider_type"): "simulated",
    SIMULATION: {"latency": {"mean": 0.5}},
}
SELECTS = {("select",): {"keep": "{{ uni > 1 }}"}}
SELECTS_BEST = {("select",): {"otherwise": "best", "best": "uni"}}
EMBEDS = {INFERENCE: {"generation_type": "embedding"}}
AT_HOME = {(*PROVIDER, "endpoint"): "http://127.0.0.1:9/v1"}
SERVE: Place = (*PROVIDER, "serve")
SERVED = {**AT_HOME, SERVE: {"command": ["s"]}}
OWN_CLIENT = {(*PROVIDER, "provider_type"): "custom", (*PROVIDER, "client"): "m:Client"}
COMMAND = {"name": "s", "provider_type": "stdio", "command": "serve"}
TOOLS = {"tool_alias": "t", "providers": ["s"]}
FAKE = {
    UID: {
        "column_type": "sampler",
        "name": "uid",
        "sampler_type": "person_from_faker",
        "params": {},
    }
}
PERSON = {
    UID: {
        "column_type": "sampler",
        "name": "uid",
        "sampler_type": "person",
        "params": {},
    }
}


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
    before: Mapping[Place, Any] = field(default_factory=dict)


def inside(place: Place, name: str, value: Any, **more: Any) -> Verdict:
    """A field that counts."""
    return Verdict(True, {(*place, name): value}, **more)


def outside(place: Place, name: str, value: Any, **more: Any) -> Verdict:
    """A field that does not count."""
    return Verdict(False, {(*place, name): value}, **more)


def sampler_column(place: Place) -> Place:
    return (*place, "params")


SKIPPED = {(*EXP, "skip"): {"when": "{{ sub }}"}}
OWN = ("columns", len(BASE["columns"]))


def with_column(column: dict[str, Any]) -> dict[Place, Any]:
    """A change that adds a column at the end, at `OWN`."""
    return {("columns",): [*BASE["columns"], {"name": "own", **column}]}


def with_sampler(kind: str, **params: Any) -> dict[Place, Any]:
    return with_column(
        {"column_type": "sampler", "sampler_type": kind, "params": params}
    )


DRAWN: Place = (*OWN, "params")
BERNOULLI, BINOMIAL, POISSON = (
    with_sampler("bernoulli", p=0.5),
    with_sampler("binomial", n=5, p=0.5),
    with_sampler("poisson", mean=3),
)
MIXTURE = with_sampler(
    "bernoulli_mixture", p=0.5, dist_name="norm", dist_params={"loc": 1}
)
SCIPY = with_sampler("scipy", dist_name="norm", dist_params={"loc": 1})
TIMEDELTA = with_sampler("timedelta", dt_min=1, dt_max=5, reference_column_name="day")
SCALAR = {("constraints",): [{"target_column": "uni", "operator": "lt", "rhs": 0.5}]}
PAIR = {("constraints",): [{"target_column": "uni", "operator": "lt", "rhs": "gau"}]}
LIMIT: Place = ("constraints", 0)


def with_validator(kind: str, **params: Any) -> dict[Place, Any]:
    target = {
        "column_type": "validation",
        "target_columns": ["exp"],
        "validator_type": kind,
    }
    return with_column({**target, "validator_params": params})


CUSTOM_COLUMN = with_column(
    {"column_type": "custom", "generator_function": "m:f", "source_hash": "sha256:1"}
)
WHOLE = with_column(
    {
        "column_type": "custom",
        "generator_function": "m:f",
        "generation_strategy": "full_column",
    }
)
SIDED = with_column(
    {
        "column_type": "custom",
        "generator_function": "m:f",
        "side_effect_columns": ["side"],
    }
)
REGEX = with_validator("regex", pattern="x")
CODE = with_validator("code", code_lang="python")
SCHEMA = with_validator("json_schema", json_schema={"type": "object"})
CALLABLE = with_validator("local_callable", validation_function="m:f")
REMOTE = with_validator("remote", endpoint_url="http://x/")
PARAMS: Place = (*OWN, "validator_params")
OPEN_VERDICT = {"type": "object", "properties": {"score": {"type": "number"}}}

SKIP_VERDICTS: dict[str, Any] = {
    f"{kind}.{name}": inside(place, name, value, before=before)
    for kind, place, before in (
        ("ExpressionColumn", EXP, {}),
        ("LlmTextColumn", TXT, {}),
        ("CustomColumn", OWN, CUSTOM_COLUMN),
        ("ValidationColumn", OWN, REGEX),
    )
    for name, value in (("skip", {"when": "{{ sub }}"}), ("propagate_skip", False))
}
FUNCTION_VERDICTS: dict[str, Any] = {
    "SkipConfig.when": inside((*EXP, "skip"), "when", "{{ uid }}", before=SKIPPED),
    "SkipConfig.value": inside((*EXP, "skip"), "value", "", before=SKIPPED),
    "CustomColumn.name": inside(OWN, "name", "other", before=CUSTOM_COLUMN),
    "CustomColumn.drop": inside(OWN, "drop", True, before=CUSTOM_COLUMN),
    "CustomColumn.description": outside(OWN, "description", "x", before=CUSTOM_COLUMN),
    "CustomColumn.column_type": Tag(True, OWN, CUSTOM_COLUMN),
    "CustomColumn.generator_function": inside(
        OWN, "generator_function", "m:g", before=CUSTOM_COLUMN
    ),
    "CustomColumn.generation_strategy": inside(
        OWN, "generation_strategy", "full_column", before=CUSTOM_COLUMN
    ),
    "CustomColumn.generator_params": inside(
        OWN, "generator_params", {"a": 1}, before=CUSTOM_COLUMN
    ),
    "CustomColumn.required_columns": inside(
        OWN, "required_columns", ["exp"], before=CUSTOM_COLUMN
    ),
    "CustomColumn.side_effect_columns": inside(
        OWN, "side_effect_columns", ["side"], before=CUSTOM_COLUMN
    ),
    "CustomColumn.side_effect_types": inside(
        OWN, "side_effect_types", {"side": "int"}, before=SIDED
    ),
    "CustomColumn.model_aliases": inside(
        OWN, "model_aliases", ["w"], before=CUSTOM_COLUMN
    ),
    "CustomColumn.output_type": inside(OWN, "output_type", "int", before=CUSTOM_COLUMN),
    "CustomColumn.allow_resize": inside(OWN, "allow_resize", True, before=WHOLE),
    "CustomColumn.version": inside(OWN, "version", "2", before=CUSTOM_COLUMN),
    "CustomColumn.source_hash": inside(
        OWN, "source_hash", "sha256:2", before=CUSTOM_COLUMN
    ),
    "ValidationColumn.name": inside(OWN, "name", "other", before=REGEX),
    "ValidationColumn.drop": inside(OWN, "drop", True, before=REGEX),
    "ValidationColumn.description": outside(OWN, "description", "x", before=REGEX),
    "ValidationColumn.column_type": Tag(True, OWN, REGEX),
    "ValidationColumn.target_columns": inside(
        OWN, "target_columns", ["exp", "uid"], before=REGEX
    ),
    "ValidationColumn.validator_type": Verdict(
        True,
        {(*OWN, "validator_type"): "code", PARAMS: {"code_lang": "python"}},
        before=REGEX,
    ),
    "ValidationColumn.validator_params": inside(
        OWN, "validator_params", {"pattern": "y"}, before=REGEX
    ),
    "ValidationColumn.batch_size": outside(OWN, "batch_size", 3, before=REGEX),
    "CodeParams.validator_type": Tag(True, PARAMS, CODE),
    "CodeParams.code_lang": inside(PARAMS, "code_lang", "sql:ansi", before=CODE),
    "RegexParams.validator_type": Tag(True, PARAMS, REGEX),
    "RegexParams.pattern": inside(PARAMS, "pattern", "y", before=REGEX),
    "RegexParams.full_match": inside(PARAMS, "full_match", True, before=REGEX),
    "JsonSchemaParams.validator_type": Tag(True, PARAMS, SCHEMA),
    "JsonSchemaParams.json_schema": inside(
        PARAMS, "json_schema", {"type": "array"}, before=SCHEMA
    ),
    "LocalCallableParams.validator_type": Tag(True, PARAMS, CALLABLE),
    "LocalCallableParams.validation_function": inside(
        PARAMS, "validation_function", "m:g", before=CALLABLE
    ),
    "LocalCallableParams.output_schema": inside(
        PARAMS, "output_schema", OPEN_VERDICT, before=CALLABLE
    ),
    "LocalCallableParams.version": inside(PARAMS, "version", 2, before=CALLABLE),
    "LocalCallableParams.source_hash": inside(
        PARAMS, "source_hash", "sha256:2", before=CALLABLE
    ),
    "RemoteParams.validator_type": Tag(True, PARAMS, REMOTE),
    "RemoteParams.endpoint_url": inside(
        PARAMS, "endpoint_url", "http://y/", before=REMOTE
    ),
    "RemoteParams.output_schema": inside(
        PARAMS, "output_schema", OPEN_VERDICT, before=REMOTE
    ),
    "RemoteParams.timeout": outside(PARAMS, "timeout", 5.0, before=REMOTE),
    "RemoteParams.max_retries": outside(PARAMS, "max_retries", 1, before=REMOTE),
    "RemoteParams.retry_backoff": outside(PARAMS, "retry_backoff", 0.5, before=REMOTE),
    "RemoteParams.max_parallel_requests": outside(
        PARAMS, "max_parallel_requests", 9, before=REMOTE
    ),
}


def row_processor_verdicts() -> dict[str, Verdict | Tag]:
    """Processors that remove records: what they are asked for changes no record."""
    place: Place = ("processors", 0)
    words = {"rule": "words", "at_least": 1, "at_most": 9}
    ngrams = {"rule": "repeated_ngrams", "at_most": 0.2, "n": 3}
    language = {"rule": "language", "at_least": 0.5, "language": "en"}
    evaluation = {"source": {"path": "e.csv"}, "columns": ["a"]}

    def judged(rule: dict[str, Any]) -> dict[str, Any]:
        return {
            "processor_type": "filter",
            "name": "f",
            "column": "exp",
            "quality": [rule],
        }

    keeps = {"processor_type": "filter", "name": "f", "keep": "{{ exp }}"}
    same = {
        "processor_type": "deduplicate",
        "name": "d",
        "method": "minhash",
        "columns": ["exp"],
    }
    best = {**same, "keep": "best", "score": "uni"}
    leaks = {
        "processor_type": "decontaminate",
        "name": "c",
        "columns": ["exp"],
        "evaluation_sets": [evaluation],
    }
    changes = {
        "FilterProcessor.name": (keeps, "name", "g"),
        "FilterProcessor.keep": (keeps, "keep", "{{ uni }}"),
        "FilterProcessor.column": (judged(words), "column", "txt"),
        "FilterProcessor.quality": (judged(words), "quality", [ngrams]),
        "QualityBounds.rule": (
            judged(words),
            "quality",
            [{**words, "rule": "mean_word_length"}],
        ),
        "QualityBounds.at_least": (
            judged(words),
            "quality",
            [{**words, "at_least": 2}],
        ),
        "QualityBounds.at_most": (judged(words), "quality", [{**words, "at_most": 8}]),
        "QualityBounds.n": (judged(ngrams), "quality", [{**ngrams, "n": 4}]),
        "QualityBounds.language": (
            judged(language),
            "quality",
            [{**language, "language": "de"}],
        ),
        "DeduplicateProcessor.name": (same, "name", "e"),
        "DeduplicateProcessor.method": (same, "method", "exact"),
        "DeduplicateProcessor.columns": (same, "columns", ["txt"]),
        "DeduplicateProcessor.threshold": (same, "threshold", 0.9),
        "DeduplicateProcessor.keep": (same, "keep", "last"),
        "DeduplicateProcessor.score": (best, "score", "gau"),
        "DecontaminateProcessor.name": (leaks, "name", "e"),
        "DecontaminateProcessor.columns": (leaks, "columns", ["txt"]),
        "DecontaminateProcessor.evaluation_sets": (
            leaks,
            "evaluation_sets",
            [evaluation, evaluation],
        ),
        "DecontaminateProcessor.n": (leaks, "n", 8),
        "DecontaminateProcessor.threshold": (leaks, "threshold", 0.5),
        "EvaluationSet.source": (
            leaks,
            "evaluation_sets",
            [{**evaluation, "source": {"path": "f.csv"}}],
        ),
        "EvaluationSet.columns": (
            leaks,
            "evaluation_sets",
            [{**evaluation, "columns": ["b"]}],
        ),
    }
    verdicts: dict[str, Verdict | Tag] = {
        name: outside(place, field, value, before={place: processor})
        for name, (processor, field, value) in changes.items()
    }
    tags = {
        "FilterProcessor": keeps,
        "DeduplicateProcessor": same,
        "DecontaminateProcessor": leaks,
    }
    for name, processor in tags.items():
        verdicts[f"{name}.processor_type"] = Tag(False, place, {place: processor})
    return verdicts


def model_column_verdicts() -> dict[str, Verdict | Tag]:
    """The fields of columns that models answer, and of what is inside them."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    }
    score = {"name": "s", "description": "d", "options": {"x": "1", "y": "2"}}
    media = [{"modality": "image", "column_name": "uid"}]
    chat = {"name": "txt", "model_alias": "w", "prompt": "{{ exp }}"}
    kinds: dict[str, dict[str, Any]] = {
        "LlmTextColumn": {**chat, "column_type": "llm-text"},
        "LlmCodeColumn": {**chat, "column_type": "llm-code", "code_lang": "python"},
        "LlmStructuredColumn": {
            **chat,
            "column_type": "llm-structured",
            "output_format": schema,
        },
        "LlmJudgeColumn": {**chat, "column_type": "llm-judge", "scores": [score]},
        "EmbeddingColumn": {
            "name": "txt",
            "model_alias": "w",
            "column_type": "embedding",
            "target_column": "exp",
        },
        "ImageColumn": {**chat, "column_type": "image"},
    }
    changes: dict[str, Any] = {
        "drop": True,
        "model_alias": "w2",
        "prompt": "{{ exp }}!",
        "system_prompt": "be",
        "multi_modal_context": media,
        "tool_alias": "t",
        "with_trace": "last_message",
        "extract_reasoning_content": True,
        "on_truncated": "keep",
        "code_lang": "go",
        "output_format": {"type": "object", "properties": {"c": {"type": "string"}}},
        "open_values": "text",
        "scores": [score, {**score, "name": "t"}],
        "target_column": "uid",
        "propagate_skip": False,
        "skip": {"when": "{{ uid }}"},
    }
    alone = {("processors",): []}
    found: dict[str, Verdict | Tag] = {}
    for kind, column in kinds.items():
        before = {
            TXT: column,
            **alone,
            ("mcp_providers",): [COMMAND],
            ("tool_configs",): [TOOLS],
        }
        fields = {
            "LlmTextColumn": [
                "multi_modal_context",
                "tool_alias",
                "with_trace",
                "extract_reasoning_content",
                "on_truncated",
            ]
        }.get(kind, [*({**column, "drop": 0, "skip": 0, "propagate_skip": 0})])
        if kind.startswith("Llm") and kind != "LlmTextColumn":
            fields += [
                "system_prompt",
                "multi_modal_context",
                "tool_alias",
                "with_trace",
                "extract_reasoning_content",
                "on_truncated",
            ]
        if kind == "LlmStructuredColumn":
            fields += ["open_values"]
        if kind == "ImageColumn":
            fields += ["multi_modal_context"]
        for name in fields:
            if name in changes:
                found[f"{kind}.{name}"] = inside(
                    TXT, name, changes[name], before=before
                )
        if kind != "LlmTextColumn":
            found[f"{kind}.name"] = inside(TXT, "name", "other", before=before)
            found[f"{kind}.description"] = outside(
                TXT, "description", "x", before=before
            )
            found[f"{kind}.column_type"] = Tag(True, TXT, before)
    judge: Mapping[Place, Any] = {TXT: kinds["LlmJudgeColumn"], **alone}
    for name, value in {
        "name": "t",
        "description": "e",
        "options": {"x": "1", "z": "2"},
    }.items():
        found[f"Score.{name}"] = inside((*TXT, "scores", 0), name, value, before=judge)
    for kind, modality, value in (
        ("Image", "image", "png"),
        ("Audio", "audio", "mp3"),
        ("Video", "video", "mp4"),
    ):
        place = (*TXT, "multi_modal_context", 0)
        here = {
            (*TXT, "multi_modal_context"): [
                {"modality": modality, "column_name": "uid"}
            ]
        }
        found[f"{kind}Context.modality"] = Tag(True, place, here)
        found[f"{kind}Context.column_name"] = inside(
            place, "column_name", "exp", before=here
        )
        found[f"{kind}Context.data_type"] = inside(
            place, "data_type", "url", before=here
        )
        found[f"{kind}Context.{modality}_format"] = inside(
            place, f"{modality}_format", value, before=here
        )
    return found | drawn_and_priced_verdicts()


def drawn_and_priced_verdicts() -> dict[str, Verdict | Tag]:
    heat, price = (*INFERENCE, "temperature"), (*MODEL, "prices")
    uniform = {
        heat: {"distribution_type": "uniform", "params": {"low": 0.1, "high": 0.9}}
    }
    manual = {
        heat: {
            "distribution_type": "manual",
            "params": {"values": [0.1, 0.9], "weights": [1, 2]},
        }
    }
    prices = {price: {"prompt_tokens": 1.0}}
    found: dict[str, Verdict | Tag] = {
        "UniformDistribution.distribution_type": Tag(True, heat, uniform),
        "UniformDistribution.params": inside(
            heat, "params", {"low": 0.2, "high": 0.3}, before=uniform
        ),
        "UniformRange.low": inside((*heat, "params"), "low", 0.2, before=uniform),
        "UniformRange.high": inside((*heat, "params"), "high", 0.8, before=uniform),
        "ManualDistribution.distribution_type": Tag(True, heat, manual),
        "ManualDistribution.params": inside(
            heat, "params", {"values": [0.2]}, before=manual
        ),
        "ManualChoice.values": inside(
            (*heat, "params"), "values", [0.2, 0.9], before=manual
        ),
        "ManualChoice.weights": inside(
            (*heat, "params"), "weights", [1, 3], before=manual
        ),
        "ModelConfig.prices": outside(MODEL, "prices", {"images": 1.0}, before=prices),
        "RunSettings.max_conversation_correction_steps": outside(
            ("run",), "max_conversation_correction_steps", 9
        ),
        "RunSettings.max_conversation_restarts": outside(
            ("run",), "max_conversation_restarts", 9
        ),
        "RunSettings.max_attempts": outside(("run",), "max_attempts", 9),
        "RunSettings.executor": outside(("run",), "executor", "ray"),
    }
    for name in (
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "images",
        "requests",
    ):
        found[f"Prices.{name}"] = outside(price, name, 2.0, before=prices)
    return {
        **found,
        "Prices.currency": outside(price, "currency", "EUR", before=prices),
    }


def tool_verdicts() -> dict[str, Verdict | Tag]:
    """Who offers tools does not count, but what they and their providers are called, and what a model may do with them."""
    server, tools = ("mcp_providers", 0), ("tool_configs", 0)
    before = {
        ("mcp_providers",): [COMMAND, {**COMMAND, "name": "n"}],
        ("tool_configs",): [TOOLS],
        (*TXT, "tool_alias"): "t",
    }
    listening = {"name": "s", "provider_type": "sse", "endpoint": "http://h/sse"}
    http = {**before, ("mcp_providers",): [listening, {**COMMAND, "name": "n"}]}
    renamed = {(*server, "name"): "s2", (*tools, "providers"): ["s2"]}
    return {
        "DatasetConfig.mcp_providers": outside(
            (), "mcp_providers", [COMMAND], before=before
        ),
        "DatasetConfig.tool_configs": inside(
            tools, "max_tool_call_turns", 9, before=before
        ),
        "StdioMcpProvider.name": Verdict(True, renamed, before),
        "StdioMcpProvider.provider_type": Tag(False, server, before),
        "StdioMcpProvider.command": outside(server, "command", "other", before=before),
        "StdioMcpProvider.args": outside(server, "args", ["-v"], before=before),
        "StdioMcpProvider.env": outside(server, "env", {"A": "B"}, before=before),
        "StdioMcpProvider.startup_timeout_sec": outside(
            server, "startup_timeout_sec", 9.0, before=before
        ),
        "HttpMcpProvider.name": Verdict(True, renamed, http),
        "HttpMcpProvider.provider_type": outside(
            server, "provider_type", "streamable_http", before=http
        ),
        "HttpMcpProvider.endpoint": outside(
            server, "endpoint", "http://i/sse", before=http
        ),
        "HttpMcpProvider.api_key": outside(server, "api_key", "KEY", before=http),
        "HttpMcpProvider.startup_timeout_sec": outside(
            server, "startup_timeout_sec", 9.0, before=http
        ),
        "ToolConfig.tool_alias": Verdict(
            True, {(*tools, "tool_alias"): "u", (*TXT, "tool_alias"): "u"}, before
        ),
        "ToolConfig.providers": inside(tools, "providers", ["s", "n"], before=before),
        "ToolConfig.allow_tools": inside(tools, "allow_tools", ["add"], before=before),
        "ToolConfig.max_tool_call_turns": inside(
            tools, "max_tool_call_turns", 9, before=before
        ),
        "ToolConfig.timeout_sec": outside(tools, "timeout_sec", 9.0, before=before),
    }


MODEL_COLUMN_VERDICTS = model_column_verdicts()

VERDICTS: dict[str, Verdict | Tag] = {
    **SKIP_VERDICTS,
    **FUNCTION_VERDICTS,
    **tool_verdicts(),
    "DatasetConfig.name": outside((), "name", "other"),
    "DatasetConfig.description": outside((), "description", None),
    "DatasetConfig.num_records": outside((), "num_records", 99),
    "DatasetConfig.row_group_size": outside((), "row_group_size", 7),
    "DatasetConfig.seed": inside((), "seed", 2),
    "DatasetConfig.columns": inside(
        (), "columns", [*BASE["columns"][1:], BASE["columns"][0]]
    ),
    "DatasetConfig.seed_config": inside(
        (), "seed_config", {"source": {"path": "x.csv"}}
    ),
    "DatasetConfig.license": outside((), "license", "mit"),
    "DatasetConfig.processors": inside((), "processors", []),
    "DatasetConfig.model_providers": inside(PROVIDER, "extra_body", {"x": 1}),
    "DatasetConfig.model_configs": inside(MODEL, "model", "m2"),
    "DatasetConfig.run": outside((), "run", {"num_retries": 9}),
    "RunSettings.resume": outside(("run",), "resume", "never"),
    "RunSettings.max_parallel_requests": outside(("run",), "max_parallel_requests", 2),
    "RunSettings.when_claimed": outside(("run",), "when_claimed", "refuse"),
    "RunSettings.max_cost": outside(
        ("run",), "max_cost", 5.0, before={(*MODEL, "prices"): {"prompt_tokens": 1.0}}
    ),
    "RunSettings.max_tokens": outside(("run",), "max_tokens", 100_000),
    "RunSettings.num_retries": outside(("run",), "num_retries", 1),
    "RunSettings.max_failure_rate": outside(("run",), "max_failure_rate", 0.1),
    "RunSettings.max_missing_rate": outside(("run",), "max_missing_rate", 0.1),
    "RunSettings.stall_timeout": outside(("run",), "stall_timeout", 1.0),
    "SamplerColumn.name": inside(GAU, "name", "gau2", before={("processors",): []}),
    "SamplerColumn.drop": inside(UNI, "drop", True),
    "SamplerColumn.description": outside(UNI, "description", "x"),
    "SamplerColumn.column_type": Tag(True, UNI),
    "SamplerColumn.sampler_type": Verdict(
        True, {(*GAU, "sampler_type"): "uuid", (*GAU, "params"): {}}
    ),
    "SamplerColumn.params": inside(GAU, "params", {"mean": 1, "stddev": 1}),
    "SamplerColumn.convert_to": inside(UNI, "convert_to", "str"),
    "SamplerColumn.conditional_params": inside(
        UNI, "conditional_params", {"cat == 'a'": {"low": 1, "high": 2}}
    ),
    "DatasetConfig.constraints": Verdict(True, SCALAR),
    "DatasetConfig.select": Verdict(True, SELECTS),
    "SelectConfig.keep": inside(("select",), "keep", "{{ uni > 2 }}", before=SELECTS),
    "SelectConfig.candidates": inside(("select",), "candidates", 4, before=SELECTS),
    "SelectConfig.otherwise": Verdict(
        True, {("select", "otherwise"): "fail"}, before=SELECTS
    ),
    "SelectConfig.best": Verdict(
        True, {("select", "best"): "gau"}, before=SELECTS_BEST
    ),
    "ScalarInequality.constraint_type": Tag(True, LIMIT, before=SCALAR),
    "ScalarInequality.target_column": inside(
        LIMIT, "target_column", "gau", before=SCALAR
    ),
    "ScalarInequality.operator": inside(LIMIT, "operator", "le", before=SCALAR),
    "ScalarInequality.rhs": inside(LIMIT, "rhs", 0.25, before=SCALAR),
    "ColumnInequality.constraint_type": Tag(True, LIMIT, before=PAIR),
    "ColumnInequality.target_column": inside(
        LIMIT, "target_column", "price", before=PAIR
    ),
    "ColumnInequality.operator": inside(LIMIT, "operator", "le", before=PAIR),
    "ColumnInequality.rhs": inside(LIMIT, "rhs", "price", before=PAIR),
    "BernoulliParams.sampler_type": Tag(True, DRAWN, before=BERNOULLI),
    "BernoulliParams.p": inside(DRAWN, "p", 0.25, before=BERNOULLI),
    "BinomialParams.sampler_type": Tag(True, DRAWN, before=BINOMIAL),
    "BinomialParams.n": inside(DRAWN, "n", 6, before=BINOMIAL),
    "BinomialParams.p": inside(DRAWN, "p", 0.25, before=BINOMIAL),
    "PoissonParams.sampler_type": Tag(True, DRAWN, before=POISSON),
    "PoissonParams.mean": inside(DRAWN, "mean", 4, before=POISSON),
    "BernoulliMixtureParams.sampler_type": Tag(True, DRAWN, before=MIXTURE),
    "BernoulliMixtureParams.p": inside(DRAWN, "p", 0.25, before=MIXTURE),
    "BernoulliMixtureParams.dist_name": inside(
        DRAWN, "dist_name", "expon", before=MIXTURE
    ),
    "BernoulliMixtureParams.dist_params": inside(
        DRAWN, "dist_params", {}, before=MIXTURE
    ),
    "ScipyParams.sampler_type": Tag(True, DRAWN, before=SCIPY),
    "ScipyParams.dist_name": inside(DRAWN, "dist_name", "expon", before=SCIPY),
    "ScipyParams.dist_params": inside(DRAWN, "dist_params", {"loc": 2}, before=SCIPY),
    "ScipyParams.decimal_places": inside(DRAWN, "decimal_places", 2, before=SCIPY),
    "TimedeltaParams.sampler_type": Tag(True, DRAWN, before=TIMEDELTA),
    "TimedeltaParams.dt_min": inside(DRAWN, "dt_min", 2, before=TIMEDELTA),
    "TimedeltaParams.dt_max": inside(DRAWN, "dt_max", 6, before=TIMEDELTA),
    "TimedeltaParams.reference_column_name": inside(
        DRAWN, "reference_column_name", "price", before=TIMEDELTA
    ),
    "TimedeltaParams.unit": inside(DRAWN, "unit", "h", before=TIMEDELTA),
    "CategoryParams.sampler_type": Tag(True, sampler_column(CAT)),
    "CategoryParams.values": inside(sampler_column(CAT2), "values", ["b", "a"]),
    "CategoryParams.weights": inside(sampler_column(CAT), "weights", [1, 3]),
    "SubcategoryParams.sampler_type": Tag(True, sampler_column(SUB)),
    "SubcategoryParams.category": inside(sampler_column(SUB), "category", "cat2"),
    "SubcategoryParams.values": inside(
        sampler_column(SUB), "values", {"a": ["x"], "b": ["z", "y"]}
    ),
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
    "UuidParams.hyphens": inside(sampler_column(UID), "hyphens", False),
    "DatetimeParams.sampler_type": Tag(True, sampler_column(DAY)),
    "DatetimeParams.start": inside(sampler_column(DAY), "start", "2024-01-02"),
    "DatetimeParams.end": inside(sampler_column(DAY), "end", "2025-01-02"),
    "DatetimeParams.unit": inside(sampler_column(DAY), "unit", "h"),
    "PersonFromFakerParams.sampler_type": Tag(True, (*UID, "params"), FAKE),
    "PersonFromFakerParams.locale": inside(
        (*UID, "params"), "locale", "de_AT", before=FAKE
    ),
    "PersonFromFakerParams.sex": inside((*UID, "params"), "sex", "Male", before=FAKE),
    "PersonFromFakerParams.city": inside(
        (*UID, "params"), "city", ["Ulm"], before=FAKE
    ),
    "PersonFromFakerParams.age_range": inside(
        (*UID, "params"), "age_range", [18, 30], before=FAKE
    ),
    "PersonParams.sampler_type": Tag(True, (*UID, "params"), PERSON),
    "PersonParams.locale": inside((*UID, "params"), "locale", "ja_JP", before=PERSON),
    "PersonParams.sex": inside((*UID, "params"), "sex", "Male", before=PERSON),
    "PersonParams.city": inside((*UID, "params"), "city", "Ulm", before=PERSON),
    "PersonParams.age_range": inside(
        (*UID, "params"), "age_range", [18, 30], before=PERSON
    ),
    "PersonParams.select_field_values": inside(
        (*UID, "params"), "select_field_values", {"state": ["NY", "CA"]}, before=PERSON
    ),
    "PersonParams.with_synthetic_personas": inside(
        (*UID, "params"), "with_synthetic_personas", True, before=PERSON
    ),
    "PersonParams.census_fields": inside(
        (*UID, "params"), "census_fields", True, before=PERSON
    ),
    "ExpressionColumn.name": Verdict(
        True, {(*EXP, "name"): "exp2", (*TXT, "prompt"): "{{ exp2 }}"}
    ),
    "ExpressionColumn.drop": inside(EXP, "drop", True),
    "ExpressionColumn.description": outside(EXP, "description", "x"),
    "ExpressionColumn.column_type": Tag(True, EXP),
    "ExpressionColumn.expr": inside(EXP, "expr", "{{ sub }}"),
    "ExpressionColumn.dtype": inside(EXP, "dtype", "int"),
    "ExpressionColumn.cast": inside(EXP, "cast", "lenient"),
    **MODEL_COLUMN_VERDICTS,
    "LlmTextColumn.name": Verdict(
        True, {(*TXT, "name"): "txt2"}, {("processors",): []}
    ),
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
    "SeedConfig.where": inside(("seed_config",), "where", "{{ product != '' }}"),
    "SeedConfig.source": outside(
        ("seed_config",), "source", {"path": "elsewhere/y.csv"}
    ),
    "SeedConfig.sampling_strategy": inside(
        ("seed_config",), "sampling_strategy", "shuffle"
    ),
    "SeedConfig.selection_strategy": inside(
        ("seed_config",), "selection_strategy", None
    ),
    "LocalSeedSource.seed_type": Tag(True, ("seed_config", "source")),
    "LocalSeedSource.path": outside(("seed_config", "source"), "path", "y.csv"),
    "LocalSeedSource.upstream_asset": outside(
        ("seed_config", "source"), "upstream_asset", "a/b"
    ),
    "LocalSeedSource.separator": inside(SOURCE, "separator", ";"),
    "LocalSeedSource.encoding": inside(SOURCE, "encoding", "latin-1"),
    "LocalSeedSource.null_values": inside(SOURCE, "null_values", ["NA"]),
    "LocalSeedSource.types": inside(SOURCE, "types", {"a": "str"}),
    "DirectorySeedSource.seed_type": Tag(True, SOURCE, DIRECTORY),
    "DirectorySeedSource.path": inside(SOURCE, "path", "e", before=DIRECTORY),
    "DirectorySeedSource.file_pattern": outside(
        SOURCE, "file_pattern", "*.md", before=DIRECTORY
    ),
    "DirectorySeedSource.recursive": outside(
        SOURCE, "recursive", False, before=DIRECTORY
    ),
    "FileContentsSeedSource.seed_type": Tag(True, SOURCE, CONTENTS),
    "FileContentsSeedSource.path": inside(SOURCE, "path", "e", before=CONTENTS),
    "FileContentsSeedSource.file_pattern": outside(
        SOURCE, "file_pattern", "*.md", before=CONTENTS
    ),
    "FileContentsSeedSource.recursive": outside(
        SOURCE, "recursive", False, before=CONTENTS
    ),
    "AgentRolloutSeedSource.seed_type": Tag(True, SOURCE, ROLLOUTS),
    "AgentRolloutSeedSource.path": inside(SOURCE, "path", "e", before=ROLLOUTS),
    "AgentRolloutSeedSource.file_pattern": outside(
        SOURCE, "file_pattern", "*", before=ROLLOUTS
    ),
    "AgentRolloutSeedSource.recursive": outside(
        SOURCE, "recursive", False, before=ROLLOUTS
    ),
    "AgentRolloutSeedSource.format": inside(
        SOURCE, "format", "claude_code", before=ROLLOUTS
    ),
    "FileContentsSeedSource.encoding": inside(
        SOURCE, "encoding", "latin-1", before=CONTENTS
    ),
    "SqlSeedSource.seed_type": Tag(True, SOURCE, SQL),
    "SqlSeedSource.url": outside(SOURCE, "url", "sqlite:///y.db", before=SQL),
    "SqlSeedSource.url_env": Verdict(
        False, {(*SOURCE, "url"): None, (*SOURCE, "url_env"): "URL"}, SQL
    ),
    "SqlSeedSource.query": outside(
        SOURCE, "query", "SELECT b FROM t ORDER BY b", before=SQL
    ),
    "HuggingFaceSeedSource.seed_type": Tag(True, SOURCE, HUB),
    "HuggingFaceSeedSource.path": outside(
        SOURCE, "path", "datasets/v/d/x.parquet", before=HUB
    ),
    "HuggingFaceSeedSource.token": outside(SOURCE, "token", "HF_TOKEN", before=HUB),
    "HuggingFaceSeedSource.endpoint": outside(
        SOURCE, "endpoint", "https://hub", before=HUB
    ),
    "HuggingFaceSeedSource.separator": inside(SOURCE, "separator", ";", before=HUB),
    "HuggingFaceSeedSource.encoding": inside(SOURCE, "encoding", "latin-1", before=HUB),
    "HuggingFaceSeedSource.null_values": inside(
        SOURCE, "null_values", ["NA"], before=HUB
    ),
    "HuggingFaceSeedSource.types": inside(SOURCE, "types", {"a": "str"}, before=HUB),
    "DatasetSeedSource.seed_type": Tag(True, SOURCE, DATASET),
    "DatasetSeedSource.dataset": outside(SOURCE, "dataset", "another", before=DATASET),
    "DataFrameSeedSource.seed_type": Tag(True, SOURCE, {SOURCE: {"seed_type": "df"}}),
    "CustomSeedSource.seed_type": Tag(True, SOURCE, CUSTOM),
    "CustomSeedSource.reader": inside(SOURCE, "reader", "m:Other", before=CUSTOM),
    "CustomSeedSource.params": inside(SOURCE, "params", {"a": 1}, before=CUSTOM),
    "IndexRange.start": inside(("seed_config", "selection_strategy"), "start", 1),
    "IndexRange.end": inside(("seed_config", "selection_strategy"), "end", 4),
    "PartitionBlock.index": inside(
        ("seed_config", "selection_strategy"), "index", 1, before=BLOCK
    ),
    "PartitionBlock.num_partitions": inside(
        ("seed_config", "selection_strategy"), "num_partitions", 4, before=BLOCK
    ),
    "DropColumnsProcessor.processor_type": Tag(True, ("processors", 0)),
    "DropColumnsProcessor.name": outside(("processors", 0), "name", "other"),
    "DropColumnsProcessor.column_names": inside(
        ("processors", 0), "column_names", ["uni"]
    ),
    "SchemaTransformProcessor.processor_type": Tag(False, ("processors", 1)),
    "SchemaTransformProcessor.name": outside(("processors", 1), "name", "other"),
    "SchemaTransformProcessor.template": outside(
        ("processors", 1), "template", {"n": "{{ exp }}"}
    ),
    **row_processor_verdicts(),
    "ModelProvider.name": Verdict(
        True,
        {
            (*PROVIDER, "name"): "q",
            (*MODEL, "provider"): "q",
            ("model_configs", 1, "provider"): "q",
        },
    ),
    "ModelProvider.provider_type": inside(PROVIDER, "provider_type", "simulated"),
    "ModelProvider.endpoint": outside(PROVIDER, "endpoint", "https://z/v1"),
    "ModelProvider.endpoint_env": outside(PROVIDER, "endpoint_env", "URL"),
    "ModelProvider.api_key": outside(PROVIDER, "api_key", "KEY"),
    "ModelProvider.extra_body": inside(PROVIDER, "extra_body", {"a": {"b": 1}}),
    "ModelProvider.extra_headers": outside(PROVIDER, "extra_headers", {"X-Team": "a"}),
    "ModelProvider.client": inside(PROVIDER, "client", "m:Other", before=OWN_CLIENT),
    "ModelProvider.source_hash": inside(
        PROVIDER, "source_hash", "sha256:1", before=OWN_CLIENT
    ),
    "ModelProvider.serve": outside(
        PROVIDER, "serve", {"command": ["s"]}, before=AT_HOME
    ),
    "Serve.command": outside(SERVE, "command", ["another"], before=SERVED),
    "Serve.health": outside(SERVE, "health", "/health", before=SERVED),
    "Serve.gpus": outside(SERVE, "gpus", [1], before=SERVED),
    "Serve.ready_timeout": outside(SERVE, "ready_timeout", 1.0, before=SERVED),
    "Serve.env": outside(SERVE, "env", {"A": "B"}, before=SERVED),
    "ModelProvider.simulation": outside(PROVIDER, "simulation", {"latency": 0.5}),
    "Simulation.rate_limited": outside(
        SIMULATION, "rate_limited", 0.1, before=SIMULATED
    ),
    "Simulation.transient": outside(SIMULATION, "transient", 0.1, before=SIMULATED),
    "Simulation.malformed": inside(SIMULATION, "malformed", 0.1, before=SIMULATED),
    "Simulation.reply_tokens": inside(
        SIMULATION, "reply_tokens", 100, before=SIMULATED
    ),
    "ReplyTokens.mean": inside(
        (*SIMULATION, "reply_tokens"), "*", {"mean": 10.0}, before=SIMULATED
    ),
    "ReplyTokens.stddev": inside(
        SIMULATION, "reply_tokens", {"mean": 1.0, "stddev": 0.1}, before=SIMULATED
    ),
    "Latency.mean": outside((*SIMULATION, "latency"), "mean", 0.1, before=SIMULATED),
    "Latency.stddev": outside(
        SIMULATION, "latency", {"mean": 1.0, "stddev": 0.1}, before=SIMULATED
    ),
    "Simulation.latency": outside(
        (*PROVIDER, "simulation"),
        "latency",
        0.5,
        before={(*PROVIDER, "provider_type"): "simulated"},
    ),
    "ModelConfig.alias": Verdict(
        True, {(*MODEL, "alias"): "v", (*TXT, "model_alias"): "v"}
    ),
    "ModelConfig.model": inside(MODEL, "model", "m2"),
    "ModelConfig.provider": inside(MODEL, "provider", "p2"),
    "ModelConfig.model_env": outside(MODEL, "model_env", "MODEL"),
    "ModelConfig.inference_parameters": inside(
        MODEL, "inference_parameters", {"temperature": 0.5}
    ),
    "ModelConfig.fallback": inside(MODEL, "fallback", "w2"),
    "ModelConfig.skip_health_check": outside(MODEL, "skip_health_check", True),
    "InferenceParameters.generation_type": outside(
        INFERENCE, "generation_type", "embedding"
    ),
    "InferenceParameters.encoding_format": outside(
        INFERENCE, "encoding_format", "base64", before=EMBEDS
    ),
    "InferenceParameters.dimensions": inside(INFERENCE, "dimensions", 8, before=EMBEDS),
    "InferenceParameters.temperature": inside(INFERENCE, "temperature", 0.5),
    "InferenceParameters.top_p": inside(INFERENCE, "top_p", 0.5),
    "InferenceParameters.max_tokens": inside(INFERENCE, "max_tokens", 5),
    "InferenceParameters.max_parallel_requests": outside(
        INFERENCE, "max_parallel_requests", 5
    ),
    "InferenceParameters.timeout": outside(INFERENCE, "timeout", 5.0),
    "InferenceParameters.extra_body": inside(INFERENCE, "extra_body", {"a": 1}),
}


def changed(raw: dict[str, Any], changes: Mapping[Place, Any]) -> dict[str, Any]:
    """A copy of `raw` with values set (or removed) at places, mappings made on the way."""
    raw = copy.deepcopy(raw)
    for place, value in changes.items():
        target: Any = raw
        for part in place[:-1]:
            target = (
                target.setdefault(part, {})
                if isinstance(target, dict)
                else target[part]
            )
        if value is ABSENT:
            target.pop(place[-1], None)
        else:
            target[place[-1]] = value
    return raw


def fingerprint(
    raw: dict[str, Any], *, seed_digest: str | None = DIGEST
) -> Fingerprint:
    config = DatasetConfig.model_validate(raw)
    problems = check_config(config, seed_columns=SEED_COLUMNS)
    assert problems == []
    columns = SEED_COLUMNS if seed_digest else ()
    return compute_fingerprint(
        config, build_graph(config), seed_columns=columns, seed_digest=seed_digest
    )


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
                annotations = {
                    f"{item.__name__}.{name}": info.annotation
                    for name, info in item.model_fields.items()
                }
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


@pytest.mark.parametrize(
    "name", [name for name, verdict in VERDICTS.items() if isinstance(verdict, Verdict)]
)
def test_a_field_counts_or_not(name: str) -> None:
    verdict = VERDICTS[name]
    assert isinstance(verdict, Verdict)
    before, after = (
        changed(BASE, verdict.before),
        changed(changed(BASE, verdict.before), verdict.change),
    )
    assert DatasetConfig.model_validate(before) != DatasetConfig.model_validate(
        after
    ), "the change changes nothing"
    old, new = fingerprint(before), fingerprint(after)
    assert (old.config_hash != new.config_hash) is verdict.counts
    assert (old.config_fingerprint != new.config_fingerprint) is verdict.counts
    if not verdict.counts:
        assert old == new


@pytest.mark.parametrize(
    "name", [name for name, verdict in VERDICTS.items() if isinstance(verdict, Tag)]
)
def test_a_tag_is_hashed_or_not(name: str) -> None:
    verdict = VERDICTS[name]
    assert isinstance(verdict, Tag)
    annotation = fields_of(DatasetConfig)[name]
    assert get_origin(annotation) is Literal and len(get_args(annotation)) == 1
    model: Any = DatasetConfig.model_validate(changed(BASE, verdict.before))
    for part in verdict.place:
        model = model[part] if isinstance(part, int) else getattr(model, part)
    assert (
        isinstance(model, ConfigModel)
        and type(model).__name__ == name.partition(".")[0]
    )
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
        "print(json.dumps([f.config_hash, f.config_fingerprint, dict(f.column_hashes)]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    text = json.dumps([BASE, SEED_COLUMNS, DIGEST])
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=text,
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    ours = fingerprint(BASE)
    assert json.loads(done.stdout) == [
        ours.config_hash,
        ours.config_fingerprint,
        dict(ours.column_hashes),
    ]


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
        (("processors",), [[]]),
        (("constraints",), [[]]),
        (("tool_configs",), [[]]),
        (("mcp_providers",), [[]]),
    ],
)
def test_absent_null_and_empty_are_the_same(place: Place, values: list[Any]) -> None:
    absent = fingerprint(changed(BASE, {place: ABSENT}))
    assert all(fingerprint(changed(BASE, {place: value})) == absent for value in values)


def test_no_processors_and_an_empty_list_of_them_are_the_same() -> None:
    assert fingerprint(changed(BASE, {("processors",): []})) == fingerprint(
        changed(BASE, {("processors",): ABSENT})
    )


def test_spelling_out_a_default_changes_nothing() -> None:
    spelt = DatasetConfig.model_validate(BASE).model_dump()
    assert fingerprint(spelt) == fingerprint(BASE)


def test_whole_and_real_numbers_are_the_same_where_the_value_is_real() -> None:
    assert fingerprint(changed(BASE, {(*UNI, "params", "low"): 0.0})) == fingerprint(
        BASE
    )


def test_keys_of_mappings_have_no_order() -> None:
    reordered = {key: BASE[key] for key in reversed(BASE)}
    reordered = changed(
        reordered, {(*SUB, "params", "values"): {"b": ["y", "z"], "a": ["x"]}}
    )
    assert fingerprint(reordered) == fingerprint(BASE)


def test_models_that_no_column_uses_do_not_count() -> None:
    unused = {
        ("model_configs", 1, "model"): "other",
        ("model_providers", 1, "extra_body"): {"a": 1},
    }
    assert fingerprint(changed(BASE, unused)) == fingerprint(BASE)


@pytest.mark.parametrize(
    "field", ["model_configs", "model_providers", "tool_configs", "mcp_providers"]
)
def test_what_is_referred_to_by_name_has_no_order(field: str) -> None:
    both = changed(
        BASE,
        {
            ("tool_configs",): [TOOLS, {**TOOLS, "tool_alias": "u"}],
            (*TXT, "tool_alias"): "t",
        },
    )
    both["mcp_providers"] = [COMMAND, {**COMMAND, "name": "n"}]
    assert len(both[field]) == 2
    assert fingerprint({**both, field: both[field][::-1]}) == fingerprint(both)


def moved(changes: Mapping[Place, Any]) -> set[str]:
    """Columns whose fingerprint a change moves."""
    old, new = (
        fingerprint(BASE).column_hashes,
        fingerprint(changed(BASE, changes)).column_hashes,
    )
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
        (
            {("seed",): 5},
            {"cat", "sub", "uni", "gau", "uid", "day", "cat2", "exp", "txt"},
        ),
        (
            {("seed_config", "selection_strategy", "end"): 3},
            {"product", "price", "exp", "txt"},
        ),
        ({("processors",): []}, set()),
    ],
)
def test_a_change_moves_a_column_and_its_dependants_only(
    changes: Mapping[Place, Any], columns: set[str]
) -> None:
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


def test_seed_content_moves_the_whole_but_not_the_config_fingerprint() -> None:
    old, new = fingerprint(BASE), fingerprint(BASE, seed_digest="sha256:" + "2" * 64)
    assert (
        old.config_hash != new.config_hash
        and old.config_fingerprint == new.config_fingerprint
    )
    moved_columns = {
        name
        for name in old.column_hashes
        if old.column_hashes[name] != new.column_hashes[name]
    }
    assert moved_columns == {"product", "price", "exp", "txt"}


def test_the_config_fingerprint_needs_no_seed_data() -> None:
    assert (
        fingerprint(BASE, seed_digest=None).config_fingerprint
        == fingerprint(BASE).config_fingerprint
    )
    assert (
        fingerprint(BASE, seed_digest=None).config_hash
        == fingerprint(BASE).config_fingerprint
    )


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


def test_the_row_group_size_counts_for_functions_of_a_whole_row_group_only() -> None:
    for before, counts in ((CUSTOM_COLUMN, False), (WHOLE, True)):
        old, new = (
            fingerprint(changed(changed(BASE, before), {("row_group_size",): size}))
            for size in (5, 7)
        )
        assert (old.config_hash != new.config_hash) is counts
        assert (old.column_hashes["own"] != new.column_hashes["own"]) is counts


def test_side_effects_have_a_fingerprint_that_moves_with_their_function() -> None:
    sided = changed(BASE, SIDED)
    old, new = fingerprint(sided), fingerprint(changed(sided, {(*OWN, "version"): 2}))
    assert {
        name
        for name in old.column_hashes
        if old.column_hashes[name] != new.column_hashes[name]
    } == {"own", "side"}


def test_spelling_out_that_skips_spread_changes_nothing() -> None:
    assert fingerprint(changed(BASE, {(*EXP, "propagate_skip"): True})) == fingerprint(
        BASE
    )


def test_which_tools_are_allowed_has_no_order_and_tools_that_no_column_uses_do_not_count() -> (
    None
):
    tools: dict[Place, Any] = {
        ("mcp_providers",): [COMMAND],
        ("tool_configs",): [{**TOOLS, "allow_tools": ["a", "b"]}],
    }
    assert fingerprint(changed(BASE, tools)) == fingerprint(BASE)
    used = changed(BASE, {**tools, (*TXT, "tool_alias"): "t"})
    assert fingerprint(used) != fingerprint(BASE)
    assert fingerprint(
        changed(used, {("tool_configs", 0, "allow_tools"): ["b", "a"]})
    ) == fingerprint(used)


def test_an_empty_list_of_allowed_tools_is_refused() -> None:
    """It would allow nothing, so it cannot mean what a list that is left out means."""
    with pytest.raises(ValidationError, match="allow_tools"):
        fingerprint(changed(BASE, {("tool_configs",): [{**TOOLS, "allow_tools": []}]}))


def test_the_order_of_properties_and_options_counts() -> None:
    """It is the order of fields in the file, and of what the model reads, though mappings are hashed without an order."""
    properties = {"a": {"type": "string"}, "b": {"type": "string"}}
    options = {"x": "1", "y": "2"}
    chat = {"name": "txt", "model_alias": "w", "prompt": "{{ exp }}"}
    hashes: list[str] = []
    for turned in (False, True):
        one, other = (
            dict(reversed(item.items())) if turned else item
            for item in (properties, options)
        )
        schema = {"type": "object", "properties": one}
        judge = {
            **chat,
            "column_type": "llm-judge",
            "scores": [{"name": "s", "description": "d", "options": other}],
        }
        structured = {**chat, "column_type": "llm-structured", "output_format": schema}
        hashes += [
            fingerprint(changed(BASE, {TXT: column})).config_hash
            for column in (judge, structured)
        ]
    assert len({*hashes}) == 4


def test_drawn_parameters_depend_on_the_seed_and_the_column() -> None:
    drawn = {"distribution_type": "uniform", "params": {"low": 0.1, "high": 0.9}}
    fixed, random = BASE, changed(BASE, {(*INFERENCE, "temperature"): drawn})
    for raw, depends in ((fixed, False), (random, True)):
        hashes = [
            fingerprint(
                changed(
                    raw,
                    {
                        ("seed",): seed,
                        (*TXT, "prompt"): "x",
                        (*TXT, "system_prompt"): None,
                    },
                )
            )
            for seed in (1, 2)
        ]
        assert (
            hashes[0].column_hashes["txt"] != hashes[1].column_hashes["txt"]
        ) is depends


def bound_columns(raw: dict[str, Any], other: dict[str, Any]) -> set[str]:
    old, new = fingerprint(raw).column_hashes, fingerprint(other).column_hashes
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def test_a_constraint_moves_what_it_binds_and_what_reads_that() -> None:
    reader = changed(BASE, {(*EXP, "expr"): "{{ uni }} {{ price }}"})
    assert bound_columns(reader, changed(reader, PAIR)) == {"uni", "gau", "exp", "txt"}
    assert bound_columns(reader, changed(reader, SCALAR)) == {"uni", "exp", "txt"}


def test_what_is_drawn_with_a_column_moves_it() -> None:
    pair = changed(BASE, PAIR)
    assert bound_columns(pair, changed(pair, {(*GAU, "params", "mean"): 3})) == {
        "uni",
        "gau",
    }
    priced = changed(
        BASE,
        {
            ("constraints",): [
                {"target_column": "uni", "operator": "lt", "rhs": "price"}
            ]
        },
    )
    old, new = (
        fingerprint(priced),
        fingerprint(priced, seed_digest="sha256:" + "2" * 64),
    )
    assert (
        old.column_hashes["uni"] != new.column_hashes["uni"]
        and old.column_hashes["gau"] == new.column_hashes["gau"]
    )


def test_constraints_have_no_order_and_their_type_may_be_left_out() -> None:
    one, two = (
        SCALAR[("constraints",)][0],
        {"target_column": "gau", "operator": "ge", "rhs": 0},
    )
    first = changed(BASE, {("constraints",): [one, two]})
    spelt = changed(
        BASE, {("constraints",): [two, {"constraint_type": "scalar_inequality", **one}]}
    )
    assert fingerprint(first) == fingerprint(spelt)


def test_no_constraints_and_an_empty_list_of_them_are_the_same() -> None:
    assert fingerprint(changed(BASE, {("constraints",): []})) == fingerprint(BASE)


def test_the_order_of_conditions_counts_because_the_first_that_holds_wins() -> None:
    one, two = (
        ("cat == 'a'", {"low": 1, "high": 2}),
        ("cat2 == 'a'", {"low": 2, "high": 3}),
    )
    first = changed(BASE, {(*UNI, "conditional_params"): dict([one, two])})
    second = changed(BASE, {(*UNI, "conditional_params"): dict([two, one])})
    assert bound_columns(first, second) == {"uni"}
    bound_first, bound_second = changed(first, PAIR), changed(second, PAIR)
    assert bound_columns(bound_first, bound_second) >= {"uni", "gau", "cat", "cat2"}, (
        "they are drawn again together"
    )
