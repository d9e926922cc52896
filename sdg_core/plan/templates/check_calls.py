"""Filters and tests of a template, each called once with nothing in particular, so that what could never work is said at once.

The engine looks filters up, and counts their arguments, only when a rendering comes by; in a branch that is never taken it does
neither. Whether arguments are of the right kind depends on the record and is left to it.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import minijinja
from jinja2 import nodes
from jinja2.filters import FILTERS
from jinja2.tests import TESTS

from sdg_core.plan.names import did_you_mean
from sdg_core.plan.templates.filters import ADDED, TooLargeError
from sdg_core.plan.templates.rewrite import POSITIONAL

_SAMPLES: tuple[Any, ...] = ("", 1, [], {})
_ABOUT_ARGUMENTS = {"TooManyArguments", "MissingArgument"}


def call_faults(tree: nodes.Template, env: minijinja.Environment) -> Iterator[str]:
    """What is wrong with the filters and tests that a parsed template calls. Raises TooLargeError."""
    for call in tree.find_all((nodes.Filter, nodes.Test)):
        if (
            isinstance(call, nodes.Filter | nodes.Test)
            and call.dyn_args is None
            and call.dyn_kwargs is None
        ):
            fault = _fault(call, env)
            if fault is not None:
                yield fault


_NOT_HERE = frozenset({"xmlattr", "urlize", "attr"})
"""Filters of Jinja that there are none of here: HTML, and attributes of Python's objects."""


def _fault(call: nodes.Filter | nodes.Test, env: minijinja.Environment) -> str | None:
    kind = "filter" if isinstance(call, nodes.Filter) else "test"
    names = [
        str(keyword.key)
        for keyword in call.kwargs
        if isinstance(keyword, nodes.Keyword)
    ]
    own = ADDED.get(_own_name(call))
    if kind == "filter" and own is not None:
        return _unbound(call.name, own, count=len(call.args), names=names)
    errors = _errors_of_samples(call, env, keywords=names)
    first = errors[0]
    if first is not None and first.kind in ("UnknownFilter", "UnknownTest"):
        known = set(TESTS)
        if kind == "filter":
            public = {name for name in ADDED if not name.endswith("_")}
            known = {*FILTERS, *public, "split", "lines"} - _NOT_HERE
        return f"unknown {kind}: {kind} {call.name} is unknown{did_you_mean(call.name, known)}"
    if all(error is not None and error.kind in _ABOUT_ARGUMENTS for error in errors):
        line = str(first).splitlines()[0]
        return f"{kind} {call.name}: {line.replace(' (in <expression>:1)', '')}"
    return None


def _errors_of_samples(
    call: nodes.Filter | nodes.Test,
    env: minijinja.Environment,
    *,
    keywords: Sequence[str],
) -> list[minijinja.TemplateError | None]:
    """What the engine says of the call for each kind of value, with samples for its arguments."""
    written = []
    values = {}
    for place, argument in enumerate(call.args):
        written.append(f"a{place}")
        values[f"a{place}"] = _sample(argument)
    written += [f"{name}=k_{name}" for name in keywords]
    for pair in call.kwargs:
        values[f"k_{pair.key}"] = _sample(pair.value, otherwise=1)
    operator = "|" if isinstance(call, nodes.Filter) else " is "
    expression = f"value{operator}{call.name}"
    if written:
        expression += f"({', '.join(written)})"
    return [_error(env, expression, value=sample, **values) for sample in _SAMPLES]


def _own_name(call: nodes.Filter | nodes.Test) -> str:
    """The name of the function of ours that is called, if one is."""
    positional = (
        len(call.args) + len(call.kwargs) > 2
        if call.name == "replace"
        else bool(call.args)
    )
    return (
        POSITIONAL[call.name] if call.name in POSITIONAL and positional else call.name
    )


def _unbound(
    name: str, function: Callable[..., Any], *, count: int, names: list[str]
) -> str | None:
    """Why a call does not fit the function's parameters."""
    try:
        inspect.signature(function).bind(None, *[None] * count, **dict.fromkeys(names))
    except TypeError as error:
        return f"filter {name}: {error}"
    return None


def _sample(argument: nodes.Node, *, otherwise: Any = "") -> Any:
    return argument.value if isinstance(argument, nodes.Const) else otherwise


def _error(
    env: minijinja.Environment, expression: str, **values: Any
) -> minijinja.TemplateError | None:
    try:
        env.eval_expr(expression, **values)
    except minijinja.TemplateError as error:
        return error
    except TooLargeError:
        raise
    except (TypeError, ValueError, AttributeError):
        return None
    return None
