"""Builder configs of NeMo Data Designer, so that files its users have run here unchanged.

Such a file holds its config in a `data_designer:` block (or is that block), spells out every default, and leaves the endpoints of
its providers to a registry of that library. Three things follow: the block is unwrapped; keys that say nothing here (null, empty,
or the value that means "off") are passed over, while a setting that does mean something and is not supported stays and is
reported as unknown; and the providers that the library defines by name are defined here too.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from sdg_core.config.columns import Column
from sdg_core.config.environment import mappings

BLOCK = "data_designer"
ONLY_THERE = ("library_version", "profilers", "build_stage")
"""Keys that matter only to Data Designer, whatever their value."""
OFF: Mapping[str, tuple[Any, ...]] = {
    "tool_configs": (None, []),
    "mcp_providers": (None, []),
    "constraints": (None, []),
    "processors": (None,),
    "model_configs": (None,),
    "tool_alias": (None,),
    "with_trace": ("none", False),
    "extract_reasoning_content": (False,),
    "multi_modal_context": (None, []),
    "skip": (None,),
    "propagate_skip": (True, False),
    "conditional_params": ({}, None),
    "timeout": (None,),
}
"""Values that ask for nothing."""
_PROVIDERS: Mapping[str, tuple[str, str]] = {
    "nvidia": ("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
}
"""Providers known by name alone: endpoint and environment variable of the key."""


def placeholders(raw: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The raw config with a placeholder for each provider that it names and does not define (the other library keeps them in
    a registry of its own), and what was added."""
    added: list[str] = []
    completed = dict(raw)
    wanted = [model.get("provider") for model in mappings(raw.get("model_configs"))]
    missing = _undefined(wanted, raw.get("model_providers"))
    if missing:
        providers = list(raw.get("model_providers") or [])
        for name in missing:
            providers.append({"name": name, "endpoint": "http://127.0.0.1:8000/v1"})
            added.append(
                f"model provider {name!r}, with a placeholder: write its endpoint and api_key"
            )
        completed["model_providers"] = providers
    wanted = []
    for tools in mappings(raw.get("tool_configs")):
        names = tools.get("providers")
        if isinstance(names, list):
            wanted += names
    missing = _undefined(wanted, raw.get("mcp_providers"))
    if missing:
        servers = list(raw.get("mcp_providers") or [])
        for name in missing:
            servers.append(
                {
                    "name": name,
                    "provider_type": "stdio",
                    "command": "command-of-the-server",
                }
            )
            added.append(
                f"MCP provider {name!r}, with a placeholder: write its command or endpoint"
            )
        completed["mcp_providers"] = servers
    return completed, added


def _undefined(wanted: list[Any], given: Any) -> list[str]:
    """The wanted names that no given block defines, each once."""
    if given is not None and not isinstance(given, list):
        return []
    defined = [item.get("name") for item in mappings(given or [])]
    undefined: dict[str, None] = {}
    for name in wanted:
        if isinstance(name, str) and name not in defined:
            undefined[name] = None
    return list(undefined)


def _is_inert(key: str, value: Any, known: frozenset[str]) -> bool:
    """Whether a key of the top level says nothing here."""
    if key in ONLY_THERE:
        return True
    if value is None and key in OFF:
        return True
    return key not in known and _off(key, value)


def drop_inert_keys(
    raw: dict[str, Any], known: frozenset[str]
) -> tuple[dict[str, Any], list[str]]:
    """The raw config without keys that say nothing here, and the names of those that said something to the other library.

    known: the keys that the top level has here.
    """
    ignored = [key for key in ONLY_THERE if raw.get(key)]
    top = {key: value for key, value in raw.items() if not _is_inert(key, value, known)}
    parts = (
        ("columns", _column),
        ("processors", _processor),
        ("model_configs", _model),
        ("tool_configs", _tools),
    )
    for key, drop in parts:
        items = mappings(top.get(key))
        if items:
            top[key] = [drop(item) for item in items]
    return _with_known_providers(top), ignored


def _off(key: str, value: Any) -> bool:
    """Whether a key is turned off by its value; 0 and false are told apart."""
    for off in OFF.get(key, ()):
        if value == off and type(value) is type(off):
            return True
    return False


def _column(column: dict[str, Any]) -> dict[str, Any]:
    """A column without keys that its kind does not have and that ask for nothing."""
    fields = _fields_of(column.get("column_type"))
    if fields is None:
        return column
    return {
        key: value
        for key, value in column.items()
        if key in fields or not _off(key, value)
    }


def _fields_of(kind: Any) -> frozenset[str] | None:
    for model in get_args(get_args(Column)[0]):
        if (
            issubclass(model, BaseModel)
            and model.model_fields["column_type"].default == kind
        ):
            return frozenset(model.model_fields)
    return None


def _processor(processor: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in processor.items() if key not in ONLY_THERE}


def _model(model: dict[str, Any]) -> dict[str, Any]:
    parameters = model.get("inference_parameters")
    if not isinstance(parameters, dict):
        return model
    given = dict(parameters)
    if "timeout" in given and given["timeout"] is None:
        del given["timeout"]
    return {**model, "inference_parameters": given}


def _tools(tools: dict[str, Any]) -> dict[str, Any]:
    given = dict(tools)
    if "timeout_sec" in given and given["timeout_sec"] is None:
        del given["timeout_sec"]
    return given


def _with_known_providers(raw: dict[str, Any]) -> dict[str, Any]:
    """Define the providers that models name, that the file does not define, and that everybody knows."""
    given = raw.get("model_providers") or []
    defined = [provider.get("name") for provider in mappings(given)]
    wanted = [model.get("provider") for model in mappings(raw.get("model_configs"))]
    names = [name for name in _PROVIDERS if name in wanted and name not in defined]
    if not names or not isinstance(given, list):
        return raw
    added = [
        {"name": name, "endpoint": _PROVIDERS[name][0], "api_key": _PROVIDERS[name][1]}
        for name in names
    ]
    return {**raw, "model_providers": [*given, *added]}
