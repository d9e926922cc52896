"""Checks of tools, as far as they can be made without starting a server: names, references, and secrets in the file."""

from collections.abc import Iterator

from sdg_core.config.columns import ChatColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.tools import HttpMcpProvider, McpProvider, ToolConfig
from sdg_core.config.yaml_document import Problems
from sdg_core.plan.names import did_you_mean, duplicates, looks_like_env_var


def check_tools(config: DatasetConfig) -> Problems:
    """Problems of `mcp_providers`, `tool_configs`, and the columns that name one."""
    providers = [provider.name for provider in config.mcp_providers]
    aliases = [tools.tool_alias for tools in config.tool_configs]
    for index, name in duplicates(providers):
        yield (
            ("mcp_providers", index, "name"),
            f"another MCP provider is named {name!r}",
        )
    for index, alias in duplicates(aliases):
        yield (
            ("tool_configs", index, "tool_alias"),
            f"another tool config has the alias {alias!r}",
        )
    for index, provider in enumerate(config.mcp_providers):
        for path, message in _secrets(provider):
            yield ("mcp_providers", index, *path), message
    for index, tools in enumerate(config.tool_configs):
        for place, message in _provider_names(tools, providers):
            yield ("tool_configs", index, "providers", place), message
    for index, column in enumerate(config.columns):
        wanted = column.tool_alias if isinstance(column, ChatColumn) else None
        if wanted is not None and wanted not in aliases:
            yield (
                ("columns", index, "tool_alias"),
                f"no tool config has the alias {wanted!r}{did_you_mean(wanted, aliases)}",
            )


def _provider_names(tools: ToolConfig, known: list[str]) -> Iterator[tuple[int, str]]:
    for place, name in enumerate(tools.providers):
        if name not in known:
            yield place, f"mcp_providers has no {name!r}{did_you_mean(name, known)}"
        elif name in tools.providers[:place]:
            yield place, f"provider {name!r} is listed twice"


def _secrets(provider: McpProvider) -> Problems:
    """Values that are not the name of an environment variable; they are not repeated, because they may be secret."""
    if isinstance(provider, HttpMcpProvider):
        if provider.api_key is not None and not looks_like_env_var(provider.api_key):
            yield (
                ("api_key",),
                "api_key names an environment variable (such as SEARCH_API_KEY); the key itself must not be in a file",
            )
        return
    for name, value in provider.env.items():
        if not looks_like_env_var(value):
            yield (
                ("env", name),
                f"give the name of the environment variable that holds the value of {name} (as in {name}: {name}); "
                "the values themselves must not be in a file",
            )
