"""What a condition or a score that is asked of records comes to, alike in `select` and in processors.

What cannot be evaluated because a column is null is, of a condition, not true, with a reason that says so; of a score, no score.
Any other fault is the template's.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sdg_core.errors import CellError
from sdg_core.plan.templates.render import Template
from sdg_core.plan.templates.skip import is_true

_NO_SCORE = frozenset({"", "none", "null"})
_TRUTH = {"true": 1.0, "false": 0.0}


def why_not(template: Template, keep: str, values: Mapping[str, Any]) -> str | None:
    """Why a condition is not true of some values, None if it is. template: of `keep`, by `truth_template`. Raises CellError."""
    try:
        return None if is_true(template.render(values)) else not_true(keep)
    except CellError as error:
        reason = stands_in_the_way(keep, error, values, names=template.names)
        if reason is None:
            raise
        return reason


def not_true(keep: str) -> str:
    """The reason of a row for which the condition is not true."""
    return f"not true: {keep.strip()}"


def stands_in_the_way(
    keep: str, error: CellError, values: Mapping[str, Any], *, names: Sequence[str]
) -> str | None:
    """The reason of a row whose condition cannot be evaluated because a column is null; None if that is not why."""
    if all(values[name] is not None for name in names):
        return None
    return f"{not_true(keep)} ({error.message})"


def score_of(template: Template, values: Mapping[str, Any]) -> float | None:
    """The score of some values; true and false count as 1 and 0. None where there is none, or it is NaN. Raises CellError."""
    try:
        text = template.render(values).strip()
    except CellError:
        if any(values[name] is None for name in template.names):
            return None
        raise
    folded = text.lower()
    if folded in _NO_SCORE:
        return None
    try:
        score = _TRUTH[folded] if folded in _TRUTH else float(text)
    except ValueError:
        raise CellError(
            f"the score {text!r} is not a number", remedy="score by a number"
        ) from None
    return None if math.isnan(score) else score
