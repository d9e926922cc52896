"""The user's functions and classes that are stages: loaded, classes made with the parameters of the file; or read, not run."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sdg_core.config.pipeline import FunctionStage
from sdg_core.custom import Stage
from sdg_core.pipelines.plan import StagePlan
from sdg_core.plan.usercode.functions import (
    UserFunctionError,
    find_callable,
    hash_of_text,
    read_definition,
    source_hash_of,
    unloaded,
)
from sdg_core.plan.usercode.loader import Definition
from sdg_core.plan.usercode.static import read_constructor
from sdg_core.system.user_calls import call_user, what_raised


@dataclass(frozen=True)
class StaticReading:
    """Code is read, not run. own: what only running it shows is run after all, since the file is the user's own."""

    own: bool


@dataclass(frozen=True)
class UserCode:
    """Where the user's code of a pipeline is found. base: where paths start. given: functions that Python passed, by name.
    static_reading: None to load what the file names."""

    base: Path
    given: Mapping[str, Callable[..., Any]]
    static_reading: StaticReading | None


def resolve_function(
    plan: StagePlan, stage: FunctionStage, code: UserCode
) -> tuple[StagePlan, str | None]:
    """A `function` stage with what it calls, and the hash of that. Raises UserFunctionError."""
    mark: str | None
    given = code.given.get(stage.function)
    if isinstance(given, Stage):
        mark = source_hash_of(type(given), "function", version=stage.version)
        return replace(plan, own=given), mark
    if given is None and code.static_reading is not None:
        found = read_definition(
            stage.function, "function", base=code.base, own=code.static_reading.own
        )
        if found is not None:
            mark = read_mark(found, stage.params)
            return replace(plan, call=unloaded(stage.function)), mark
    call = find_callable(stage.function, "function", base=code.base, given=code.given)
    mark = source_hash_of(call, "function", version=stage.version)
    if inspect.isclass(call) and issubclass(call, Stage):
        return replace(plan, own=made_stage(call, stage.params)), mark
    return replace(plan, call=call), mark


def made_stage(kind: type[Stage], params: Mapping[str, Any]) -> Stage:
    """An object of the user's class. Raises UserFunctionError."""
    _check_params(inspect.signature(kind), params, name=kind.__name__)
    try:
        return call_user(partial(kind, **params))
    except Exception as error:  # user code may raise anything
        raise UserFunctionError(
            "params", f"{kind.__name__} raised {what_raised(error)}"
        ) from error


def _check_params(
    taken: inspect.Signature, params: Mapping[str, Any], *, name: str
) -> None:
    """Raise UserFunctionError for parameters that a class does not take."""
    try:
        taken.bind(**params)
    except TypeError as error:
        names = ", ".join(taken.parameters) or "none"
        raise UserFunctionError("params", f"{error}; {name} takes {names}") from error


def read_mark(found: Definition, params: Mapping[str, Any]) -> str:
    """The hash of a function or class that was read. Raises UserFunctionError for parameters that it plainly does not take."""
    taken = read_constructor(found, base=Stage.__name__)
    if taken is not None:
        _check_params(taken, params, name=found.name)
    return hash_of_text(found.source)
