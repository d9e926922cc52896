"""Conditions of `conditional_params`: expressions of the template language, without braces."""

import minijinja

from sdg_core.plan.templates import environment, first_line


def condition_template(condition: str) -> str:
    """A template that renders to 1 where the condition holds and to nothing elsewhere."""
    return "{% if " + condition + " %}1{% endif %}"


def condition_fault(condition: str) -> str | None:
    """Why text is not one expression; None if it is. Names and filters are checked in the template."""
    try:
        environment().eval_expr(condition)
    except minijinja.TemplateError as error:
        if error.kind != "SyntaxError":
            return None  # it has no values yet
        hint = "; write it without braces" if "{{" in condition or "{%" in condition else ""
        return f"not a valid condition: {first_line(error).replace(' (in <expression>:1)', '')}{hint}"
    return None
