"""The template language: minijinja with undefined values as errors and a bound on work per rendering.

minijinja refuses what a hostile or mistaken template could do to the process (huge repetition, endless loops, attribute
access to Python internals); it is handed fresh plain JSON only. https://docs.rs/minijinja has the syntax and filters.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import jinja2
import minijinja
from jinja2 import meta, nodes

from sdg_core.plan.templates.check_calls import call_faults
from sdg_core.plan.templates.column_names import FUNCTIONS, LITERALS, as_named, spelled
from sdg_core.plan.templates.filters import (
    TooLargeError,
    add_bounded_filters,
    unbounded_method,
)
from sdg_core.plan.templates.limits import TemplateSyntaxError as TemplateSyntaxError
from sdg_core.plan.templates.limits import checked_tokens, statements
from sdg_core.plan.templates.rewrite import for_engine
from sdg_core.plan.templates.tokens import Token
from sdg_core.plan.templates.work import room_of

FUEL = 200_000
"""Instructions one rendering may take; a loop over a few thousand items fits."""

RESERVED = LITERALS
"""Names that a template resolves by itself, so that a column of that name could not be read."""

_CHECKED = "<string>"


@jinja2.pass_context
def _unfolded(_: object, value: object) -> object:
    """A finalizer that needs a rendering's context keeps Jinja2 from computing constants while it looks for names."""
    return value


_JINJA = jinja2.Environment(autoescape=False, finalize=_unfolded)
_NOTHING_TO_LOAD = {"include", "import", "from", "extends"}
_RANDOM = re.compile(r"\|\s*random\b")
_UNKNOWN = {"UnknownFilter", "UnknownTest"}


@lru_cache(maxsize=1)
def environment() -> minijinja.Environment:
    """The one environment that checks every template."""
    return new_environment()


def new_environment(*, numbers: bool = True) -> minijinja.Environment:
    """An environment with the settings of all environments and no template in it. numbers: see `add_bounded_filters`."""
    env = minijinja.Environment()
    add_bounded_filters(env, numbers=numbers)
    env.undefined_behavior = "strict"
    env.fuel = FUEL
    env.keep_trailing_newline = True
    env.debug = False
    env.pycompat = True
    env.remove_global("debug")
    return env


@lru_cache(maxsize=4096)
def template_references(source: str) -> frozenset[str]:
    """Names that a template reads and does not define itself. Raises TemplateSyntaxError."""
    tokens = checked_tokens(source)
    env = environment()
    source = spelled(source)
    try:
        names = env.undeclared_variables_in_str(source)
        env.add_template(_CHECKED, for_engine(source))
        env.remove_template(_CHECKED)
    except minijinja.TemplateError as error:
        raise TemplateSyntaxError(first_line(error)) from error
    for tag in statements(tokens):
        if tag in _NOTHING_TO_LOAD:
            raise TemplateSyntaxError(
                f"{{% {tag} %}} is not available: a template cannot load other templates"
            )
    read = (frozenset(names) | _names_by_jinja(source)) - RESERVED - FUNCTIONS
    _check_filters(source, read)
    return frozenset(map(as_named, read))


def chooses(source: str) -> bool:
    """Whether a template draws with the filter `random`. Raises TemplateSyntaxError."""
    if "random" not in source:
        return False
    read = "".join(_read_by_engine(checked_tokens(source)))
    return _RANDOM.search(read) is not None


def _read_by_engine(tokens: Iterable[Token]) -> Iterator[str]:
    """The tokens outside comments and raw blocks."""
    is_raw = False
    for token in tokens:
        is_raw = token.kind == "raw_begin" or (is_raw and token.kind != "raw_end")
        if not is_raw and not token.kind.startswith("comment"):
            yield token.text


def nested_references(source: str) -> frozenset[str]:
    """The same names with the keys that are read of them, as in `person.city`. Raises TemplateSyntaxError."""
    checked_tokens(source)
    try:
        names = environment().undeclared_variables_in_str(spelled(source), nested=True)
    except minijinja.TemplateError as error:
        raise TemplateSyntaxError(first_line(error)) from error
    return frozenset(map(as_named, names))


def _names_by_jinja(source: str) -> frozenset[str]:
    """The same names as Jinja2 sees them, because minijinja overlooks a name that is only sliced (`{{ text[:80] }}`)."""
    try:
        return _names_in(_JINJA.parse(source))
    except jinja2.TemplateSyntaxError:  # minijinja accepts a little more than Jinja2
        return frozenset()
    except RecursionError:
        raise TemplateSyntaxError("nested too deeply") from None
    except TooLargeError as error:
        raise TemplateSyntaxError(str(error)) from error


def _names_in(tree: nodes.Template) -> frozenset[str]:
    refused = unbounded_method(tree) or next(call_faults(tree, _lenient()), None)
    if refused is not None:
        raise TemplateSyntaxError(refused)
    finder = meta.TrackingCodeGenerator(_JINJA)
    finder.optimizer = None  # with `_unfolded`: look for names, compute nothing
    finder.visit(tree)  # raises for a filter that only minijinja has
    return frozenset(finder.undeclared_identifiers)


def _check_filters(source: str, names: frozenset[str]) -> None:
    """minijinja looks filters and tests up when it renders: so render once, with nothing, and mind only that.

    A template that makes much of nothing is not rendered here.
    """
    nothing = dict.fromkeys(names, "")
    if not room_of(source).takes(nothing):
        return
    try:
        _lenient().render_str(for_engine(source), **nothing)
    except minijinja.TemplateError as error:
        if (
            error.kind in _UNKNOWN
        ):  # only for what Jinja2 cannot parse; the rest is checked call by call
            raise TemplateSyntaxError(first_line(error)) from error
    except TooLargeError as error:
        raise TemplateSyntaxError(str(error)) from error
    except Exception:  # noqa: BLE001 - a filter's objection to a value, of whatever kind; those of a record may be others
        return
    except BaseException as error:
        if (
            type(error).__name__ != "PanicException"
        ):  # a fault of the renderer; the values of a record may not meet it
            raise


@lru_cache(maxsize=1)
def _lenient() -> minijinja.Environment:
    env = minijinja.Environment()
    add_bounded_filters(env)
    env.undefined_behavior = "chainable"
    env.fuel = FUEL
    env.debug = False
    env.pycompat = True
    return env


def first_line(error: minijinja.TemplateError) -> str:
    """The reason of a template error, without the source listing that follows it."""
    line = str(error).splitlines()[0]
    return as_named(line.replace(" (in <string>:1)", ""))


def condition_template(condition: str) -> str:
    """A template that renders to 1 where the condition holds and to nothing elsewhere."""
    return "{% if " + condition + " %}1{% endif %}"


def condition_fault(condition: str) -> str | None:
    """Why text is not one expression; None if it is. Names and filters are checked in the template."""
    template = "{{" + condition + "}}"
    try:
        checked_tokens(template)
        if room_of(template).takes({}):
            environment().eval_expr(for_engine(template)[2:-2])
        else:
            environment().add_template(_CHECKED, for_engine(template))
            environment().remove_template(_CHECKED)
    except minijinja.TemplateError as error:
        if error.kind != "SyntaxError":
            return None  # it has no values yet
        hint = (
            "; write it without braces"
            if "{{" in condition or "{%" in condition
            else ""
        )
        return f"not a valid condition: {first_line(error).replace(' (in <expression>:1)', '')}{hint}"
    except TemplateSyntaxError as error:
        return f"not a valid condition: {error}"
    except ValueError:  # a filter's objection to a value that is not there yet
        return None
    return None
