"""The fingerprint: sha256 over everything that can change the data, and nothing else.

`hashed_fields` says which fields of a config model count.
Column fingerprints chain: a column's contains those of the columns it reads.

A fingerprint has a config part, known as soon as the file is read, and a seed part, the digest of the seed data's content.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sdg_core.config.columns import (
    Column,
    CustomColumn,
    ExpressionColumn,
    ModelColumn,
    SamplerColumn,
    SeedColumn,
    ValidationColumn,
)
from sdg_core.config.constraints import Constraint
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.processors import DropColumnsProcessor
from sdg_core.plan.graph import ColumnGraph
from sdg_core.plan.hashed_fields import (
    CONFIG_HASH_VERSION,
    canonical_json,
    digest,
    hashed_fields,
)
from sdg_core.plan.kinds import is_whole_column, side_effects_of, templates_of
from sdg_core.plan.models import later_aliases, tool_config_of
from sdg_core.plan.templates.engine import chooses
from sdg_core.plan.types.replies import is_drawn, order_sensitive_part


@dataclass(frozen=True)
class Fingerprint:
    """config_hash: the dataset's fingerprint, `sha256:<64 hex digits>`. column_hashes: per column, seed columns included.
    config_fingerprint, config_column_hashes: the same without the seed data's content."""

    config_hash: str
    config_fingerprint: str
    column_hashes: Mapping[str, str]
    config_column_hashes: Mapping[str, str]

    @property
    def version(self) -> str:
        """The name of this fingerprint's directory: its first 12 hex digits."""
        return version_name(self.config_hash)


def version_name(config_hash: str) -> str:
    """`sha256:0123456789ab...` as `0123456789ab`."""
    return config_hash.partition(":")[2][:12]


def split_version(name: str) -> tuple[str, int]:
    """The name of a version without its number, and that number: 1 unless `resume: never` started it beside another."""
    base, _, number = name.partition("-")
    return base, int(number or 1)


def compute_fingerprint(
    config: DatasetConfig,
    graph: ColumnGraph,
    *,
    seed_columns: tuple[str, ...] = (),
    seed_digest: str | None = None,
) -> Fingerprint:
    """The fingerprint of a checked config. Without `seed_digest` the config part stands for the whole."""
    config_columns = _column_hashes(config, graph, (), None)
    config_fingerprint = _dataset_hash(config, config_columns, None)
    if seed_digest is None and not seed_columns:
        return Fingerprint(
            config_fingerprint, config_fingerprint, config_columns, config_columns
        )
    columns = _column_hashes(config, graph, seed_columns, seed_digest)
    whole = (
        config_fingerprint
        if seed_digest is None
        else _dataset_hash(config, columns, seed_digest)
    )
    return Fingerprint(whole, config_fingerprint, columns, config_columns)


def _dataset_hash(
    config: DatasetConfig, column_hashes: Mapping[str, str], seed_digest: str | None
) -> str:
    columns = []
    for column in config.columns:
        column_hash = column_hashes.get(column.name, "seed")
        columns.append([column.name, column_hash, getattr(column, "drop", False)])
    drops = [
        each for each in config.processors if isinstance(each, DropColumnsProcessor)
    ]
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
    hashes = {
        name: _seed_column_hash(config, name, seed_digest) for name in seed_columns
    }
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
            | _constraint_context(name, graph, by_name, hashes)
        )
        hashes[name] = digest({"column": own, "reads": reads, **context})
        for side_effect in side_effects_of(by_name[name]):
            hashes[side_effect] = digest(
                {"side_effect": side_effect, "of": hashes[name]}
            )
    return hashes


def _choices(column: Column, config: DatasetConfig) -> dict[str, Any]:
    """What the filter `random` draws from, for columns whose templates use it."""
    templates = templates_of(column).values()
    if not any(map(chooses, templates)):
        return {}
    return {"choices": {"name": column.name, "seed": config.seed}}


def _constraint_context(
    name: str,
    graph: ColumnGraph,
    columns: Mapping[str, Column],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """The constraints of a sampler, with everything that decides which of its draws they accept."""
    for group in graph.constraint_groups:
        if name in group.samplers:
            inputs = {
                other: hashes.get(other, "seed") for other in sorted(group.inputs)
            }
            steps = {
                other: hashed_fields(columns[other]) | _branch_order(columns[other])
                for other in group.steps
            }
            for own in steps.values():
                own.pop("drop", None)
            constraints = _hashed_constraints(group.constraints)
            return {
                "bound": {"constraints": constraints, "steps": steps, "inputs": inputs}
            }
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
    later = [
        _one_model_context(column, other, config)
        for other in later_aliases(alias, fallbacks)
    ]
    if later:
        context["fallbacks"] = later
    return context


def _one_model_context(
    column: Column, alias: str, config: DatasetConfig
) -> dict[str, Any]:
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
        {
            "seed_column": name,
            "seed_config": hashed_config,
            "digest": seed_digest,
            "seed": seed,
        }
    )
