"""The fingerprint: sha256 over everything that can change the data, and nothing else.

`hashed_fields` reduces a config model to the fields that count; `NOT_HASHED` lists, per model, those that do not. Absent,
null and empty mean the same, so a later release can add an optional field without changing existing fingerprints.
Column fingerprints chain: a column's contains those of the columns it reads.

A fingerprint has a config part, known as soon as the file is read, and a seed part, the digest of the seed data's content.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sdg_core.config.base import ConfigModel
from sdg_core.config.columns import (
    ChatColumn,
    Column,
    ColumnBase,
    CustomColumn,
    ExpressionColumn,
    LlmStructuredColumn,
    ModelColumn,
    SamplerColumn,
    SeedColumn,
    SkippableColumn,
    ValidationColumn,
)
from sdg_core.config.constraints import Constraint
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
from sdg_core.plan.graph import ColumnGraph
from sdg_core.plan.kinds import is_whole_column, side_effects_of, templates_of
from sdg_core.plan.models import later_aliases, tool_config_of
from sdg_core.plan.templates.engine import chooses
from sdg_core.plan.types.replies import is_drawn, order_sensitive_part

CONFIG_HASH_ALGO = "sha256"
CONFIG_HASH_VERSION = 1

_EVERY = frozenset({"*"})
NOT_HASHED: Mapping[type[ConfigModel], frozenset[str]] = {
    DatasetConfig: frozenset(
        {"name", "description", "license", "num_records", "row_group_size", "mcp_providers", "run"}
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
    ModelProvider: frozenset({"endpoint", "endpoint_env", "api_key", "extra_headers", "serve"}),
    Serve: _EVERY,
    Simulation: frozenset(
        {"latency", "rate_limited", "transient", "reply_tokens"}
    ),  # the last counts by column
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
    RemoteParams: frozenset({"timeout", "max_retries", "retry_backoff", "max_parallel_requests"}),
}
ADDED_LATER: Mapping[type[ConfigModel], Mapping[str, Any]] = {
    SkippableColumn: {"propagate_skip": True},
    ExpressionColumn: {"cast": "exact"},
    LlmStructuredColumn: {"open_values": "json"},
    UuidParams: {"hyphens": True},
    PersonParams: {"census_fields": False},
    Simulation: {"malformed": 0.0},
    FileSources: {"front_matter": False},
    ChatColumn: {"with_trace": "none", "extract_reasoning_content": False, "on_truncated": "fail"},
}
"""Fields that came after the first release, with the value that means what was so before: it does not count, so that existing
fingerprints stay."""


@dataclass(frozen=True)
class Fingerprint:
    """config_hash: the dataset's fingerprint, `sha256:<64 hex digits>`. column_hashes: per column, seed columns included.
    config_part, config_column_hashes: the same without the seed data's content."""

    config_hash: str
    config_part: str
    column_hashes: Mapping[str, str]
    config_column_hashes: Mapping[str, str]

    @property
    def version(self) -> str:
        """The name of this fingerprint's directory: its first 12 hex digits."""
        return version_name(self.config_hash)


def version_name(config_hash: str) -> str:
    """`sha256:0123456789ab...` as `0123456789ab`."""
    return config_hash.partition(":")[2][:12]


def compute_fingerprint(
    config: DatasetConfig,
    graph: ColumnGraph,
    *,
    seed_columns: tuple[str, ...] = (),
    seed_digest: str | None = None,
) -> Fingerprint:
    """The fingerprint of a checked config. Without `seed_digest` the config part stands for the whole."""
    config_columns = _column_hashes(config, graph, (), None)
    config_part = _dataset_hash(config, config_columns, None)
    if seed_digest is None and not seed_columns:
        return Fingerprint(config_part, config_part, config_columns, config_columns)
    columns = _column_hashes(config, graph, seed_columns, seed_digest)
    whole = config_part if seed_digest is None else _dataset_hash(config, columns, seed_digest)
    return Fingerprint(whole, config_part, columns, config_columns)


def _dataset_hash(
    config: DatasetConfig, column_hashes: Mapping[str, str], seed_digest: str | None
) -> str:
    columns = []
    for column in config.columns:
        column_hash = column_hashes.get(column.name, "seed")
        columns.append([column.name, column_hash, getattr(column, "drop", False)])
    drops = [each for each in config.processors if isinstance(each, DropColumnsProcessor)]
    seed = None
    if config.seed_config:
        seed = {"config": hashed_fields(config.seed_config), "digest": seed_digest}
    hashed: dict[str, Any] = {
        "config_hash_version": CONFIG_HASH_VERSION,
        "columns": columns,
        "processors": [hashed_fields(processor) for processor in drops],
        "seed": config.seed,
        "seed_config": seed,
    }
    # Absent where unused: so the hashes of files without them are those of releases that did not know them.
    if config.constraints:
        hashed["constraints"] = _hashed_constraints(config.constraints)
    if config.select is not None:
        hashed["select"] = hashed_fields(config.select)
    return digest(hashed)


def _hashed_constraints(constraints: Iterable[Constraint]) -> list[dict[str, Any]]:
    """Constraints hold together, so their order does not count."""
    return sorted(map(hashed_fields, constraints), key=canonical_json)


