"""The models and tools that the columns of a dataset use, with fallbacks and the servers that offer tools."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sdg_core.config.columns import Column
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.models import Latency, ModelConfig, ModelProvider
from sdg_core.config.tools import McpProvider, ToolConfig
from sdg_core.plan.kinds import aliases_of, tool_alias_of


@dataclass(frozen=True)
class UsedTools:
    """configs: by tool alias. providers: by name, those that the configs name. base: where their processes run."""

    configs: Mapping[str, ToolConfig] = field(default_factory=dict)
    providers: Mapping[str, McpProvider] = field(default_factory=dict)
    base: Path | None = None


def used_tools(config: DatasetConfig, *, base: Path | None) -> UsedTools:
    """What the columns use; the rest of the file's tools is not looked at."""
    aliases = {tool_alias_of(column) for column in config.columns}
    configs: dict[str, ToolConfig] = {}
    provider_names: set[str] = set()
    for tools in config.tool_configs:
        if tools.tool_alias in aliases:
            configs[tools.tool_alias] = tools
            provider_names.update(tools.providers)
    providers = {
        item.name: item for item in config.mcp_providers if item.name in provider_names
    }
    return UsedTools(configs, providers, base)


def simulated_models(
    models: Mapping[str, tuple[ModelConfig, ModelProvider]],
) -> dict[str, tuple[ModelConfig, ModelProvider]]:
    """The same aliases with simulated models, which need no key, answer at once and never fail."""
    return {
        alias: (model, _simulated(provider))
        for alias, (model, provider) in models.items()
    }


def _simulated(provider: ModelProvider) -> ModelProvider:
    quick_and_sound = {
        "latency": Latency(mean=0.0),
        "rate_limited": 0.0,
        "transient": 0.0,
        "malformed": 0.0,
    }
    return ModelProvider(
        name=provider.name,
        provider_type="simulated",
        extra_body=provider.extra_body,
        simulation=provider.simulation.model_copy(update=quick_and_sound),
    )


def tool_config_of(column: Column, config: DatasetConfig) -> ToolConfig | None:
    """The tools of one column; None for a column without."""
    alias = tool_alias_of(column)
    for tools in config.tool_configs:
        if tools.tool_alias == alias:
            return tools
    return None


def later_aliases(alias: str, fallbacks: Mapping[str, str | None]) -> list[str]:
    """The aliases that are asked after `alias`, in order. Ends before an alias that is unknown or would come again."""
    return list(_later(alias, fallbacks))


def is_circular(alias: str, fallbacks: Mapping[str, str | None]) -> bool:
    """Whether following the fallbacks of `alias` leads back to it."""
    chain = [alias, *_later(alias, fallbacks)]
    return fallbacks.get(chain[-1]) == alias


def _later(alias: str, fallbacks: Mapping[str, str | None]) -> Iterator[str]:
    seen = {alias}
    following = fallbacks.get(alias)
    while following is not None and following not in seen and following in fallbacks:
        yield following
        seen.add(following)
        following = fallbacks[following]


def used_models(config: DatasetConfig) -> dict[str, tuple[ModelConfig, ModelProvider]]:
    """Alias to model and provider, for the aliases that columns use and those that step in for them."""
    fallbacks = {model.alias: model.fallback for model in config.model_configs}
    used: set[str] = set()
    for column in config.columns:
        for alias in aliases_of(column):
            used.add(alias)
            used.update(later_aliases(alias, fallbacks))
    providers = {provider.name: provider for provider in config.model_providers}
    models = {}
    for model in config.model_configs:
        if model.alias in used:
            models[model.alias] = (model, providers[model.provider])
    return models
