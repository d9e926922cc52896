"""Which fields of a config count for its fingerprint, and the canonical form in which they are hashed.

`hashed_fields` reduces a config model to the fields that count; `NOT_HASHED` lists, per model, those that do not.
Absent, null and empty mean the same, so a later release can add an optional field without changing existing fingerprints.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sdg_core.config.base import ConfigModel
from sdg_core.config.columns import (
    ChatColumn,
    ColumnBase,
    ExpressionColumn,
    LlmStructuredColumn,
    SkippableColumn,
    ValidationColumn,
)
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.models import (
    InferenceParameters,
    ModelConfig,
    ModelProvider,
    Prices,
    Serve,
    Simulation,
)
from sdg_core.config.people import PersonParams
from sdg_core.config.pipeline import FunctionStage, StageResources
from sdg_core.config.processors import (
    DecontaminateProcessor,
    DeduplicateProcessor,
    DropColumnsProcessor,
    EvaluationSet,
    FilterProcessor,
    QualityBounds,
    SchemaTransformProcessor,
)
from sdg_core.config.run import RunSettings
from sdg_core.config.samplers import UuidParams
from sdg_core.config.seeds import (
    DatasetSeedSource,
    DirectorySeedSource,
    HuggingFaceSeedSource,
    LocalSeedSource,
    SqlSeedSource,
)
from sdg_core.config.sources import (
    CustomSources,
    DatasetSources,
    DocumentBounds,
    DocumentSources,
    FileSources,
    HtmlSources,
    HubSources,
    SourcesBase,
    SqlSources,
)
from sdg_core.config.tools import HttpMcpProvider, StdioMcpProvider, ToolConfig
from sdg_core.config.validators import RemoteParams

CONFIG_HASH_ALGO = "sha256"
CONFIG_HASH_VERSION = 1

_EVERY = frozenset({"*"})
NOT_HASHED: Mapping[type[ConfigModel], frozenset[str]] = {
    DatasetConfig: frozenset(
        {
            "name",
            "description",
            "license",
            "num_records",
            "row_group_size",
            "mcp_providers",
            "run",
        }
    ),
    ColumnBase: frozenset({"description"}),
    # What says where seed data lies, or which part of it to take, is out: its content is in.
    LocalSeedSource: frozenset({"path", "upstream_asset"}),
    DirectorySeedSource: frozenset({"file_pattern", "recursive"}),
    SqlSeedSource: frozenset({"url", "url_env", "query"}),
    HuggingFaceSeedSource: frozenset({"path", "token", "endpoint"}),
    DatasetSeedSource: frozenset({"dataset"}),
    SourcesBase: frozenset({"sources_per_partition", "allow_empty"}),
    FileSources: frozenset({"path"}),
    DocumentBounds: frozenset({"timeout", "memory_mib"}),
    HtmlSources: frozenset({"path"}),
    DocumentSources: frozenset({"path"}),
    SqlSources: frozenset({"url", "url_env", "table", "query", "key"}),
    HubSources: frozenset({"path", "token", "endpoint"}),
    DatasetSources: frozenset({"dataset", "committed"}),
    CustomSources: frozenset({"reader_class"}),
    ModelProvider: frozenset(
        {"endpoint", "endpoint_env", "api_key", "extra_headers", "serve"}
    ),
    Serve: _EVERY,
    # `reply_tokens` counts by column.
    Simulation: frozenset({"latency", "rate_limited", "transient", "reply_tokens"}),
    ModelConfig: frozenset({"model_env", "skip_health_check", "prices"}),
    Prices: _EVERY,
    InferenceParameters: frozenset(
        {"generation_type", "max_parallel_requests", "timeout", "encoding_format"}
    ),
    DropColumnsProcessor: frozenset({"name"}),
    # What happens to finished records is out: it is done again at no cost.
    SchemaTransformProcessor: _EVERY,
    FilterProcessor: _EVERY,
    QualityBounds: _EVERY,
    DeduplicateProcessor: _EVERY,
    DecontaminateProcessor: _EVERY,
    EvaluationSet: _EVERY,
    RunSettings: _EVERY,
    # How many machines a stage takes is out.
    FunctionStage: frozenset({"concurrency", "resources"}),
    StageResources: _EVERY,
    # Where tools come from is out: their names, and those of their providers, are in.
    StdioMcpProvider: _EVERY,
    HttpMcpProvider: _EVERY,
    ToolConfig: frozenset({"timeout_sec"}),
    ValidationColumn: frozenset({"batch_size"}),
    RemoteParams: frozenset(
        {"timeout", "max_retries", "retry_backoff", "max_parallel_requests"}
    ),
}
ADDED_LATER: Mapping[type[ConfigModel], Mapping[str, Any]] = {
    SkippableColumn: {"propagate_skip": True},
    ExpressionColumn: {"cast": "exact"},
    LlmStructuredColumn: {"open_values": "json"},
    UuidParams: {"hyphens": True},
    PersonParams: {"census_fields": False},
    Simulation: {"malformed": 0.0},
    FileSources: {"front_matter": False},
    ChatColumn: {
        "with_trace": "none",
        "extract_reasoning_content": False,
        "on_truncated": "fail",
    },
}
"""Fields that came after the first release, with the value that means what was so before: it does not count, so that existing
fingerprints stay."""


def hashed_fields(model: ConfigModel) -> dict[str, Any]:
    """The fields of a config model that count, as plain data."""
    kinds = type(model).__mro__
    left_out: set[str] = set()
    for kind, names in NOT_HASHED.items():
        if kind in kinds:
            left_out.update(names)
    if left_out == _EVERY:
        return {}
    usual: dict[str, Any] = {}
    for kind, defaults in ADDED_LATER.items():
        if kind in kinds:
            usual.update(defaults)
    hashed = {}
    for name in type(model).model_fields:
        if name in left_out:
            continue
        value = _plain(getattr(model, name))
        if _counts(value) and value != usual.get(name):
            hashed[name] = value
    return hashed


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigModel):
        return hashed_fields(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _counts(value: Any) -> bool:
    return value is not None and value != [] and value != {}


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, Unicode as it is."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def digest(value: Any) -> str:
    """`sha256:` and the hex digest of the canonical JSON of a value."""
    content = canonical_json(value).encode()
    return f"{CONFIG_HASH_ALGO}:{hashlib.sha256(content).hexdigest()}"
