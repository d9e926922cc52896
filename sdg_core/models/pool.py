"""The models of one run, by alias. `open_pool.py` opens them, and is imported only where there are any."""

import asyncio
import logging
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sdg_core.config.models import ModelConfig
from sdg_core.counts import counted
from sdg_core.errors import ModelError, PermanentModelError, PlanError
from sdg_core.models.spending import Spending
from sdg_core.plan.checks.budget import budget_faults
from sdg_core.plan.dataset_plan import DatasetPlan

if TYPE_CHECKING:
    from sdg_core.models.endpoint import ModelEndpoint
    from sdg_core.models.health import ModelHealth
    from sdg_core.models.mcp.server import McpServer
    from sdg_core.models.mcp.toolbox import Toolbox, ToolHealth
    from sdg_core.models.serving.nodes import NodesClient
    from sdg_core.models.serving.open import Served
    from sdg_core.models.types import ChatClient

_LOG = logging.getLogger(__name__)


class ModelPool(Mapping[str, "ModelEndpoint"]):
    """Endpoints by alias. Made by `open_pool.open_models`, or without any by `open_models_of`.

    capacity: requests that all of them together can have open at most. toolboxes: by tool alias. spending: what they have used.
    """

    def __init__(
        self,
        endpoints: "Mapping[str, ModelEndpoint]",
        *,
        models: Mapping[str, ModelConfig],
        capacity: int,
        checked: "Sequence[ChatClient]",
        servers: "Mapping[str, McpServer]",
        toolboxes: "Mapping[str, Toolbox]",
        spending: Spending,
        served: "Iterable[Served | NodesClient]" = (),
    ) -> None:
        self.capacity = capacity
        self.spending = spending
        self._served = [*served]
        self.toolboxes = toolboxes
        self._servers = servers
        self._models = models
        self._endpoints = endpoints
        self._checked = checked

    def __getitem__(self, alias: str) -> "ModelEndpoint":
        return self._endpoints[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._endpoints)

    def __len__(self) -> int:
        return len(self._endpoints)

    @property
    def starting(self) -> bool:
        """Whether a model server of this run has died and is not ready again yet."""
        return any(served.is_starting for served in self._served)

    @property
    def last_error(self) -> str | None:
        """What a model refused or broke off with since it last answered; None if all answer."""
        for alias, endpoint in self._endpoints.items():
            fault = endpoint.last_error
            if fault is not None:
                return f"model {alias!r}: {fault.message}"
        return None

    async def check_models(self) -> "tuple[ModelHealth, ...]":
        """Ask each alias once, with a tiny request: what `sdg check-models` shows. Failures are rows, not errors."""
        from sdg_core.models.health import check_health

        return await check_health(self._endpoints, self._models)

    async def check_tools(self) -> "tuple[ToolHealth, ...]":
        """Open each MCP provider and list its tools, then what each tool alias allows. Failures are rows, not errors."""
        from sdg_core.models.mcp.toolbox import check_tools

        return await check_tools(self._servers, self.toolboxes)

    async def check(self) -> None:
        """Make sure that the providers answer and accept their keys, and that the tools are there.

        Raises PermanentModelError naming each that does not. No model is asked.
        """
        work = [client.check() for client in self._checked]
        tools = [box.tools() for box in self.toolboxes.values()]
        outcomes = await asyncio.gather(*work, *tools, return_exceptions=True)
        failures = [
            outcome for outcome in outcomes if isinstance(outcome, BaseException)
        ]
        for failure in failures:
            if len(failures) == 1 or not isinstance(failure, ModelError):
                raise failure
        if failures:
            lines = [f"{counted(len(failures), 'provider')} cannot be used"]
            lines += dict.fromkeys(map(str, failures))
            raise PermanentModelError("\n".join(lines))


@asynccontextmanager
async def open_models_of(
    plan: DatasetPlan,
    *,
    env: Mapping[str, str],
    needed: bool = True,
    on_notice: Callable[[str], None] = _LOG.warning,
) -> AsyncIterator[ModelPool]:
    """The models and tools of a plan, under its run settings; none at all if they are not `needed`. See `open_pool.open_models`.

    Raises PlanError for a budget that cannot be kept.
    """
    settings = plan.config.run
    for fault in budget_faults(settings, [model for model, _ in plan.models.values()]):
        raise PlanError(fault)
    if not needed or not (plan.models or plan.tools.configs):
        yield ModelPool(
            {},
            models={},
            capacity=0,
            checked=[],
            servers={},
            toolboxes={},
            spending=Spending({}),
        )
        return
    from sdg_core.models.open_pool import open_models

    async with open_models(
        plan.models,
        settings=settings,
        env=env,
        clients=plan.clients,
        tools=plan.tools,
        on_notice=on_notice,
    ) as models:
        yield models
