"""The template language: minijinja with undefined values as errors and a bound on work per rendering.

minijinja refuses what a hostile or mistaken template could do to the process (huge repetition, endless loops, attribute
access to Python internals); it is handed fresh plain JSON only. https://docs.rs/minijinja has the syntax and filters.
"""

import re
from functools import lru_cache

import jinja2
import minijinja
from jinja2 import meta

FUEL = 200_000
"""Instructions one rendering may take; a loop over a few thousand items fits."""


RESERVED = frozenset("true false none True False None self cycler dict joiner namespace range".split())
"""Names that a template resolves by itself, so that a column of that name could not be read."""

_CHECKED = "<string>"
_JINJA = jinja2.Environment(autoescape=False)
_RAW = re.compile(r"\{#.*?#\}|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}", re.DOTALL)
_TAG = re.compile(r"\{%[-+]?\s*(\w+)")
_NOTHING_TO_LOAD = {"include", "import", "from", "extends"}
_UNKNOWN = {"UnknownFilter", "UnknownTest"}


@lru_cache(maxsize=1)
def environment() -> minijinja.Environment:
    """The one environment that checks and renders every template."""
    env = minijinja.Environment()
    env.undefined_behavior = "strict"
    env.fuel = FUEL
    env.keep_trailing_newline = True
    env.debug = False
    env.pycompat = True
    env.remove_global("debug")
    return env


class TemplateSyntaxError(ValueError):
    """A template that cannot be parsed; the message says where."""


@lru_cache(maxsize=4096)
def template_references(source: str) -> frozenset[str]:
    """Names that a template reads and does not define itself. Raises TemplateSyntaxError."""
    env = environment()
    try:
        names = env.undeclared_variables_in_str(source)
        env.add_template(_CHECKED, source)
        env.remove_template(_CHECKED)
    except minijinja.TemplateError as error:
        raise TemplateSyntaxError(first_line(error)) from error
    for tag in _TAG.findall(_RAW.sub("", source)):
        if tag in _NOTHING_TO_LOAD:
            raise TemplateSyntaxError(f"{{% {tag} %}} is not available: there are no other templates")
    references = (frozenset(names) | _names_by_jinja(source)) - RESERVED
    _check_filters(source, references)
    return references


def _names_by_jinja(source: str) -> frozenset[str]:
    """The same names as Jinja2 sees them, because minijinja overlooks a name that is only sliced (`{{ text[:80] }}`)."""
    try:
        return frozenset(meta.find_undeclared_variables(_JINJA.parse(source)))
    except jinja2.TemplateSyntaxError:  # minijinja accepts a little more than Jinja2
        return frozenset()


def _check_filters(source: str, names: frozenset[str]) -> None:
    """minijinja looks filters and tests up when it renders: so render once, with nothing, and mind only that."""
    try:
        _lenient().render_str(source, **dict.fromkeys(names, ""))
    except minijinja.TemplateError as error:
        if error.kind in _UNKNOWN:
            raise TemplateSyntaxError(first_line(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a fault of the renderer; the values of a record may not meet it
            raise


def _lenient() -> minijinja.Environment:
    env = minijinja.Environment()
    env.undefined_behavior = "chainable"
    env.fuel = FUEL
    env.debug = False
    env.pycompat = True
    return env


def first_line(error: minijinja.TemplateError) -> str:
    """The reason of a template error, without the source listing that follows it."""
    return str(error).splitlines()[0].replace(" (in <string>:1)", "")
