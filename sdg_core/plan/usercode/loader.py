"""The one way to the user's code that a dataset file names: functions, classes of clients, readers and schemas.

A name is looked up in the text of a Python file first, and nothing is imported for that. Only what such a file defines can be
named: a file beside the dataset file or elsewhere in its project, or any installed file for what carries a decorator of
`sdg_core.custom`. So a dataset file cannot call whatever happens to be importable, such as `logging.config:dictConfig`.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import io
import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from types import ModuleType
from typing import Any

from sdg_core.plan.names import did_you_mean
from sdg_core.plan.project import project_of
from sdg_core.system.python_syntax import parse_python
from sdg_core.system.user_calls import call_user

DECORATORS = frozenset({"custom_column_generator", "dataset_callable"})
MAX_SOURCE_BYTES = 4 * 2**20
_MAX_REEXPORTS = 8
INSTALLED = frozenset({"site-packages", "dist-packages"})


class UserCodeError(ValueError):
    """A name that leads to no code which a dataset file may use. missing: its module was not found."""


@dataclass(frozen=True)
class Definition:
    """Where a name is defined: `node` of `tree`, the text of `path`; nothing of it has been run.

    where: the module as the dataset file writes it. own: the file belongs to the dataset's project. node: None if the name is
    bound in a way that only running the file shows. module_text: of the file that `where` is, if the name is imported there.
    """

    where: str
    name: str
    path: FilePath
    text: str
    tree: ast.Module
    node: ast.stmt | None
    own: bool
    module_text: str

    @property
    def source(self) -> str:
        """The definition's own text with its decorators, as `inspect.getsource` gives it, dedented."""
        assert self.node is not None
        first = min([self.node.lineno, *(item.lineno for item in self.decorators)])
        lines = io.StringIO(self.text).readlines()
        block = inspect.getblock(lines[first - 1 :])
        return textwrap.dedent("".join(block)).strip()

    @property
    def decorators(self) -> tuple[ast.expr, ...]:
        """The decorators of a function or class."""
        return tuple(getattr(self.node, "decorator_list", ()))


def find_definition(reference: str, *, base: FilePath, what: str) -> Definition:
    """Find `module:name` or `./file.py:name` without running anything. Relative paths start at `base`, the dataset's directory.

    Raises UserCodeError if there is no such definition, or a dataset file may not use it.
    """
    where, _, name = reference.rpartition(":")
    path = _file_of(where, base=base)
    own = _is_own(path, base=base)
    if where.endswith(".py") and not own:
        raise UserCodeError(
            f"{where} is outside the directory of the dataset file and its project; move it there, or the dataset file"
        )
    found = _definition(where, name, path, base=base, own=own, depth=0)
    if found is None:
        text, tree = _parsed(where, path)
        if not own or not _binds_dynamically(tree):
            names = [each for each, _ in _defined(tree) if not each.startswith("_")]
            raise UserCodeError(
                f"{where} has no {what} {name!r}{did_you_mean(name, names)}"
            )
        found = Definition(where, name, path, text, tree, None, own, text)
    decorators = set(map(decorator_name, found.decorators))
    if not found.own and decorators.isdisjoint(DECORATORS):
        raise UserCodeError(
            f"{reference!r} is not defined in the dataset's project and not declared for use in dataset "
            f"files; call it from a {what} of your own next to the dataset file, or decorate it with "
            f"sdg_core.custom.dataset_callable"
        )
    return found


