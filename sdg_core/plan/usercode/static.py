"""What a function or class declares, read from its source: the same as importing it would show, without running it.

Only plain definitions can be read so: known decorators with literal arguments, annotations that mean what they say. For
anything else `StaticError` says what is in the way.
"""

import ast
import builtins
from collections.abc import Iterator
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
    node = found.node
    if not isinstance(node, Function):
        raise StaticError(f"{found.where}:{found.name} is not a plain function")
    if node not in found.tree.body and _definitions(found) > 1:
        raise StaticError(f"{found.where}:{found.name} is defined in several branches")
    metadata: dict[str, Any] = {}
    for decorator in node.decorator_list:
        metadata.update(_declared(decorator, found))
    arguments = node.args
    names = tuple(item.arg for item in (*arguments.posonlyargs, *arguments.args))
    annotations = [item.annotation for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    known = _bound_names(found.tree)
    for annotation in (*annotations, node.returns):
        _check_annotation(annotation, known, found)
    return StaticFunction(names, isinstance(node, ast.AsyncFunctionDef), metadata, _name(node.returns), found.source)


def read_class(found: Definition, *, method: str | None = None) -> str:
    """The source of a class. Raises StaticError if it is none, or may get `method` from elsewhere."""
    node = found.node
    if not isinstance(node, ast.ClassDef):
        raise StaticError(f"{found.where}:{found.name} is not a class that its file defines")
    own = {item.name for item in node.body if isinstance(item, Function)}
    if method is not None and method not in own and not node.bases:
        raise UnfitClassError(f"{found.name} has no method `async def {method}(self, request)`; add one")
    return found.source


class UnfitClassError(ValueError):
    """A class that lacks a method."""


def _declared(decorator: ast.expr, found: Definition) -> dict[str, Any]:
    name = decorator_name(decorator)
    if name not in DECORATORS or not _is_imported_from_here(decorator, found.tree):
        raise StaticError(f"{found.where}:{found.name} has a decorator of its own")
    if name == "dataset_callable":
        return {}
    defaults: dict[str, Any] = {
        "required_columns": [],
        "side_effect_columns": [],
        "model_aliases": [],
        "version": None,
    }
    if not isinstance(decorator, ast.Call):
        raise StaticError(f"{found.where}:{found.name} has a decorator {name} that is not called")
    try:
        given = {item.arg or "**": ast.literal_eval(item.value) for item in decorator.keywords}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise StaticError(f"{found.where}:{found.name} declares what is not written out") from error
    if decorator.args or not given.keys() <= defaults.keys():
        raise StaticError(f"{found.where}:{found.name} declares what is not known here")
    return {**defaults, **given}


def _definitions(found: Definition) -> int:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return sum(isinstance(node, kinds) and node.name == found.name for node in ast.walk(found.tree))


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
                sources += [item.name for item in items if (item.asname or item.name.split(".")[0]) == root]
            case ast.ImportFrom(module=str(module), names=items):
                sources += [module for item in items if (item.asname or item.name) == root]
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if name == root:
                return False
    return bool(sources) and all(source.split(".")[0] == "sdg_core" for source in sources)


def _check_annotation(annotation: ast.expr | None, known: frozenset[str], found: Definition) -> None:
    """An annotation that cannot be resolved hides all the others from a run, so it must not be believed here."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        raise StaticError(f"{found.where}:{found.name} has annotations in quotes")
    for node in ast.walk(annotation) if annotation is not None else ():
        if isinstance(node, ast.Name) and node.id not in known and not hasattr(builtins, node.id):
            raise StaticError(f"{found.where}:{found.name} has an annotation {node.id!r} that is not bound in its file")
        if isinstance(node, ast.Name) and node.id in known & _RETURNED:
            raise StaticError(
                f"{found.where}:{found.name} has an annotation {node.id!r} that its file gives another meaning"
            )


def _name(returns: ast.expr | None) -> str | None:
    return returns.id if isinstance(returns, ast.Name) and returns.id in _RETURNED else None


def _bound_names(tree: ast.Module) -> frozenset[str]:
    """Names that are bound for sure once a file has run."""

    def names() -> Iterator[str]:
        for node in tree.body:
            match node:
                case ast.Import(names=items) | ast.ImportFrom(names=items):
                    yield from ((item.asname or item.name).split(".")[0] for item in items)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    yield name
                case ast.Assign(targets=targets):
                    yield from (item.id for item in targets if isinstance(item, ast.Name))

    return frozenset(names())
