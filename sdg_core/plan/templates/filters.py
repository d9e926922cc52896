"""Filters that take a size, bounded.

The template engine allocates what `indent`, `format`, `batch`, `slice` and `tojson` are told to, and a failed allocation ends
the process: no exception, no failed record. So sizes are looked at first; the engine's own filter does the rest.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import minijinja
from jinja2 import nodes

MAX_SIZE = 10_000
"""Characters or items that a filter may be asked to make room for."""
_SIZED = ("indent", "batch", "slice", "tojson")
_WIDE_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(?:\*|\d{5,}|\d*\.(?:\*|\d{5,}))")
_WIDE_BRACES = re.compile(r"\{[^{}]*(?:\d{5,}|\{)")


class TooLargeError(ValueError):
    """A filter was asked for a size that nobody means."""


def add_bounded_filters(env: minijinja.Environment) -> None:
    """Replace the filters of an environment that take a size."""
    for name in _SIZED:
        env.add_filter(name, _bounded(name))
    env.add_filter("format", _format)


def unbounded_method(tree: nodes.Template) -> str | None:
    """Why a call of a string's `format` method cannot be allowed; None if there is none."""
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr == "format":
            text = call.node.node
            if not isinstance(text, nodes.Const) or not isinstance(text.value, str):
                return "format() of anything but a text written in the template is not available; use the filter format"
            if _WIDE_BRACES.search(text.value):
                return f"format(): a width in {text.value!r} is above {MAX_SIZE:,} or computed"
    return None


def _bounded(name: str) -> Callable[..., Any]:
    def call(value: Any, *args: Any, **kwargs: Any) -> Any:
        for size in (*args, *kwargs.values()):
            if isinstance(size, int | float) and abs(size) > MAX_SIZE:
                raise TooLargeError(f"filter {name}: {size:g} is above {MAX_SIZE:,}")
        return _original(name, value, args, kwargs)

    return call


def _format(value: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(value, str) and _WIDE_PERCENT.search(value):
        raise TooLargeError(f"filter format: a width in {value[:60]!r} is above {MAX_SIZE:,} or computed")
    return _original("format", value, args, kwargs)


def _original(name: str, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the engine's own filter makes of it."""
    given = [f"a{place}" for place in range(len(args))] + [f"{key}=k_{key}" for key in kwargs]
    names = {f"a{place}": argument for place, argument in enumerate(args)}
    names |= {f"k_{key}": argument for key, argument in kwargs.items()}
    return _engine().eval_expr(f"value|{name}({', '.join(given)})", value=value, **names)


@lru_cache(maxsize=1)
def _engine() -> minijinja.Environment:
    return minijinja.Environment()
