"""What the models of a run have used so far, and the limit that no request may pass (`run.max_cost`, `run.max_tokens`).

Before a request is sent, the most that it can use is set aside: its prompt at one token a byte, and `max_tokens` for the reply.
A request goes out only if what was paid, what is set aside for requests under way, and its own share stay within the limit.
One that does not fit waits, because replies mostly use less than was set aside. Once every cell under way waits, the run stops:
nothing is broken off, so nothing that was paid for is lost.

Invariant: paid + set aside <= limit, where each model has `max_tokens` and its server keeps to it. For a model without, twice
the longest reply so far is set aside, and its first request has the limit to itself; then the limit is passed by at most what
replies under way exceed that.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sdg_core.config.models import ModelConfig, ModelProvider
from sdg_core.errors import BudgetReachedError, RunAbortedError
from sdg_core.models.usage import Usage
from sdg_core.plan.usage import (
    UsageByModel,
    add_usage,
    costs,
    count_usage,
    exact_amount,
    exact_costs,
    subtract_usage,
    totals,
)

if TYPE_CHECKING:
    from sdg_core.models.request_bounds import Request

_COMPLETION_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True)
class Budget:
    """The limit of a dataset. spent_tokens, spent_cost: what earlier runs have used of it. currency: of all its prices."""

    max_cost: float | None = None
    max_tokens: int | None = None
    spent_tokens: int = 0
    spent_cost: Decimal = Decimal(0)
    currency: str = ""


@dataclass(frozen=True)
class Hold:
    """What is set aside for one request. unbounded: nothing is known of its reply, so the whole rest is."""

    alias: str
    bound: Usage
    prompt_bytes: int
    unbounded: bool = False


@dataclass
class _Seen:
    """What replies of a model have shown: the longest, and by how many tokens a prompt has exceeded its bound."""

    longest: int = 0
    excess: int = 0


@dataclass
class _Waiter:
    alias: str
    request: "Request"
    admitted: "asyncio.Future[Hold]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Spending:
    """The meter of one run and the keeper of its budget. Belongs to one event loop.

    used: by alias, all requests of this run so far. retry_reasons: by alias, why requests were sent again.
    """

    def __init__(self, models: Mapping[str, tuple[ModelConfig, ModelProvider]]) -> None:
        self._models = models
        self._budget = Budget()
        self._held: UsageByModel = {}
        self._under_way = self._unbounded = self._open_cells = 0
        self._waiting: deque[_Waiter] = deque()
        self._stopped: BudgetReachedError | None = None
        self._seen: dict[str, _Seen] = {}
        self._accounted: UsageByModel = {}
        self.used: UsageByModel = {}
        self.retry_reasons: dict[str, Counter[str]] = {}

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit to keep."""
        return self._budget.max_cost is not None or self._budget.max_tokens is not None

    def keep_to(self, budget: Budget) -> None:
        """Keep to a budget from now on."""
        self._budget = budget

    @contextmanager
    def cell(self) -> Iterator[None]:
        """A cell is under way: from its first request until its value is kept."""
        self._open_cells += 1
        try:
            yield
        finally:
            self._open_cells -= 1
            self._look()

    async def admit(self, alias: str, request: "Request") -> Hold | None:
        """Set aside what a request can use, when there is room for it; None without a limit.

        Raises BudgetReachedError once nothing is under way that could leave room, and from then on: the run is about to end, and
        would break off whatever is sent now.
        """
        if not self.is_limited:
            return None
        if self._stopped is not None:
            raise self._stopped
        hold = self._hold(alias, request)
        if not self._waiting and self._fits(hold):
            return self._take(hold)
        waiter = _Waiter(alias, request)
        self._waiting.append(waiter)
        self._look()
        try:
            return await waiter.admitted
        except asyncio.CancelledError:
            if (
                waiter.admitted.done()
                and not waiter.admitted.cancelled()
                and waiter.admitted.exception() is None
            ):
                self._release(waiter.admitted.result())
            self._look()
            raise

    def settle(
        self, alias: str, hold: Hold | None, usage: Usage, *, answered: bool
    ) -> None:
        """A request has ended, with a reply or without: count what it used, and give back what was set aside.

        Raises RunAbortedError if a limit cannot be kept because the server does not say what a reply has used.
        """
        count_usage(self.used, alias, vars(usage))
        if hold is None:
            return
        self._release(hold)
        if answered:
            self._learn(hold, usage)
        self._look()

    def account(self, usage_by_alias: Mapping[str, Usage]) -> None:
        """A journal or a file is going to count so much of what was used."""
        for alias, usage in usage_by_alias.items():
            count_usage(self._accounted, alias, vars(usage))

    @property
    def cost(self) -> dict[str, float]:
        """The money that this run has used so far, per currency; empty without prices."""
        return totals(costs(self.used, (model for model, _ in self._models.values())))

    @property
    def retries(self) -> int:
        """Requests that were sent again so far."""
        return sum(counts.get("retries", 0) for counts in self.used.values())

    @property
    def unaccounted(self) -> UsageByModel:
        """What was used for cells that came to nothing, because the run ended while they were under way."""
        rest: UsageByModel = {}
        for alias, counts in subtract_usage(self.used, self._accounted).items():
            rest[alias] = {name: max(0, count) for name, count in counts.items()}
        return rest

    def retried(self, alias: str, reason: str) -> None:
        """A request is going to be sent again."""
        self.retry_reasons.setdefault(alias, Counter())[reason] += 1
        count_usage(self.used, alias, {"retries": 1})

    def _take(self, hold: Hold) -> Hold:
        self._under_way += 1
        self._unbounded += hold.unbounded
        self._held = add_usage(self._held, {hold.alias: vars(hold.bound)})
        return hold

    def _release(self, hold: Hold) -> None:
        self._under_way -= 1
        self._unbounded -= hold.unbounded
        given_back = {name: -count for name, count in vars(hold.bound).items()}
        self._held = add_usage(self._held, {hold.alias: given_back})

    def _look(self) -> None:
        """Admit whom there is room for, first come first served; end the run if all that is under way waits for room."""
        while self._waiting:
            first = self._waiting[0]
            if first.admitted.done():
                self._waiting.popleft()
                continue
            hold = self._hold(first.alias, first.request)
            if not self._fits(hold):
                break
            self._waiting.popleft()
            first.admitted.set_result(self._take(hold))
        if (
            self._waiting
            and not self._under_way
            and self._open_cells <= len(self._waiting)
        ):
            self._stop()

    def _stop(self) -> None:
        first = self._waiting[0]
        error = self._reached(self._hold(first.alias, first.request))
        self._stopped = error
        waiting = self._waiting
        self._waiting = deque()
        for waiter in waiting:
            if not waiter.admitted.done():
                waiter.admitted.set_exception(error)

    def _fits(self, hold: Hold) -> bool:
        """Whether a request stays within the limit, whatever becomes of those under way."""
        if self._unbounded or (hold.unbounded and self._under_way):
            return False
        together = add_usage(self._held, {hold.alias: vars(hold.bound)})
        return self._over(add_usage(self.used, together)) is None

    def _over(self, usage: Mapping[str, Mapping[str, int]]) -> str | None:
        """The limit that this run's usage would pass, after what earlier runs have used; None for none."""
        budget = self._budget
        if (
            budget.max_tokens is not None
            and budget.spent_tokens + tokens_of(usage) > budget.max_tokens
        ):
            return "max_tokens"
        if budget.max_cost is not None:
            cost = budget.spent_cost + self._cost(usage)
            if cost > exact_amount(budget.max_cost):
                return "max_cost"
        return None

    def _cost(self, usage: Mapping[str, Mapping[str, int]]) -> Decimal:
        models = (model for model, _ in self._models.values())
        total = Decimal(0)
        for cost, _ in exact_costs(usage, models).values():
            total += cost
        return total

    def _reached(self, hold: Hold) -> BudgetReachedError:
        budget = self._budget
        own = {hold.alias: vars(hold.bound)}
        which = self._over(add_usage(self.used, own))
        if which == "max_tokens":
            limit = f"{budget.max_tokens:,}"
            unit = "tokens"
            spent = f"{budget.spent_tokens + tokens_of(self.used):,}"
            wanted = f"{tokens_of(own):,}"
        else:
            limit = f"{budget.max_cost:g}"
            unit = budget.currency
            spent = _money(budget.spent_cost + self._cost(self.used))
            wanted = _money(self._cost(own))
        return BudgetReachedError(
            f"stopped at run.{which}: {limit} {unit} are allowed and {spent} are used; the next request to model "
            f"{hold.alias!r} may use up to {wanted} more",
            remedy=f"finished records are kept; raise run.{which} and rerun the same command to resume",
        )

    def _hold(self, alias: str, request: "Request") -> Hold:
        from sdg_core.models.request_bounds import prompt_bound
        from sdg_core.models.types import EmbeddingRequest, ImageRequest

        seen = self._seen.setdefault(alias, _Seen())
        size = prompt_bound(request)
        prompt = size + seen.excess
        pieces = _pieces(request, self._extra_body(alias, request))
        completion = 0
        unbounded = False
        if not isinstance(request, EmbeddingRequest) and self._reply_counts(alias):
            longest = self._longest_reply(alias, request)
            unbounded = longest is None and not seen.longest
            completion = pieces * (longest if longest is not None else 2 * seen.longest)
        bound = Usage(
            requests=1,
            prompt_tokens=prompt,
            cached_tokens=prompt if self._cache_costs_more(alias) else 0,
            completion_tokens=completion,
            images=pieces if isinstance(request, ImageRequest) else 0,
        )
        return Hold(alias, bound, size, unbounded)

    def _reply_counts(self, alias: str) -> bool:
        prices = self._models[alias][0].prices
        return self._budget.max_tokens is not None or (
            prices is not None and prices.completion_tokens > 0
        )

    def _cache_costs_more(self, alias: str) -> bool:
        prices = self._models[alias][0].prices
        return (
            prices is not None and (prices.cached_tokens or 0.0) > prices.prompt_tokens
        )

    def _longest_reply(self, alias: str, request: "Request") -> int | None:
        """The most tokens that a reply may have, as far as the request says."""
        body = self._extra_body(alias, request)
        given = [
            body[name] for name in _COMPLETION_LIMITS if isinstance(body.get(name), int)
        ]
        if request.parameters.max_tokens is not None:
            given.append(request.parameters.max_tokens)
        return max(given, default=None)

    def _extra_body(self, alias: str, request: "Request") -> Mapping[str, Any]:
        provider = self._models[alias][1]
        return {**(provider.extra_body or {}), **(request.parameters.extra_body or {})}

    def _learn(self, hold: Hold, usage: Usage) -> None:
        seen = self._seen[hold.alias]
        if not (
            usage.prompt_tokens or usage.completion_tokens or usage.images
        ) and self._needs_tokens(hold.alias):
            raise RunAbortedError(
                f"model {hold.alias!r} does not report token usage, so run.max_cost and run.max_tokens "
                f"cannot be enforced",
                remedy="remove the limit, or use a server that reports `usage`; finished records are kept",
            )
        seen.longest = max(seen.longest, usage.completion_tokens)
        seen.excess = max(seen.excess, usage.prompt_tokens - hold.prompt_bytes)

    def _needs_tokens(self, alias: str) -> bool:
        prices = self._models[alias][0].prices
        by_token = prices is not None and (
            prices.prompt_tokens > 0 or prices.completion_tokens > 0
        )
        return self._budget.max_tokens is not None or by_token


def tokens_of(usage: Mapping[str, Mapping[str, int]]) -> int:
    """The tokens that `run.max_tokens` counts: those of prompts and of replies, over all models."""
    tokens = 0
    for counts in usage.values():
        tokens += counts.get("prompt_tokens", 0) + counts.get("completion_tokens", 0)
    return tokens


def _pieces(request: "Request", body: Mapping[str, Any]) -> int:
    """How many replies or images are asked for at once."""
    count = body.get("n", 1)
    if isinstance(count, int) and count > 0:
        return count
    return 1


def _money(amount: Decimal) -> str:
    return f"{float(amount):.6g}"
