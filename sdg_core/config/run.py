"""Run settings: how a run goes about its work. They never change the data, so they never enter the fingerprint."""

from typing import Annotated, Any

from pydantic import Field, StrictInt

from sdg_core.config.base import ConfigModel, Number
from sdg_core.config.run_settings import RUN_SETTINGS, Executor, ResumeMode, WhenClaimed

Real = Annotated[float, Field(strict=True)]


def _setting(name: str) -> Any:
    """The default, text and bounds of a run setting."""
    setting = RUN_SETTINGS[name]
    return Field(
        default=setting.default,
        description=setting.text,
        ge=setting.at_least,
        gt=setting.above,
        le=setting.at_most,
    )


class RunSettings(ConfigModel):
    """Concurrency, retries, budgets and resume mode."""

    resume: ResumeMode = _setting("resume")
    when_claimed: WhenClaimed = _setting("when_claimed")
    max_parallel_requests: StrictInt | None = _setting("max_parallel_requests")
    num_retries: StrictInt = _setting("num_retries")
    max_failure_rate: Real = _setting("max_failure_rate")
    max_missing_rate: Real = _setting("max_missing_rate")
    stall_timeout: Real = _setting("stall_timeout")
    max_conversation_correction_steps: StrictInt = _setting(
        "max_conversation_correction_steps"
    )
    max_conversation_restarts: StrictInt = _setting("max_conversation_restarts")
    max_cost: Number | None = _setting("max_cost")
    max_tokens: StrictInt | None = _setting("max_tokens")
    max_attempts: StrictInt = _setting("max_attempts")
    executor: Executor = _setting("executor")
