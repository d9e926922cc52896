"""What functions of the public door say to an argument that they have no use for: which one it is, and what they take.

The types are those of the signatures, so there is no second list of them. Only what a caller may get wrong is looked at: the kind
of each argument, and the first item of a list. pydantic's `validate_call` would convert values instead of refusing them, copy and
look through whole configs, and fail on protocols.
"""

import functools
import inspect
import numbers
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from sdg_core.errors import PlanError

Function = TypeVar("Function", bound=Callable[..., Any])
_STANDS_FOR = {int: numbers.Integral, float: numbers.Real, Path: os.PathLike}
"""What else does for a type: numbers of numpy, other objects that are paths."""


def checked(function: Function, *, name: str) -> Function:
    """The same function, which raises PlanError for an argument of a type that its signature does not have. name: in messages."""
    annotations = {}
    positional = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            annotations[parameter.name] = parameter.annotation
        if parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
        ):
            positional.append(parameter.name)

    def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Too many arguments, and unknown ones, are passed over here: Python refuses them itself."""
        for argument, value in (*zip(positional, args, strict=False), *kwargs.items()):
            annotation = annotations.get(argument, Any)
            if type(value) is annotation or _fits(value, annotation):
                continue
            wanted = " or ".join(dict.fromkeys(_names(annotation)))
            raise PlanError(
                f"{name}: {argument} must be {wanted}, got {type(value).__name__}",
                remedy=f"give one of these, see help({name})",
            )

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return await function(*args, **kwargs)

        return cast("Function", wait)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        check(args, kwargs)
        return function(*args, **kwargs)

    return cast("Function", call)


def _fits(value: object, annotation: Any) -> bool:
    """Whether a value may be of a type. What cannot be told may be."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _fits(value, get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(annotation))
    if origin is Literal:
        return isinstance(value, str) and value in get_args(annotation)
    if annotation is None:
        return value is None
    kind = annotation if origin is None else origin
    if (
        not isinstance(kind, type)
        or kind in (Any, inspect.Parameter.empty)
        or getattr(kind, "_is_protocol", False)
    ):
        return True
    stands_for = cast("type", _STANDS_FOR.get(kind, kind))
    return isinstance(value, stands_for) and _items_fit(
        value, kind, get_args(annotation)
    )


def _items_fit(value: Any, kind: type, parts: tuple[Any, ...]) -> bool:
    """Whether the first item of a list or mapping may be of its type. Text is no list: one of its letters is never meant."""
    if isinstance(value, str | bytes):
        return not issubclass(kind, Iterable) or issubclass(kind, str | bytes)
    if kind is Iterable and not isinstance(value, Collection | Iterator):
        return False  # a config object, whose items are its fields
    if isinstance(value, Mapping) and issubclass(kind, Mapping) and parts:
        return all(
            _fits(key, parts[0]) and _fits(value[key], parts[1]) for key in [*value][:1]
        )
    if isinstance(value, list | tuple | Mapping) and parts:
        return all(_fits(item, parts[0]) for item in [*value][:1])
    return True


def _names(annotation: Any) -> list[str]:
    """What a type is called in a message."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _names(get_args(annotation)[0])
    if origin in (Union, UnionType):
        names: list[str] = []
        for part in get_args(annotation):
            names += _names(part)
        return names
    if origin is Literal:
        return [repr(value) for value in get_args(annotation)]
    if annotation in (None, NoneType):
        return ["None"]
    if origin is None:
        return [getattr(annotation, "__name__", str(annotation))]
    name = getattr(origin, "__name__", str(annotation))
    parts = get_args(annotation)
    inner = _names(parts[0]) if parts else []
    if not inner or name == "Callable":
        return [name]
    return [f"{name} of {inner[0]}"]
