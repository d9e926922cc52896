"""A dataset config that is given in Python instead of in a file: a mapping, config objects, or a builder of Data Designer.

It becomes the plain data that a file would hold, so that there is one way to read, check and fingerprint a config. What a file
can only name may stand in it as an object: functions and pydantic classes (they go by their `__name__`; the fingerprint has their
source), clients, and the data frame of the seed data (the fingerprint has its content).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from sdg_core.config.base import ConfigModel
from sdg_core.config.data_designer import BLOCK
from sdg_core.config.environment import mappings
from sdg_core.errors import ConfigError, Problem

SOURCE = "config"
"""What a config without a file is called in messages."""
_FOUND_WHEN_LOADED = frozenset({"source_hash"})


@dataclass
class InMemoryConfig:
    """data: as a file would hold it. functions: by the name that stands for them there. clients: by provider. frame: of the
    seed data, if that is one."""

    data: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    frame: Any = None


def take_apart(config: object) -> InMemoryConfig:
    """The plain data of a config, and the objects in it. Raises ConfigError for what is no config."""
    found = InMemoryConfig()
    data = dict(_mapping_of(config))
    block = data[BLOCK] = (
        dict(data[BLOCK]) if isinstance(data.get(BLOCK), Mapping) else data.get(BLOCK)
    )
    for part in (data, block):
        if isinstance(part, dict):
            _take_frame(part, found)
            _take_clients(part, found)
    if block is None:
        del data[BLOCK]
    found.data = _plain(data, found)
    return found


def is_data_frame(value: object) -> bool:
    """Whether a value is a table: of Arrow, polars, pandas, or anything else that can be handed over as Arrow data."""
    return not isinstance(value, Mapping | str) and (
        hasattr(value, "__arrow_c_stream__")
        or (hasattr(value, "collect") and hasattr(value, "collect_schema"))
    )


def _mapping_of(config: object) -> Mapping[Any, Any]:
    for method in ("get_builder_config", "to_dict"):
        if not isinstance(config, Mapping | BaseModel) and callable(
            getattr(config, method, None)
        ):
            config = getattr(config, method)()
    if isinstance(config, ConfigModel):
        return _given_fields(config)
    if isinstance(config, BaseModel):
        return config.model_dump(mode="json")
    if isinstance(config, Mapping):
        return config
    message = (
        f"expected a path, a mapping or a config object, got {type(config).__name__}"
    )
    raise ConfigError(SOURCE, [Problem("(top level)", message)])


def _given_fields(model: ConfigModel) -> dict[str, Any]:
    """What somebody gave, and the tags that tell one kind from another."""
    given: dict[str, Any] = {}
    for name in type(model).model_fields:
        if name in _FOUND_WHEN_LOADED:
            continue
        value = getattr(model, name)
        is_tag = name.endswith("_type") and value is not None
        if name in model.model_fields_set or is_tag:
            given[name] = value
    return given


def _take_frame(part: dict[str, Any], found: InMemoryConfig) -> None:
    """Take the data frame out of the seed config, where it stands for the whole, for its source, or as the source's `df`."""
    seed = part.get("seed_config")
    if is_data_frame(seed):
        found.frame = seed
        part["seed_config"] = {"source": {"seed_type": "df"}}
        return
    if not isinstance(seed, Mapping):
        return
    source = seed.get("source")
    if is_data_frame(source):
        found.frame = source
        part["seed_config"] = {**seed, "source": {"seed_type": "df"}}
    elif isinstance(source, Mapping) and is_data_frame(source.get("df")):
        found.frame = source["df"]
        without_frame = {key: value for key, value in source.items() if key != "df"}
        part["seed_config"] = {**seed, "source": without_frame}


def _take_clients(part: dict[str, Any], found: InMemoryConfig) -> None:
    providers = part.get("model_providers")
    if not isinstance(providers, list | tuple):
        return
    kept = []
    copies = [dict(each) if isinstance(each, Mapping) else each for each in providers]
    for provider in mappings(copies):
        if provider.get("client") is not None and not isinstance(
            provider["client"], str
        ):
            found.clients[str(provider.get("name"))] = provider.pop("client")
        kept.append(provider)
    part["model_providers"] = kept or providers


def _plain(value: Any, found: InMemoryConfig) -> Any:
    """A value as YAML would give it; functions and classes are kept under their names."""
    if isinstance(value, ConfigModel):
        value = _given_fields(value)
    if isinstance(value, Mapping):
        return {key: _plain(item, found) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, found) for item in value]
    if isinstance(value, Enum):
        return _plain(value.value, found)
    if isinstance(value, PurePath):
        return str(value)
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        return value.item()  # a number of numpy
    return _named(value, found.functions) if callable(value) else value


def _named(value: Callable[..., Any], known: dict[str, Callable[..., Any]]) -> str:
    """The name that stands for a function or a class, the same for the same one."""
    own = getattr(inspect.unwrap(value), "__name__", type(value).__name__)
    name = own
    number = 1
    while known.get(name, value) is not value:
        number += 1
        name = f"{own}_{number}"
    known[name] = value
    return name
