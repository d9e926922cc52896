"""Classes of the user that are stages: made with the parameters of the file, or read from their source and not run."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sdg_core.custom import Stage
from sdg_core.plan.usercode.functions import UserFunctionError, hash_of_text
from sdg_core.plan.usercode.loader import Definition
from sdg_core.plan.usercode.static import read_constructor
from sdg_core.system.user_calls import call_user, what_raised


@dataclass(frozen=True)
class Looking:
    """Code is read, not run. own: what only running it shows is run after all, since the file is the user's own."""

    own: bool


def made_stage(kind: type[Stage], params: Mapping[str, Any]) -> Stage:
    """An object of the user's class. Raises UserFunctionError."""
    _check_params(inspect.signature(kind), params, name=kind.__name__)
    try:
        return call_user(partial(kind, **params))
    except Exception as error:  # user code may raise anything
        raise UserFunctionError("params", f"{kind.__name__} raised {what_raised(error)}") from error


def _check_params(taken: inspect.Signature, params: Mapping[str, Any], *, name: str) -> None:
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
