"""The tools that the columns of a dataset use, with the servers that offer them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sdg_core.config.columns import ChatColumn, Column
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.tools import McpProvider, ToolConfig


@dataclass(frozen=True)
class UsedTools:
    """configs: by tool alias. providers: by name, those that the configs name. base: where their processes run."""

    configs: Mapping[str, ToolConfig] = field(default_factory=dict)
    providers: Mapping[str, McpProvider] = field(default_factory=dict)
    base: Path | None = None


def used_tools(config: DatasetConfig, *, base: Path | None) -> UsedTools:
    """What the columns use; the rest of the file's tools is not looked at."""
    aliases = {column.tool_alias for column in config.columns if isinstance(column, ChatColumn)}
    configs = {tools.tool_alias: tools for tools in config.tool_configs if tools.tool_alias in aliases}
    named = {name for tools in configs.values() for name in tools.providers}
    return UsedTools(configs, {item.name: item for item in config.mcp_providers if item.name in named}, base)


def tool_config_of(column: Column, config: DatasetConfig) -> ToolConfig | None:
    """The tools of one column; None for a column without."""
    alias = column.tool_alias if isinstance(column, ChatColumn) else None
    return next((tools for tools in config.tool_configs if tools.tool_alias == alias), None)
