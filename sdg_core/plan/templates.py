"""The template language: minijinja with undefined values as errors and a bound on work per rendering.

minijinja refuses what a hostile or mistaken template could do to the process (huge repetition, endless loops, attribute
access to Python internals); it is handed fresh plain JSON only. https://docs.rs/minijinja has the syntax and filters.
"""

from functools import lru_cache

import minijinja

FUEL = 200_000
"""Instructions one rendering may take; a loop over a few thousand items fits."""


@lru_cache(maxsize=1)
def environment() -> minijinja.Environment:
    """The one environment that checks and renders every template."""
    env = minijinja.Environment()
    env.undefined_behavior = "strict"
    env.fuel = FUEL
    env.keep_trailing_newline = True
    env.debug = False
    env.pycompat = True
    return env


class TemplateSyntaxError(ValueError):
    """A template that cannot be parsed; the message says where."""


@lru_cache(maxsize=4096)
def template_references(source: str) -> frozenset[str]:
    """Names that a template reads and does not define itself. Raises TemplateSyntaxError."""
    env = environment()
    try:
        names = env.undeclared_variables_in_str(source)
        env.add_template("check", source)
    except minijinja.TemplateError as error:
        raise TemplateSyntaxError(first_line(error)) from error
    return frozenset(names) - frozenset(env.globals) - {"range", "dict", "namespace", "debug"}


def first_line(error: minijinja.TemplateError) -> str:
    """The reason of a template error, without the source listing that follows it."""
    return str(error).splitlines()[0].replace(" (in <string>:1)", "").replace(" (in check:1)", "")
