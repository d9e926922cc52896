"""Names of before, which are taken for one release beside those that replaced them."""

import functools
import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar, cast

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Fields = TypeVar("Fields", bound=type)


def takes_former_names(
    **names: str,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Let a function take arguments by their former names as well. names: the present name by the former one."""

    def decorate(
        function: Callable[Parameters, Result],
    ) -> Callable[Parameters, Result]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wait(*args: Any, **kwargs: Any) -> Any:
                return await function(*args, **_renamed(kwargs, names))

            return cast("Callable[Parameters, Result]", wait)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **_renamed(kwargs, names))

        return cast("Callable[Parameters, Result]", call)

    return decorate


def has_former_names(**names: str) -> Callable[[Fields], Fields]:
    """Let a dataclass be made with, and read by, the former names of its fields. names: the present name by the former one."""

    def decorate(fields: Fields) -> Fields:
        made_with = takes_former_names(**names)
        fields.__init__ = made_with(fields.__init__)  # type: ignore[misc]
        for former, present in names.items():
            setattr(fields, former, property(attrgetter(present)))
        return fields

    return decorate


def _renamed(kwargs: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    if names.keys().isdisjoint(kwargs):
        return kwargs
    renamed = {}
    for name, value in kwargs.items():
        present = names.get(name, name)
        if present in renamed:
            raise TypeError(
                f"got {present} twice: as {present}, and by its former name"
            )
        renamed[present] = value
    return renamed