def _column_hashes(
    config: DatasetConfig,
    graph: ColumnGraph,
    seed_columns: tuple[str, ...],
    seed_digest: str | None,
) -> dict[str, str]:
    by_name: dict[str, Column] = {column.name: column for column in config.columns}
    hashes = {name: _seed_column_hash(config, name, seed_digest) for name in seed_columns}
    for name in graph.order:
        reads = {
            other: hashes.get(other) or _seed_column_hash(config, other, seed_digest)
            for other in sorted(graph.dependencies[name])
        }
        own = {
            key: value
            for key, value in hashed_fields(by_name[name]).items()
            if key not in ("name", "drop")
        }
        context = (
            _context(by_name[name], config)
            | _choices(by_name[name], config)
            | _bound_context(name, graph, by_name, hashes)
        )
        hashes[name] = digest({"column": own, "reads": reads, **context})
        for side_effect in side_effects_of(by_name[name]):
            hashes[side_effect] = digest({"side_effect": side_effect, "of": hashes[name]})
    return hashes


def _choices(column: Column, config: DatasetConfig) -> dict[str, Any]:
    """What the filter `random` draws from, for columns whose templates use it."""
    templates = templates_of(column).values()
    if not any(map(chooses, templates)):
        return {}
    return {"choices": {"name": column.name, "seed": config.seed}}


def _bound_context(
    name: str, graph: ColumnGraph, columns: Mapping[str, Column], hashes: Mapping[str, str]
) -> dict[str, Any]:
    """The constraints of a sampler, with everything that decides which of its draws they accept."""
    for bound in graph.bounds:
        if name in bound.samplers:
            inputs = {other: hashes.get(other, "seed") for other in sorted(bound.inputs)}
            steps = {
                other: hashed_fields(columns[other]) | _branch_order(columns[other])
                for other in bound.steps
            }
            for own in steps.values():
                own.pop("drop", None)
            constraints = _hashed_constraints(bound.constraints)
            return {"bound": {"constraints": constraints, "steps": steps, "inputs": inputs}}
    return {}


def _branch_order(column: Column) -> dict[str, Any]:
    """The order of conditions, which canonical JSON does not keep: the first that holds counts."""
    if not isinstance(column, SamplerColumn) or len(column.conditional_params) < 2:
        return {}
    return {"conditions": list(column.conditional_params)}


def _rule(column: SamplerColumn) -> dict[str, Any]:
    """Which rule a sampler follows, where a release changed it: whole numbers of reals with decimal places are rounded once."""
    if column.convert_to != "int":
        return {}
    for params in column.every_params:
        if getattr(params, "decimal_places", None) is not None:
            return {"rule": 2}
    return {}


def _context(column: Column, config: DatasetConfig) -> dict[str, Any]:
    """What a column's values depend on besides its own parameters and the columns it reads."""
    context: dict[str, Any] = {}
    match column:
        case SamplerColumn():
            context["name"] = column.name
            context["seed"] = config.seed
            context |= _branch_order(column)
            context |= _rule(column)
        case ModelColumn():
            context |= _model_context(column, column.model_alias, config)
            order = order_sensitive_part(column)
            if order:
                context["order"] = order
            context |= _tool_context(column, config)
        case CustomColumn():
            models = {}
            for alias in column.model_aliases or ():
                models[alias] = _model_context(column, alias, config)
            if models:
                context["models"] = models
            if is_whole_column(column):
                context["row_group_size"] = config.row_group_size
        case ExpressionColumn() | ValidationColumn() | SeedColumn():
            pass
    return context


def _tool_context(column: Column, config: DatasetConfig) -> dict[str, Any]:
    """The tools that a model may call; which are allowed has no order."""
    tools = tool_config_of(column, config)
    if tools is None:
        return {}
    allowed = None if tools.allow_tools is None else sorted(set(tools.allow_tools))
    return {"tools": {**hashed_fields(tools), "allow_tools": allowed}}


def _model_context(column: Column, alias: str, config: DatasetConfig) -> dict[str, Any]:
    """A model and those that step in for it."""
    fallbacks = {model.alias: model.fallback for model in config.model_configs}
    context = _one_model_context(column, alias, config)
    later = [_one_model_context(column, other, config) for other in later_aliases(alias, fallbacks)]
    if later:
        context["fallbacks"] = later
    return context


def _one_model_context(column: Column, alias: str, config: DatasetConfig) -> dict[str, Any]:
    models = {model.alias: model for model in config.model_configs}
    providers = {provider.name: provider for provider in config.model_providers}
    model = models[alias]
    provider = providers[model.provider]
    simulated = provider.provider_type == "simulated"
    context: dict[str, Any] = {"model": hashed_fields(model)}
    context["provider"] = hashed_fields(provider)
    # Replies of the simulated provider, and parameters that are drawn, also depend on the record's own random words.
    if simulated or is_drawn(model.inference_parameters):
        context |= {"name": column.name, "seed": config.seed}
    length = provider.simulation.tokens_of(column.name)
    if length is not None and simulated:
        context["reply_tokens"] = hashed_fields(length)
    return context


def _seed_column_hash(config: DatasetConfig, name: str, seed_digest: str | None) -> str:
    hashed_config = None
    seed = None
    if config.seed_config is not None:
        hashed_config = hashed_fields(config.seed_config)
        if config.seed_config.sampling_strategy == "shuffle":
            seed = config.seed
    return digest(
        {"seed_column": name, "seed_config": hashed_config, "digest": seed_digest, "seed": seed}
    )


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
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """`sha256:` and the hex digest of the canonical JSON of a value."""
    content = canonical_json(value).encode()
    return f"{CONFIG_HASH_ALGO}:{hashlib.sha256(content).hexdigest()}"
