"""What a function or class declares, read from its source: the same as importing it would show, without running it.

Only plain definitions can be read so: known decorators with literal arguments, annotations that mean what they say. For
anything else `StaticError` says what is in the way.
"""

import ast
import builtins
import inspect
from dataclasses import dataclass
from typing import Any

from sdg_core.plan.usercode.loader import DECORATORS, Definition, decorator_name

_RETURNED = frozenset({"str", "int", "float", "bool"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


class StaticError(ValueError):
    """A definition that only running it would show."""


@dataclass(frozen=True)
class StaticFunction:
    """metadata: as `custom_column_generator` sets it. returned: the name of the plain type that is returned, None if another."""

    parameters: tuple[str, ...]
    is_async: bool
    metadata: dict[str, Any]
    returned: str | None
    source: str


def read_function(found: Definition) -> StaticFunction:
    """What a function says of itself. Raises StaticError."""
    node, metadata = _plain_function(found)
    positional = [*node.args.posonlyargs, *node.args.args]
    annotations = [item.annotation for item in (*positional, *node.args.kwonlyargs)]
    known = _bound_names(found.tree)
    for annotation in (*annotations, node.returns):
        _check_annotation(annotation, known, found)
    names = tuple(item.arg for item in positional)
    is_async = isinstance(node, ast.AsyncFunctionDef)
    return StaticFunction(names, is_async, metadata, _name(node.returns), found.source)


def _plain_function(found: Definition) -> tuple[Function, dict[str, Any]]:
    """A function that is what its `def` says, and what its decorators declare. Raises StaticError."""
    node = found.node
    if not isinstance(node, Function):
        raise StaticError(f"{found.where}:{found.name} is not a plain function")
    if node not in found.tree.body and _definitions(found) > 1:
        raise StaticError(f"{found.where}:{found.name} is defined in several branches")
    metadata: dict[str, Any] = {}
    for decorator in node.decorator_list:
        metadata.update(_declared(decorator, found))
    return node, metadata


def read_source(found: Definition) -> str:
    """The text of a function or class, as loading it would show. Raises StaticError if only running the file says what it is."""
    if not isinstance(found.node, ast.ClassDef):
        _plain_function(found)
    elif _definitions(found) > 1:
        raise StaticError(f"{found.where}:{found.name} is defined more than once")
    return found.source


def read_constructor(found: Definition, *, base: str) -> inspect.Signature | None:
    """What a class that extends `base` takes, where its own `__init__` says so; None where that cannot be seen."""
    node = found.node
    if not isinstance(node, ast.ClassDef):
        return None
    if base not in map(decorator_name, node.bases):
        return None
    if node.decorator_list or node.keywords:
        return None
    functions = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    made = [item for item in functions if item.name == "__init__"]
    if len(made) != 1 or made[0].decorator_list:
        return None
    return _signature(made[0].args)


def _signature(arguments: ast.arguments) -> inspect.Signature:
    """Of a method, without `self`. Defaults are there or not; what they are is not looked at."""
    plain = [*arguments.posonlyargs, *arguments.args]
    first_default = len(plain) - len(arguments.defaults)
    found: list[inspect.Parameter] = []

    def add(name: str, kind: inspect._ParameterKind, has_default: bool = False) -> None:
        default = None if has_default else inspect.Parameter.empty
        found.append(inspect.Parameter(name, kind, default=default))

    for place, item in enumerate(plain):
        kind: inspect._ParameterKind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        if place < len(arguments.posonlyargs):
            kind = inspect.Parameter.POSITIONAL_ONLY
        add(item.arg, kind, place >= first_default)
    if arguments.vararg is not None:
        add(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL)
    for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        add(item.arg, inspect.Parameter.KEYWORD_ONLY, default is not None)
    if arguments.kwarg is not None:
        add(arguments.kwarg.arg, inspect.Parameter.VAR_KEYWORD)
    return inspect.Signature(found[1:] if plain else found)


def read_class(found: Definition, *, method: str | None = None) -> str:
    """The source of a class. Raises StaticError if it is none, or may get `method` from elsewhere."""
    node = found.node
    if not isinstance(node, ast.ClassDef):
        raise StaticError(
            f"{found.where}:{found.name} is not a class that its file defines"
        )
    own = {item.name for item in node.body if isinstance(item, Function)}
    if method is not None and method not in own and not node.bases:
        raise UnfitClassError(
            f"{found.name} has no method `async def {method}(self, request)`; add one"
        )
    return found.source


class UnfitClassError(ValueError):
    """A class that lacks a method."""


def _declared(decorator: ast.expr, found: Definition) -> dict[str, Any]:
    name = decorator_name(decorator)
    if name not in DECORATORS or not _is_imported_from_here(decorator, found.tree):
        raise StaticError(
            f"{found.where}:{found.name} has a decorator that is not from sdg_core.custom"
        )
    if name == "dataset_callable":
        return {}
    defaults: dict[str, Any] = {
        "required_columns": [],
        "side_effect_columns": [],
        "model_aliases": [],
        "version": None,
    }
    if not isinstance(decorator, ast.Call):
        raise StaticError(
            f"{found.where}:{found.name} has a decorator {name} that is not called"
        )
    try:
        given = {
            item.arg or "**": ast.literal_eval(item.value)
            for item in decorator.keywords
        }
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise StaticError(
            f"{found.where}:{found.name} has declarations that are not literals"
        ) from error
    if decorator.args or not given.keys() <= defaults.keys():
        raise StaticError(f"{found.where}:{found.name} has unknown declarations")
    return {**defaults, **given}


def _definitions(found: Definition) -> int:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return sum(
        isinstance(node, kinds) and node.name == found.name
        for node in ast.walk(found.tree)
    )


def _is_imported_from_here(decorator: ast.expr, tree: ast.Module) -> bool:
    """Whether a decorator is this package's, rather than something else of the same name."""
    node: ast.expr = decorator.func if isinstance(decorator, ast.Call) else decorator
    while isinstance(node, ast.Attribute):
        node = node.value
    root = node.id if isinstance(node, ast.Name) else None
    sources: list[str] = []
    for statement in tree.body:
        match statement:
            case ast.Import(names=items):
                for item in items:
                    bound = item.asname or item.name.split(".")[0]
                    if bound == root:
                        sources.append(item.name)
            case ast.ImportFrom(module=str(module), names=items):
                if root in [item.asname or item.name for item in items]:
                    sources.append(module)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if name == root:
                return False
    packages = {source.split(".")[0] for source in sources}
    return packages == {"sdg_core"}


def _check_annotation(
    annotation: ast.expr | None, known: frozenset[str], found: Definition
) -> None:
    """An annotation that cannot be resolved hides all the others from a run, so it must not be believed here."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        raise StaticError(f"{found.where}:{found.name} has annotations in quotes")
    for node in ast.walk(annotation) if annotation is not None else ():
        if (
            isinstance(node, ast.Name)
            and node.id not in known
            and not hasattr(builtins, node.id)
        ):
            raise StaticError(
                f"{found.where}:{found.name} has an annotation {node.id!r} that is not bound in its file"
            )
        if isinstance(node, ast.Name) and node.id in known & _RETURNED:
            raise StaticError(
                f"{found.where}:{found.name} has an annotation {node.id!r} that its file redefines"
            )


def _name(returns: ast.expr | None) -> str | None:
    if isinstance(returns, ast.Name) and returns.id in _RETURNED:
        return returns.id
    return None


def _bound_names(tree: ast.Module) -> frozenset[str]:
    """Names that are bound for sure once a file has run."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.Import(names=items) | ast.ImportFrom(names=items):
                for item in items:
                    bound = item.asname or item.name
                    names.add(bound.split(".")[0])
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(item.id for item in targets if isinstance(item, ast.Name))
    return frozenset(names)
