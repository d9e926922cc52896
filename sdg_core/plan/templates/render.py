"""Templates compiled once and rendered many times.

A rendering is a pure function of the template and the columns it names. It sees only the values it names, and gets them as
fresh plain JSON, so that `{{ rows.append(1) }}` changes a copy. Every fault comes out as a `RenderError` of one line.
What could take more memory or time than a rendering may is rendered in a process of its own (`work`, `isolated`).

Threads: a template may be rendered by several threads at once. minijinja lets go of the interpreter lock before it waits for
its own, so they cannot block each other for good; compiling happens in the constructor, before anybody else has the object.
"""

import asyncio
import base64
import datetime
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

import numpy as np
import polars as pl

from sdg_core.plan.templates import isolated
from sdg_core.plan.templates.column_names import identifier, spelled
from sdg_core.plan.templates.engine import chooses, template_references
from sdg_core.plan.templates.filters import Choices, use_choices
from sdg_core.plan.templates.variants import RenderError as RenderError
from sdg_core.plan.templates.variants import Variants
from sdg_core.plan.templates.work import room_of

_SCALARS = frozenset({str, int, float, bool, type(None)})


class Template:
    """A compiled template. Raises TemplateSyntaxError (a ValueError) for a source that cannot be parsed.

    names: what it reads, in alphabetical order; `render` needs a value for each and ignores all others.
    chooses: whether it uses the filter `random`, so that `render` needs `choices`.
    """

    __slots__ = ("_identifiers", "_room", "_variants", "chooses", "names", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.names = tuple(sorted(template_references(source)))
        self._identifiers = tuple((name, identifier(name)) for name in self.names)
        self.chooses = chooses(source)
        room = room_of(spelled(source))
        self._room = None if room.is_free else room
        self._variants = Variants(source, self.names)

    @property
    def is_light(self) -> bool:
        """Whether every rendering is done in this process."""
        return self._room is None

    def render(self, values: Mapping[str, Any], choices: Choices | None = None) -> str:
        """The text. `choices` are the random numbers of the record. Raises RenderError.

        A text that is a JSON object or list is read where the template looks into it, loops over it or measures it; where it
        is printed, it stays as it is.
        """
        context, nested = self._context(values)
        if not self._fits(context):
            return isolated.render(self.source, context, nested=nested, choices=choices)
        return self._text(context, nested=nested, choices=choices)

    async def render_in_loop(
        self, values: Mapping[str, Any], choices: Choices | None = None
    ) -> str:
        """`render` for an event loop, which goes on while a process of its own renders."""
        context, nested = self._context(values)
        if not self._fits(context):
            render = partial(
                isolated.render, self.source, context, nested=nested, choices=choices
            )
            return await asyncio.get_running_loop().run_in_executor(_waiting(), render)
        return self._text(context, nested=nested, choices=choices)

    def _context(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The plain values by their variables, and whether one has an inside. Raises RenderError for one that is missing."""
        context: dict[str, Any] = {}
        nested = False
        for name, variable in self._identifiers:
            try:
                value = values[name]
            except KeyError:
                raise RenderError(f"undefined value {name!r}") from None
            if type(value) not in _SCALARS:
                value = plain_value(value)
                nested |= type(value) not in _SCALARS
            context[variable] = value
        return context, nested

    def _fits(self, context: Mapping[str, Any]) -> bool:
        return self._room is None or self._room.takes(context)

    def _text(
        self, context: Mapping[str, Any], *, nested: bool, choices: Choices | None
    ) -> str:
        if not self.chooses:
            return self._variants.text(context, nested=nested)
        with use_choices(choices):
            return self._variants.text(context, nested=nested)


class NestedTemplate:
    """Lists and mappings whose strings are templates; other values, and keys, stay as they are.

    Every leaf that was a template renders to text, whatever it looks like: `"1.10"` is never turned into a number.
    """

    __slots__ = ("_compiled",)

    def __init__(self, template: Any) -> None:
        self._compiled = _compile_nested(template)

    def render(self, values: Mapping[str, Any]) -> Any:
        """A fresh structure of the same shape. Raises RenderError."""
        return _render_compiled(self._compiled, values)


@lru_cache(maxsize=1)
def _waiting() -> Executor:
    """The thread that waits for the process: one, because that renders one template at a time."""
    return ThreadPoolExecutor(1, thread_name_prefix="sdg-template")


@lru_cache(maxsize=4096)
def compiled(source: str) -> Template:
    """The one `Template` of a source in this process."""
    return Template(source)


def plain_value(value: Any) -> Any:
    """A fresh plain-JSON copy of a value: text, int, float, bool, None, and lists and dicts with text keys of them.

    Dates and times become ISO 8601 text; decimals and what JSON does not know their text; bytes their UTF-8 text, or base64
    where they are not UTF-8.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {
            key if type(key) is str else str(key): plain_value(child)
            for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain_value(child) for child in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    match value:
        case datetime.date() | datetime.time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return _bytes_text(bytes(value))
        case pl.Series():
            return plain_value(value.to_list())
        case np.ndarray() | np.generic():
            return plain_value(value.tolist())
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case _:
            return str(value)


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii")


def _compile_nested(template: Any) -> Any:
    if isinstance(template, str):
        return compiled(template)
    if isinstance(template, Mapping):
        return {key: _compile_nested(child) for key, child in template.items()}
    if isinstance(template, list | tuple):
        return [_compile_nested(child) for child in template]
    return template


def _render_compiled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, Template):
        return template.render(values)
    if isinstance(template, dict):
        return {key: _render_compiled(child, values) for key, child in template.items()}
    if isinstance(template, list):
        return [_render_compiled(child, values) for child in template]
    return template
