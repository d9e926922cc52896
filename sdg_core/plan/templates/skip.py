"""What a `skip` block means: when it holds, and what the cell holds then.

`when` is evaluated like an expression of Python: `{{ age }}` is false for 0, null, an empty text or list. A text is also false
when it reads as one of `false`, `no`, `none`, `null`, `0`, `[]`, `{}` in any case, because what comes from files and models is
text.
"""

import math
import re
from typing import Any

from sdg_core.config.columns import ExpressionColumn, SkippableColumn
from sdg_core.plan.kinds import derived_type
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references
from sdg_core.plan.types.arrow import conform

_SINGLE = re.compile(r"\s*\{\{[-+]?(.*?)[-+]?\}\}\s*", re.DOTALL)
_FALSE = frozenset({"", "false", "no", "none", "null", "[]", "{}", "()"})
_TRUTH = "{% set skip_when_ = (EXPRESSION) %}{% if skip_when_ is string %}{{ skip_when_ }}{% elif skip_when_ %}1{% endif %}"
_INT64 = 2**63


def truth_template(when: str) -> str:
    """A template whose text is true (see `is_true`) where `when` holds.

    A `when` that is one `{{ expression }}` counts by its value, so that an empty list is false; any other by its text.
    """
    single = _SINGLE.fullmatch(when)
    if single is None:
        return when
    wrapped = _TRUTH.replace("EXPRESSION", single[1])
    try:
        template_references(wrapped)
    except TemplateSyntaxError:
        # several tags, of which the outermost braces belong to different ones
        return when
    return wrapped


def is_true(text: str) -> bool:
    """Whether a rendered `when` says yes."""
    text = text.strip().lower()
    if text in _FALSE:
        return False
    try:
        return float(text) != 0
    except ValueError:
        return True


def skip_value(column: SkippableColumn) -> Any:
    """What a skipped cell of the column holds, as a value of its type. Raises ValueError if `skip.value` does not fit."""
    value = column.skip.value if column.skip is not None else None
    if value is None:
        return None
    if isinstance(column, ExpressionColumn):
        return _coerced(value, column.dtype)
    return conform(value, derived_type(column))  # type: ignore[arg-type]


def _coerced(value: str | int | float | bool, dtype: str) -> str | int | float | bool:
    """A scalar as the expression's `dtype`, as far as it can be without losing anything."""
    if dtype == "str":
        return value if isinstance(value, str) else str(value)
    if isinstance(value, bool) or dtype == "bool":
        return _truth(value, dtype)
    number = _number(value)
    if dtype == "float" and number is not None:
        return float(number)
    if (
        dtype == "int"
        and number is not None
        and number == int(number)
        and -_INT64 <= number < _INT64
    ):
        return int(number)
    raise ValueError(f"{value!r} is not of dtype {dtype}")


def _number(value: str | int | float) -> int | float | None:
    """The finite number that a scalar is or spells; whole ones exactly."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _truth(value: str | int | float | bool, dtype: str) -> bool:
    truth = {
        "true": True,
        "yes": True,
        "1": True,
        "false": False,
        "no": False,
        "0": False,
    }.get(str(value).lower())
    if dtype != "bool" or truth is None:
        raise ValueError(f"{value!r} is not of dtype {dtype}")
    return truth
