"""Passages of documentation that the running Python carries: the topics of `help()`, and docstrings of the standard library.

Pure reading: the result depends on the Python release and its build only, never on the process. Hence objects that other
packages patch into the library are left out, and a signature shows `...` for a default that is not plain data (its text would
hold a memory address, an order of hashing, or a path of this machine).
"""

import importlib
import inspect
import logging
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from enum import Enum
from types import ModuleType
from typing import Any, NamedTuple

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field(name, pa.string())
        for name in ("module", "name", "kind", "signature", "text")
    ]
)
MIN_LENGTH = 80
"""Characters below which a text says too little to ask a question about."""

_SKIPPED = frozenset(
    # Opens windows, browsers or prints; tests; other platforms; replaced by setuptools; tables of codecs and topics.
    # `posix` has a public name, but is the accelerator of `os`, which exposes what it holds.
    "antigravity this idlelib turtledemo turtle tkinter test lib2to3 msilib msvcrt winreg winsound nt posix distutils "
    "encodings pydoc_data site".split()
)

_HOOKS = ("hook", "showwarning")
"""Ends of names that are there to be replaced (sys.excepthook, ...): what they hold is the process's."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_log = logging.getLogger(__name__)


class Passage(NamedTuple):
    """One text and the object it documents; sorts by module, name and kind."""

    module: str
    name: str
    kind: str
    signature: str
    text: str


class _Place(NamedTuple):
    """Where an object can be found; the smallest place is the one that its documentation is filed under."""

    foreign: bool
    unlisted: bool
    renamed: bool
    depth: int
    module: str
    name: str


class _Elided:
    """Stands for a default that has no text of its own."""

    def __repr__(self) -> str:
        return "..."


def collect_passages() -> list[Passage]:
    """Every passage of at least `MIN_LENGTH` characters, sorted, one per (module, name, kind)."""
    found = {}
    for passage in (*_topics(), *_docstrings()):
        if len(passage.text) >= MIN_LENGTH:
            found[passage[:3]] = passage
    return sorted(found.values())


def to_table(passages: Iterable[Passage]) -> pa.Table:
    """Passages as an Arrow table of text columns."""
    rows = [passage._asdict() for passage in passages]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _topics() -> Iterator[Passage]:
    topics = importlib.import_module("pydoc_data.topics").topics
    for name, text in topics.items():
        yield Passage(
            "pydoc_data.topics", name, "topic", "", inspect.cleandoc(text).strip()
        )


def _docstrings() -> Iterator[Passage]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        modules = _public_modules()
        places: dict[int, tuple[_Place, Any]] = {}
        for module in modules.values():
            for name, item in _public_objects(module):
                place = _place(module, name, item)
                if id(item) not in places or place < places[id(item)][0]:
                    places[id(item)] = (place, item)
        for place, item in places.values():
            if not inspect.isclass(item):
                yield _passage(place, place.name, item)
                continue
            yield Passage(
                place.module,
                place.name,
                "class",
                signature_text(item),
                _text(item.__doc__),
            )
            for name, method in _public_methods(item, place.module):
                yield _passage(place, f"{place.name}.{name}", method)


def _passage(place: _Place, name: str, function: Any) -> Passage:
    return Passage(
        place.module,
        name,
        "function",
        signature_text(function),
        _text(function.__doc__),
    )


def _public_modules() -> dict[str, ModuleType]:
    """Public modules of the standard library by name, submodules included; logs those that this build lacks."""
    modules: dict[str, ModuleType] = {}
    remaining: list[str] = []
    names = [name for name in sys.stdlib_module_names if _is_public(name)]
    todo = sorted((name for name in names if name not in _SKIPPED), reverse=True)
    while todo:
        name = todo.pop()
        try:
            module = importlib.import_module(name)
        except ImportError:
            remaining.append(name)
            continue
        modules[name] = module
        found = pkgutil.iter_modules(getattr(module, "__path__", []))
        inner = [f"{name}.{info.name}" for info in found]
        new = [path for path in inner if _is_public(path) and path not in modules]
        todo += sorted(new, reverse=True)
    if remaining:
        _log.info("not part of this Python: %s", ", ".join(remaining))
    return modules


def _public_objects(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Functions and classes that are the standard library's own, documented or not (a class may have documented methods)."""
    for name in sorted({*getattr(module, "__all__", ()), *vars(module)}):
        item = getattr(module, name, None)
        if name.startswith("_") or name.endswith(_HOOKS):
            continue
        can_be_called = inspect.isclass(item) or inspect.isroutine(item)
        if can_be_called and _is_ours(item, module.__name__):
            yield name, item


def _public_methods(kind: type, where: str) -> Iterator[tuple[str, Any]]:
    """Methods that a class defines itself, without further names of the same method."""
    for name, definition in vars(kind).items():
        method = getattr(kind, name, None)
        if (
            name.startswith("_")
            or not inspect.isroutine(method)
            or not _is_ours(method, where)
        ):
            continue
        own_name = getattr(method, "__name__", name)
        if own_name == name or vars(kind).get(own_name) is not definition:
            yield name, method


def _is_ours(item: Any, where: str) -> bool:
    """Whether an object found in module `where` belongs to the standard library, rather than being patched into it."""
    home = getattr(item, "__module__", None) or where
    return isinstance(home, str) and home.partition(".")[0] in sys.stdlib_module_names


def _place(module: ModuleType, name: str, item: Any) -> _Place:
    """How well `module.name` serves as the place of an object: best is the module that the object itself names, then, for an
    object of a private module such as `_io`, the public module of that name, then one that lists it in `__all__`."""
    path = module.__name__
    home = getattr(item, "__module__", None) or path
    return _Place(
        foreign=home.lstrip("_") != path,
        unlisted=name not in getattr(module, "__all__", ()),
        renamed=name != getattr(item, "__name__", name),
        depth=path.count("."),
        module=path,
        name=name,
    )


def signature_text(item: Any) -> str:
    """The signature as text, the same in every process; empty where Python knows none."""
    try:
        signature = inspect.signature(item)
    except (
        ValueError,
        TypeError,
        AttributeError,
    ):  # AttributeError: a constant that only exists on a terminal (curses)
        return ""
    parameters = []
    for parameter in signature.parameters.values():
        if not _is_plain(parameter.default):
            parameter = parameter.replace(default=_Elided())
        parameters.append(parameter)
    shown = signature.replace(parameters=parameters)
    return _text(str(shown))


def _is_plain(value: Any) -> bool:
    """Whether the text of a default is the same everywhere."""
    if isinstance(value, str):
        return not (os.path.isabs(value) and len(value) > 1)
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, list | dict):
        return not value
    if value is None or value is Ellipsis:
        return True
    return isinstance(value, bool | int | float | bytes | type | Enum)


def _text(doc: object) -> str:
    """A docstring without indentation and memory addresses; empty if it is none."""
    return (
        _ADDRESS.sub("", inspect.cleandoc(doc)).strip() if isinstance(doc, str) else ""
    )


def _is_public(name: str) -> bool:
    for part in name.split("."):
        if part.startswith("_") or part in ("test", "tests"):
            return False
    return True
