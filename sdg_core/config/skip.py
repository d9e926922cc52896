"""When a cell is not made: the `skip` block of a column."""

from typing import Annotated, Any

from pydantic import AfterValidator

from sdg_core.config.base import ConfigModel, NonEmptyStr


def _skip_value(value: Any) -> Any:
    """One message for a value of no usable kind; whether it fits the column is checked with the column."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and -(2.0**63) <= value < 2.0**63:
        return value
    raise ValueError("a skipped cell holds null, text, a number or a boolean")


class SkipConfig(ConfigModel):
    """`when` is a template over other columns; where it is true, the cell is set to `value` without calling a model
    or function."""

    when: NonEmptyStr
    value: Annotated[Any, AfterValidator(_skip_value)] = None


def without_skip(data: Any) -> Any:
    """The raw mapping of a column that is never skipped, without the keys by which another program says just that.

    Raises ValueError if it does ask for a skip.
    """
    if not isinstance(data, dict):
        return data
    if data.get("skip") is not None:
        raise ValueError(
            f"a {data.get('column_type')} column is never skipped: remove `skip`, or put it on the columns that read this one"
        )
    if data.get("propagate_skip", True) is not True:
        raise ValueError(
            f"a {data.get('column_type')} column is never skipped: remove `propagate_skip`"
        )
    return {
        key: value
        for key, value in data.items()
        if key not in ("skip", "propagate_skip")
    }