def load_definition(found: Definition) -> Any:
    """Run the module of a definition, and return what it defines. Raises UserCodeError if that fails."""
    try:
        module = call_user(_imported, found)
    except Exception as error:
        raise UserCodeError(
            f"{found.where} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    value = getattr(module, found.name, None)
    if value is None:
        raise UserCodeError(f"{found.where} has no {found.name!r}")
    if found.node is None and not _written_in_file(value, found):
        raise UserCodeError(
            f"{found.where} does not define {found.name!r} itself; write a function or class that wraps it"
        )
    return value


def _binds_dynamically(tree: ast.Module) -> bool:
    """Whether running a file may bind names that its top level does not show."""
    plain = (
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.ImportFrom,
    )
    for node in tree.body:
        if not isinstance(node, plain):
            return True
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            return True
    return False


def _written_in_file(value: Any, found: Definition) -> bool:
    function = inspect.unwrap(value) if callable(value) else value
    target = (
        function
        if inspect.isroutine(function) or inspect.isclass(function)
        else type(function)
    )
    try:
        return FilePath(inspect.getfile(target)).resolve() == found.path
    except (TypeError, OSError):
        return False


def load(reference: str, *, base: FilePath, what: str) -> Any:
    """`find_definition` and `load_definition`."""
    return load_definition(find_definition(reference, base=base, what=what))


def decorator_name(node: ast.expr) -> str | None:
    """The last part of a decorator's name, called or not."""
    target = node.func if isinstance(node, ast.Call) else node
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else None


def _file_of(where: str, *, base: FilePath) -> FilePath:
    """The Python file of a module. Beside the dataset file comes before installed."""
    if where.endswith(".py"):
        path = FilePath(os.path.realpath(base / where))
        if not os.path.isfile(path):
            raise UserCodeError(
                f"{where} does not exist; a relative path is relative to the dataset file"
            )
        return path
    parts = where.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UserCodeError(
            f"{where!r} is not a module name; write module or ./file.py"
        )
    found = _below(base, parts)
    if found is not None:
        return found
    top = _top_level(parts[0])
    if top is None:
        raise UserCodeError(
            f"{where} cannot be imported: no module named {parts[0]!r}; install its package, or write "
            f"./file.py:function"
        )
    if len(parts) == 1:
        if top.has_location and top.origin is not None and top.origin.endswith(".py"):
            return FilePath(top.origin).resolve()
    else:
        for place in top.submodule_search_locations or ():
            found = _below(FilePath(place), parts[1:])
            if found is not None:
                return found.resolve()
    raise UserCodeError(f"{where} cannot be used: its Python source is not available")


def _top_level(name: str) -> Any:
    """The spec of a top-level module; finding it runs none of it."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a module in memory without a spec
        return None


def _below(directory: FilePath, parts: list[str]) -> FilePath | None:
    path = directory.joinpath(*parts)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if os.path.isfile(candidate):
            return candidate.resolve()
    return None


def _is_own(path: FilePath, *, base: FilePath) -> bool:
    """Whether a file is of the dataset's directory or project; what is installed below it is not."""
    for place in (base.resolve(), project_of(base)):
        if path.is_relative_to(place) and not INSTALLED & {
            *path.relative_to(place).parts
        }:
            return not path.is_relative_to(FilePath(inspect.__file__).resolve().parent)
    return False


@lru_cache(maxsize=256)
def _parsed_text(path: FilePath, size: int, mtime_ns: int) -> tuple[str, ast.Module]:
    import tokenize

    data = path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    text = data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    return text, parse_python(data, str(path))


def _parsed(where: str, path: FilePath) -> tuple[str, ast.Module]:
    stat = path.stat()
    if stat.st_size > MAX_SOURCE_BYTES:
        raise UserCodeError(
            f"{where} has {stat.st_size:,} bytes; the limit for a file of functions is {MAX_SOURCE_BYTES:,}"
        )
    try:
        return _parsed_text(path, stat.st_size, stat.st_mtime_ns)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserCodeError(
            f"{where} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _definition(
    where: str, name: str, path: FilePath, *, base: FilePath, own: bool, depth: int
) -> Definition | None:
    """The last definition of a name at the top level of a file; a name that it imports from its own project is followed."""
    text, tree = _parsed(where, path)
    nodes = [node for each, node in _defined(tree) if each == name]
    if not nodes:
        return None
    node = nodes[-1]
    if not isinstance(node, ast.ImportFrom):
        return Definition(where, name, path, text, tree, node, own, text)
    if depth == _MAX_REEXPORTS:
        raise UserCodeError(f"{where}: {name!r} is imported in a cycle")
    originals = {item.asname or item.name: item.name for item in reversed(node.names)}
    original = originals[name]
    module, target = _imported_from(node, where, path, base=base)
    found = _definition(
        module,
        original,
        target,
        base=base,
        own=_is_own(target, base=base),
        depth=depth + 1,
    )
    if found is None:
        return None
    return Definition(
        where, name, found.path, found.text, found.tree, found.node, found.own, text
    )


def _imported_from(
    node: ast.ImportFrom, where: str, path: FilePath, *, base: FilePath
) -> tuple[str, FilePath]:
    if node.level == 0:
        assert node.module is not None
        return node.module, _file_of(node.module, base=base)
    directory = path.parents[node.level - 1]
    target = _below(directory, (node.module or "__init__").split("."))
    if target is None:
        raise UserCodeError(
            f"{where} imports from {'.' * node.level}{node.module or ''}, which does not exist"
        )
    return f"{where}.{node.module or ''}", target


def _defined(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Names that a file binds at its top level, also inside `if` and `try`."""
    waiting: list[ast.stmt] = [*tree.body]
    while waiting:
        node = waiting.pop(0)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign(targets=targets):
                names = [
                    target.id for target in targets if isinstance(target, ast.Name)
                ]
                for name in names:
                    yield name, node
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                yield name, node
            case ast.ImportFrom(names=items):
                for item in items:
                    yield item.asname or item.name, node
            case ast.If() | ast.Try() | ast.With():
                inner = [
                    *node.body,
                    *getattr(node, "orelse", ()),
                    *getattr(node, "finalbody", ()),
                ]
                for handler in getattr(node, "handlers", ()):
                    inner += handler.body
                waiting = inner + waiting


def _imported(found: Definition) -> ModuleType:
    if not found.where.endswith(".py"):
        top = _top_level(found.where.split(".")[0])
        if top is not None and _is_installed_as(found.where, top, base_file=found):
            return importlib.import_module(found.where)
    path = found.path
    stat = path.stat()
    return _module_of_file(path, stat.st_size, stat.st_mtime_ns)


def _is_installed_as(where: str, top: Any, *, base_file: Definition) -> bool:
    """Whether importing the name runs a file of the place that the definition was found through."""
    parts = where.split(".")
    if len(parts) == 1:
        origin = (
            FilePath(top.origin).resolve() if top.has_location and top.origin else None
        )
        return origin is not None and _reaches(origin, base_file)
    for place in top.submodule_search_locations or ():
        found = _below(FilePath(place), parts[1:])
        if found is not None and _reaches(found, base_file):
            return True
    return False


def _reaches(origin: FilePath, found: Definition) -> bool:
    """Whether a module's file holds the definition or, as a package, imports it from below."""
    return (
        origin == found.path
        or found.path.is_relative_to(origin.parent)
        and origin.name == "__init__.py"
    )


_PREFIX = "sdg_file_"


def loaded_files() -> list[ModuleType]:
    """The modules that were loaded from files of users, which no other process can import by name."""
    return [module for name, module in sys.modules.items() if name.startswith(_PREFIX)]


@lru_cache(maxsize=256)
def _module_of_file(path: FilePath, size: int, mtime_ns: int) -> ModuleType:
    """A file as a module, loaded again when it has changed (size and modification time are the key)."""
    name = f"{_PREFIX}{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up there
    code = compile(
        path.read_bytes(), str(path), "exec", dont_inherit=True
    )  # not a cached .pyc: two edits in a second
    exec(code, vars(module))
    return module
