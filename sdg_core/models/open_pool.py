"""Opening the models of one run: alias to endpoint, connections opened and closed with the run.

Aliases of one provider share its client. Aliases of one model under one account share a gate, whose ceiling is the smallest
`max_parallel_requests` among them and that of the run: they are one load to the server, whatever the config calls them.
Invariant: a missing key is reported before anything is sent.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import random as system_random
from typing import TYPE_CHECKING, Any

from sdg_core.config.addresses import is_http_url
from sdg_core.config.models import ModelConfig, ModelProvider
from sdg_core.config.run import RunSettings
from sdg_core.counts import counted
from sdg_core.models.admission import Admission
from sdg_core.models.endpoint import ModelEndpoint
from sdg_core.models.gate import Gate
from sdg_core.models.parameter_support import ParameterSupport
from sdg_core.models.pool import ModelPool
from sdg_core.models.providers.client import client_of
from sdg_core.models.retry import RetryPolicy
from sdg_core.models.secrets import api_key, extra_headers
from sdg_core.models.spending import Spending
from sdg_core.models.structured_support import StructuredOutputSupport
from sdg_core.models.types import ChatClient
from sdg_core.plan.models import UsedTools
from sdg_core.system import descriptors

if TYPE_CHECKING:
    from sdg_core.models.mcp.server import McpServer
    from sdg_core.models.mcp.toolbox import Toolbox
    from sdg_core.models.serving.nodes import NodesClient
    from sdg_core.models.serving.open import Served

    Running = Mapping[str, Served | NodesClient]

_LOG = logging.getLogger(__name__)

Models = Mapping[str, tuple[ModelConfig, ModelProvider]]
Account = tuple[str, str | None, str]
"""Endpoint, API key, model: what a server counts requests by."""
NO_TOOLS = UsedTools()
NO_CLIENTS: Mapping[str, Any] = {}


@asynccontextmanager
async def open_models(
    models: Models,
    *,
    settings: RunSettings,
    env: Mapping[str, str],
    clients: Mapping[str, Any] = NO_CLIENTS,
    tools: UsedTools = NO_TOOLS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random: Callable[[], float] = system_random,
    on_notice: Callable[[str], None] = _LOG.warning,
) -> AsyncIterator[ModelPool]:
    """Endpoints for `models` (alias to model and its provider), closed on leaving.

    env: where API keys are looked up by the name that the provider gives. clients: of custom providers, by provider. tools: what
    models may call; its servers are started when they are first needed, and ended on leaving. on_notice: hears what people
    should know of a model. Servers of providers with `serve` start first and end last. Raises PermanentModelError if a key is not
    set, or a server cannot be started.
    """
    providers = {provider.name: provider for _, provider in models.values()}
    headers = {
        name: extra_headers(provider, env) for name, provider in providers.items()
    }
    keys = {name: api_key(provider, env) for name, provider in providers.items()}
    async with AsyncExitStack() as cleanup:
        running: Running = {}
        if any(provider.serve is not None for provider in providers.values()):
            start = _how_to_start(settings)
            started = start(
                [*providers.values()], env=env, base=tools.base, on_notice=on_notice
            )
            running = await cleanup.enter_async_context(started)
        placed = {}
        for alias, (model, provider) in models.items():
            if provider.name in running:
                provider = running[provider.name].provider
            placed[alias] = (model, provider)
        yield await cleanup.enter_async_context(
            _open_pool(
                placed,
                running,
                headers=headers,
                keys=keys,
                settings=settings,
                env=env,
                clients=clients,
                tools=tools,
                clock=clock,
                sleep=sleep,
                random=random,
                on_notice=on_notice,
            )
        )


@asynccontextmanager
async def _open_pool(
    models: Models,
    running: "Running",
    *,
    headers: Mapping[str, Mapping[str, str]],
    keys: Mapping[str, str | None],
    settings: RunSettings,
    env: Mapping[str, str],
    clients: Mapping[str, Any],
    tools: UsedTools,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
    on_notice: Callable[[str], None],
) -> AsyncIterator[ModelPool]:
    """The pool over providers that are where they say. running: the servers of those that are served."""
    providers = {provider.name: provider for _, provider in models.values()}
    spending = Spending(models)
    shared = _shared_by_alias(
        models, keys, settings=settings, clock=clock, on_notice=on_notice
    )
    gates = {each.gate for each in shared.values()}
    servers, toolboxes = _with_tools(tools, env)
    async with AsyncExitStack() as cleanup:
        opened: dict[str, ChatClient] = {}
        for name, provider in providers.items():
            make = partial(
                client_of,
                provider,
                api_key=keys[name],
                extra_headers=headers[name],
                own=clients,
                sleep=sleep,
            )
            opened[name] = running[name].client(make) if name in running else make()
            cleanup.push_async_callback(opened[name].aclose)
        cleanup.push_async_callback(_close, servers.values())
        for gate in gates:
            cleanup.callback(gate.close)
        endpoints: dict[str, ModelEndpoint] = {}
        for alias, (_, provider) in models.items():
            endpoints[alias] = ModelEndpoint(
                opened[provider.name],
                shared[alias].gate,
                policy=RetryPolicy(num_retries=settings.num_retries),
                sleep=sleep,
                random=random,
                formats=shared[alias].formats,
                parameters=shared[alias].parameters,
                alias=alias,
                spending=spending,
            )
        _link_fallbacks(models, endpoints)
        yield ModelPool(
            endpoints,
            models={alias: model for alias, (model, _) in models.items()},
            capacity=sum(gate.admission.ceiling for gate in gates),
            checked=[opened[name] for name in _names_to_check(models)],
            servers=servers,
            toolboxes=toolboxes,
            served=running.values(),
            spending=spending,
        )


@dataclass(frozen=True)
class _Shared:
    """What the aliases of one model under one account share. formats, parameters: learnt from the server's answers."""

    gate: Gate
    formats: StructuredOutputSupport
    parameters: ParameterSupport


