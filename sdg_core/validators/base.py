"""What a validator is: values in, verdicts out, one for each, in order.

A verdict is a mapping of the type that `sdg_core.plan.types.verdicts` announces. What a validator looks at is never executed.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sdg_core.errors import CellError

Verdict = dict[str, Any]
Validator = Callable[[Sequence[Any]], list[Verdict]]
"""Validates values one by one, whatever else is among them."""


class ValidatorError(CellError):
    """A validator could not give a verdict: its program, function or endpoint did not answer as it should."""


Outcome = Verdict | ValidatorError
"""What comes of one row: a verdict, or why there is none."""


def as_text(value: Any) -> str | None:
    """A value as the text to validate; None for null."""
    return value if value is None or isinstance(value, str) else str(value)
