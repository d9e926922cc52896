"""The environments that render one template: as it is written, and as it reads JSON.

Each template lives in environments of its own, so that no lock is shared with other templates.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import minijinja

from sdg_core.errors import CellError
from sdg_core.plan.templates.engine import first_line, new_environment
from sdg_core.plan.templates.filters import NullOperandError, reads_json
from sdg_core.plan.templates.rewrite import as_written, for_engine, reading_json

_NAME = "template"


class RenderError(CellError):
    """A template could not be rendered with the values of one record; the message is one line."""


class Variants:
    """A source that has been checked, ready to be rendered."""

    __slots__ = ("_json", "_names", "_plain", "_source")

    def __init__(self, source: str, names: Sequence[str]) -> None:
        self._source = source
        self._names = names
        self._compile()

    def text(self, context: Mapping[str, Any], *, nested: bool) -> str:
        """The text for plain values; `nested`: whether there are lists or objects among them. Raises RenderError."""
        variant = self._plain
        if self._json is not None and any(map(reads_json, context.values())):
            variant = self._json
            nested = True
        try:
            text = self._text(variant.printing, context)
        except NullOperandError:
            text = self._text(variant.with_engines_numbers(), context)
        if nested and " method " in text:
            self._text(variant.guarded, context)  # raises if one was printed
        return text

    def _text(self, env: minijinja.Environment, context: Mapping[str, Any]) -> str:
        try:
            return env.render_template(_NAME, **context)
        except minijinja.TemplateError as error:
            raise RenderError(self._reason(error, env)) from None
        except (RenderError, NullOperandError):
            raise
        except BaseException as error:
            if type(error).__name__ == "PanicException":
                self._compile()  # a panic leaves the environment locked for ever
            elif not isinstance(error, Exception):
                raise
            raise RenderError(
                f"{type(error).__name__}: {error}".splitlines()[0]
            ) from None

    def _compile(self) -> None:
        self._plain = _Variant(for_engine(self._source))
        json_source = reading_json(self._source, self._names)
        self._json = _Variant(json_source) if json_source is not None else None

    def _reason(
        self, error: minijinja.TemplateError, env: minijinja.Environment
    ) -> str:
        reason = first_line(error).replace(f" (in {_NAME}:1)", "")
        if error.kind == "UndefinedError" and error.range is not None:
            variant = (
                self._json
                if self._json is not None and env in self._json
                else self._plain
            )
            reason = reason.replace(
                "undefined value",
                f"undefined value {variant.expression(*error.range)!r}",
                1,
            )
        return reason.replace(
            f" (in {_NAME}:{error.line})", f" (line {error.line} of the template)"
        )


class _Variant:
    """A source in the engine's words: an environment that renders it, and one that refuses to print methods."""

    __slots__ = ("_engines_numbers", "guarded", "printing", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._engines_numbers: minijinja.Environment | None = None
        self.printing = _own_environment(source)
        self.guarded = _own_environment(source)
        self.guarded.finalizer = _refuse_methods

    def __contains__(self, env: minijinja.Environment) -> bool:
        return env in (self.printing, self.guarded, self._engines_numbers)

    def with_engines_numbers(self) -> minijinja.Environment:
        """An environment with the engine's own filters `int` and `float`, which tell null from undefined."""
        if self._engines_numbers is None:
            self._engines_numbers = _own_environment(self.source, numbers=False)
        return self._engines_numbers

    def expression(self, start: int, end: int) -> str:
        """The expression between two places (in bytes) as its author wrote it."""
        return as_written(self.source.encode()[start:end].decode(errors="replace"))


def _own_environment(source: str, *, numbers: bool = True) -> minijinja.Environment:
    """Settings of the environment that checked the template, but nothing else in it."""
    env = new_environment(numbers=numbers)
    env.add_template(_NAME, source)
    return env


def _refuse_methods(value: Any) -> Any:
    """What is printed, unless it is a Python method: `{{ row.items }}` without the key `items` would print an address.

    Serves to tell, not to print: what passes through it comes out changed (1.0 as 1).
    """
    if callable(value):
        raise RenderError(
            f"{getattr(value, '__name__', 'it')!r} is a method here, not a key; call it, or use ['key']"
        )
    return value