def _shared_by_alias(
    models: Models,
    keys: Mapping[str, str | None],
    *,
    settings: RunSettings,
    clock: Callable[[], float],
    on_notice: Callable[[str], None],
) -> dict[str, _Shared]:
    accounts = {
        alias: _account(model, provider, keys[provider.name])
        for alias, (model, provider) in models.items()
    }
    by_account: dict[Account, _Shared] = {}
    wanted = _ceilings(models, accounts, settings)
    for account, ceiling in _within_open_files(wanted, on_notice).items():
        formats, parameters = _learnt(account, on_notice)
        by_account[account] = _Shared(
            Gate(Admission(ceiling), clock=clock), formats, parameters
        )
    return {alias: by_account[account] for alias, account in accounts.items()}


def _within_open_files(
    ceilings: Mapping[Account, int], on_notice: Callable[[str], None]
) -> dict[Account, int]:
    """Requests at once by account, fewer where the system allows for fewer connections."""
    remote = {
        account: ceiling
        for account, ceiling in ceilings.items()
        if is_http_url(account[0])
    }
    wanted = sum(remote.values())
    room = descriptors.raise_limit_for(wanted)
    if room == wanted:
        return dict(ceilings)
    on_notice(
        f"at most {counted(room, 'request')} at once instead of {wanted:,}: the limit on open files is "
        f"low; raise it with `ulimit -n 65536`"
    )
    fewer = {
        account: max(1, ceiling * room // wanted) for account, ceiling in remote.items()
    }
    return {**ceilings, **fewer}


def _names_to_check(models: Models) -> list[str]:
    """The providers that are asked whether they are there, in the order of the file."""
    checked = {
        provider.name: None
        for model, provider in models.values()
        if not model.skip_health_check
    }
    return [*checked]


def _how_to_start(
    settings: RunSettings,
) -> "Callable[..., AbstractAsyncContextManager[Running]]":
    """What starts model servers: here, or on the nodes where a pipeline's stages run."""
    if settings.executor == "ray":
        from sdg_core.models.serving.nodes import servers_on_nodes

        return servers_on_nodes
    from sdg_core.models.serving.open import model_servers

    return model_servers


def _link_fallbacks(models: Models, endpoints: Mapping[str, ModelEndpoint]) -> None:
    for alias, (model, _) in models.items():
        fallback = model.fallback
        if fallback is not None and fallback in endpoints:
            fallback_model, _ = models[fallback]
            endpoints[alias].fall_back_on(fallback_model, endpoints[fallback])


def _with_tools(
    tools: UsedTools, env: Mapping[str, str]
) -> "tuple[dict[str, McpServer], dict[str, Toolbox]]":
    """The servers whose tools models may call, by name, and what of them, by tool alias."""
    if not (tools.providers or tools.configs):
        return {}, {}
    from sdg_core.models.mcp.server import McpServer
    from sdg_core.models.mcp.toolbox import Toolbox

    servers = {
        name: McpServer(item, env=env, base=tools.base)
        for name, item in tools.providers.items()
    }
    toolboxes = {
        alias: Toolbox(config, servers) for alias, config in tools.configs.items()
    }
    return servers, toolboxes


async def _close(servers: "Iterable[McpServer]") -> None:
    await asyncio.gather(*(server.aclose() for server in servers))


def _learnt(
    account: Account, on_notice: Callable[[str], None]
) -> tuple[StructuredOutputSupport, ParameterSupport]:
    """What is going to be learnt of a model from its answers."""
    endpoint, _, model = account
    what = (
        f"structured output of model {model!r} at {endpoint} is requested in the prompt"
    )
    return (
        StructuredOutputSupport(notice=lambda reason: on_notice(f"{what}: {reason}")),
        ParameterSupport(
            notice=lambda change: on_notice(f"model {model!r} at {endpoint}: {change}")
        ),
    )


def _account(model: ModelConfig, provider: ModelProvider, key: str | None) -> Account:
    if provider.provider_type == "simulated" or provider.endpoint is None:
        return (provider.name, None, model.model)
    return (provider.endpoint.rstrip("/"), key, model.model)


def _ceilings(
    models: Models, accounts: Mapping[str, Account], settings: RunSettings
) -> dict[Account, int]:
    ceilings: dict[Account, int] = {}
    for alias, (model, _) in models.items():
        wanted = model.inference_parameters.max_parallel_requests
        wanted = min(wanted, settings.max_parallel_requests or wanted)
        ceilings[accounts[alias]] = min(wanted, ceilings.get(accounts[alias], wanted))
    return ceilings
