"""Client classes of the user: `provider_type: custom`, named in the file or passed in Python.

As with functions, the hash of a named class's source is written into the config, for the fingerprint to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.models import ModelProvider
from sdg_core.config.yaml_document import Path
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.usercode.functions import (
    UserFunctionError,
    find_callable,
    hash_of_text,
    named_definition,
    source_hash_of,
)
from sdg_core.plan.usercode.static import StaticError, UnfitClassError, read_class

METHOD = "complete"


@dataclass(frozen=True)
class ResolvedClients:
    """A config that says what its clients are, the classes or objects by the name of their provider, and what is wrong."""

    config: DatasetConfig
    clients: Mapping[str, Any]
    problems: tuple[tuple[Path, str], ...] = ()


def resolve_clients(
    config: DatasetConfig,
    *,
    base: FilePath,
    given: Mapping[str, Any],
    offline: bool = False,
) -> ResolvedClients:
    """Load every client class that the config names. `given`: clients by provider, passed in Python; they come first.

    offline: look at the source of classes and run none of it.
    """
    providers: list[ModelProvider] = []
    clients: dict[str, Any] = {}
    custom = [
        provider.name
        for provider in config.model_providers
        if provider.provider_type == "custom"
    ]
    problems: list[tuple[Path, str]] = [
        (
            ("model_providers",),
            f"clients has {name!r}, which is not a provider of provider_type: custom{did_you_mean(name, custom)}",
        )
        for name in given
        if name not in custom
    ]
    for place, provider in enumerate(config.model_providers):
        if provider.provider_type == "custom":
            try:
                provider, clients[provider.name] = _resolved(
                    provider, base=base, given=given, offline=offline
                )
            except UserFunctionError as problem:
                problems.append((("model_providers", place, problem.key), str(problem)))
        providers.append(provider)
    if custom:
        config = config.model_copy(update={"model_providers": tuple(providers)})
    return ResolvedClients(config, clients, tuple(problems))


def _resolved(
    provider: ModelProvider, *, base: FilePath, given: Mapping[str, Any], offline: bool
) -> tuple[ModelProvider, Any]:
    """The provider with the hash of its class, and the class or object. Raises UserFunctionError."""
    key = "client"
    source_hash = None
    if provider.name in given:
        client = given[provider.name]
    elif provider.client is None or ":" not in provider.client:
        written = (
            f"client {provider.client!r} is not a class"
            if provider.client
            else "a custom provider needs a client"
        )
        raise UserFunctionError(
            key,
            f"{written}: write client: module:Class or ./file.py:Class, or pass it in Python "
            f"(open_dataset(..., clients={{{provider.name!r}: ...}}))",
        )
    elif offline:
        return _read(provider, provider.client, base=base)
    else:
        client = find_callable(provider.client, key, base=base, given={}, what="class")
        source_hash = source_hash_of(client, key, version=None)
    if not callable(getattr(client, METHOD, None)):
        its_class = client if isinstance(client, type) else type(client)
        raise UserFunctionError(
            key,
            f"{its_class.__qualname__} has no method `async def {METHOD}(self, request)`; add one",
        )
    return provider.model_copy(update={"source_hash": source_hash}), client


def _read(
    provider: ModelProvider, reference: str, *, base: FilePath
) -> tuple[ModelProvider, Any]:
    """The provider with the hash of its class, whose source alone is read; None stands for the class."""
    key = "client"
    try:
        source = read_class(
            named_definition(reference, key, base=base, given={}, what="class"),
            method=METHOD,
        )
    except (StaticError, UnfitClassError) as error:
        raise UserFunctionError(key, str(error)) from error
    return provider.model_copy(update={"source_hash": hash_of_text(source)}), None
