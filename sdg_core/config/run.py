"""Run settings: how a run goes about its work. They never change the data, so they never enter the fingerprint."""

from typing import Annotated, Literal

from pydantic import Field

from sdg_core.config.base import ConfigModel, NonNegativeInt, PositiveInt, Rate

ResumeMode = Literal["if_possible", "always", "never"]
WhenClaimed = Literal["wait", "refuse"]
Executor = Literal["local", "ray"]


class RunSettings(ConfigModel):
    """Concurrency, retries, budgets and resume mode.

    when_claimed: what to do about row groups that another run is working on: make the rest and wait for them, or refuse to begin.
    max_parallel_requests: most requests under way at once, per model; lowers what the models allow, never raises it.
    num_retries: further attempts after a retryable failure of one request; rate limits do not count.
    max_failure_rate: share of failed records above which a run stops (judged from 20 records on).
    max_missing_rate: share of records that post-generation may leave out because they failed for good.
    stall_timeout: seconds without a single success after which a run stops.
    max_conversation_correction_steps: how often a model is told what is wrong with a reply that cannot be used.
    max_conversation_restarts: how often it is asked afresh after that, with as many corrections each time.
    max_cost, max_tokens: what the models of a dataset may use in all, in the currency of their prices and in tokens of prompts
    and replies; a run stops before the request that could pass it, and goes on with a higher one.
    max_attempts: runs in which a task of a pipeline may fail before its source is given up until it changes.
    executor: where the functions and quality rules of a pipeline run: in this process, or on the machines of a Ray cluster.
    """

    resume: ResumeMode = "if_possible"
    when_claimed: WhenClaimed = "wait"
    max_parallel_requests: PositiveInt | None = None
    num_retries: NonNegativeInt = 4
    max_failure_rate: Rate = 0.5
    max_missing_rate: Rate = 0.0
    stall_timeout: Annotated[float, Field(gt=0, strict=True)] = 600.0
    max_conversation_correction_steps: NonNegativeInt = 1
    max_conversation_restarts: NonNegativeInt = 2
    max_attempts: PositiveInt = 3
    executor: Executor = "local"
    max_cost: Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)] | None = None
    max_tokens: PositiveInt | None = None
