"""The run config of the row groups: what the launchpad offers for one run, and what it makes of it.

What is left out comes from the dataset file. Values that cannot be used end the run before it reads or writes anything.
"""

from collections.abc import Sequence
from copy import copy
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import dagster as dg
from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    create_model,
    model_validator,
)

from sdg_assets.assets.sealed_guard import RUN_CONFIG, refuse
from sdg_core import api
from sdg_core.api import RUN_SETTINGS, ExecutorChoice, ResumeChoice, WhenClaimedChoice
from sdg_core.errors import PlanError

if TYPE_CHECKING:
    from sdg_core.api import ResumeMode, RunSettings


def run_setting(name: str) -> Any:
    """The field of a run setting: left out, the file says it."""
    setting = RUN_SETTINGS[name]
    return Field(
        default=None,
        description=setting.text,
        ge=setting.at_least,
        gt=setting.above,
        le=setting.at_most,
    )


class CheckedConfig(dg.Config):
    """Run config whose faults are one readable message: value, place, remedy.

    They do not keep it from being made: only inside the step can a run be cancelled for them, so the step calls `check` first.
    """

    _faults: str | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _readable(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            lines = ""
            for fault in error.errors():
                field = ".".join(map(str, fault["loc"]))
                lines += f"\n  {field} is {fault['input']!r}: {fault['msg']}"
            remedy = "correct it in the launchpad or the run's config file, or remove it; nothing was done"
            usable = handler({})
            usable._faults = f"invalid run config:{lines}\n  -> {remedy}"
            return usable

    def check(self, context: dg.AssetExecutionContext) -> None:
        """Cancel the run if a value cannot be used: nothing was touched. Raises DagsterExecutionInterruptedError."""
        if self._faults is not None:
            refuse(context, f"Run rejected: {self._faults}", kind=RUN_CONFIG, file=None)


class RunConfig(CheckedConfig):
    """What a run of a dataset and one of a pipeline offer alike."""

    resume: ResumeChoice | None = run_setting("resume")
    when_claimed: WhenClaimedChoice | None = run_setting("when_claimed")
    max_parallel_requests: int | None = run_setting("max_parallel_requests")
    num_retries: int | None = run_setting("num_retries")
    max_failure_rate: float | None = run_setting("max_failure_rate")
    stall_timeout: float | None = run_setting("stall_timeout")
    max_conversation_correction_steps: int | None = run_setting(
        "max_conversation_correction_steps"
    )
    max_conversation_restarts: int | None = run_setting("max_conversation_restarts")
    max_cost: float | None = run_setting("max_cost")
    max_tokens: int | None = run_setting("max_tokens")

    def resume_mode(self) -> "ResumeMode | None":
        """The resume mode as the engine knows it."""
        return api.resume_mode(self.resume)

    def changes(self) -> dict[str, Any]:
        """Run settings that this run replaces; the resume mode is an argument of its own."""
        given = self.model_dump(
            include={*api.RunSettings.model_fields} - {"resume"}, exclude_none=True
        )
        changes = {}
        for name, value in given.items():
            changes[name] = value.value if isinstance(value, Enum) else value
        return changes


class SourcesConfig(RunConfig):
    """Settings of one run; what is left out comes from the pipeline file's `run` block."""

    retry: bool = Field(
        default=False,
        description="Retry sources that were given up after too many attempts.",
    )
    executor: ExecutorChoice | None = run_setting("executor")


class GenerateConfig(RunConfig):
    """Settings of one run; what is left out comes from the dataset file's `run` block."""

    subset: str | None = Field(
        default=None,
        description="Row groups of the run's partitions to generate, for example 0-3,7. Default: all. "
        "The others are left untouched, and nothing is recorded for them.",
    )

    def settings(self, base: "RunSettings") -> "RunSettings":
        """The dataset's run settings with this run's on top."""
        return base.model_copy(update=self.changes())

    def row_groups(self, partitions: Sequence[int], *, count: int) -> list[int]:
        """Those of the run's row groups that it is to work at. count: how many the dataset has. Raises PlanError."""
        if self.subset is None:
            return list(partitions)
        try:
            chosen = api.parse_row_groups(self.subset, count)
        except PlanError as error:
            raise PlanError(
                f"run config, subset: {error.message}", remedy=error.remedy
            ) from None
        outside = sorted(set(chosen) - set(partitions))
        if outside:
            raise PlanError(
                f"run config, subset: {self.subset!r} names row groups {api.format_ranges(outside)}, "
                f"which are not partitions of this run; it has {api.format_ranges(partitions)}",
                remedy="choose from these, or start the run for the missing partitions; nothing was generated",
            )
        return list(chosen)


def offering(config: type[RunConfig], run: "RunSettings") -> type[RunConfig]:
    """The same run config with the settings of this `run` block as its defaults, so that the launchpad offers them to be changed.
    Definitions are loaded for every run, so they are what the file says."""
    known: dict[str, Any] = {}
    for name in config.model_fields:
        value = getattr(run, name, None)
        if value is not None:
            known[name] = value
    known["resume"] = ResumeChoice(run.resume)
    known["when_claimed"] = WhenClaimedChoice(run.when_claimed)
    if "executor" in known:
        known["executor"] = ExecutorChoice(run.executor)
    return _with_defaults(config, tuple(known.items()))


@cache
def _with_defaults(
    config: type[RunConfig], defaults: tuple[tuple[str, Any], ...]
) -> type[RunConfig]:
    """One class for all files with the same settings: making one takes longer than reading a file."""
    fields: dict[str, Any] = {}
    for name, value in defaults:
        field = copy(config.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    return create_model(
        config.__name__, __base__=config, __doc__=config.__doc__, **fields
    )
