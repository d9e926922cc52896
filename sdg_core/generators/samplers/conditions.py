"""Which branch of `conditional_params` holds for each record.

Comparisons of columns with constants and with each other are turned into polars expressions, where both sides are of one kind
and without nulls, so that polars and the template engine agree on every value. All other conditions go through the engine.
"""

from typing import Any, Literal

import jinja2
import numpy as np
import polars as pl
from jinja2 import nodes
from numpy.typing import NDArray

from sdg_core.config.columns import ExpressionColumn, SamplerColumn
from sdg_core.generators.base import Frame
from sdg_core.generators.expressions import evaluate_group
from sdg_core.plan.templates.engine import condition_template

_JINJA = jinja2.Environment(autoescape=False)
_INTEGERS = frozenset(
    {pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32}
)
_EXACT = 2**53
_Kind = Literal["int", "float", "text", "bool", "truth"]
_NUMBERS = ("int", "float")


def choose_branches(
    column: SamplerColumn, *, frame: Frame, length: int
) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Per record the place of the first condition that holds (their number if none does), and what failed where, why."""
    default = len(column.conditional_params)
    branches = np.full(length, -1, np.int64)
    failed: dict[int, str] = {}
    for place, condition in enumerate(column.conditional_params):
        truth, reasons = evaluate_condition(
            condition, name=column.name, frame=frame, length=length
        )
        is_open = branches < 0
        failed |= {row: reason for row, reason in reasons.items() if is_open[row]}
        branches[is_open & truth] = place
        branches[list(reasons)] = np.where(
            is_open[list(reasons)], default, branches[list(reasons)]
        )
    branches[branches < 0] = default
    return branches, failed


def evaluate_condition(
    condition: str, *, name: str, frame: Frame, length: int
) -> tuple[NDArray[np.bool_], dict[int, str]]:
    """Whether a condition holds, record by record, and the reasons where that cannot be told. `name`: whose condition it is."""
    truth = compiled_condition(condition, frame=frame, length=length)
    if truth is not None:
        return truth, {}
    column = ExpressionColumn(name=name, expr=condition_template(condition))
    group = evaluate_group(column, frame=frame, length=length)
    reasons = {
        row: f"condition {condition!r}: {reason}"
        for row, reason in group.failed.items()
    }
    return (group.values == "1").fill_null(False).to_numpy(), reasons


def compiled_condition(
    condition: str, *, frame: Frame, length: int
) -> NDArray[np.bool_] | None:
    """The condition as polars computes it, None where it is more than comparisons or the columns leave room for doubt."""
    try:
        body = _JINJA.parse("{{ (" + condition + ") }}").body
        match body:
            case [nodes.Output(nodes=[node])]:
                expression = _truth(*_build(node, frame))
            case _:
                return None
    except (_NotSimpleError, jinja2.TemplateSyntaxError):
        return None
    truth = pl.select(expression).to_series()
    return (
        np.broadcast_to(truth.to_numpy(), (length,))
        if len(truth) != length
        else truth.to_numpy()
    )


class _NotSimpleError(Exception):
    """A condition that is left to the template engine."""


def _build(node: Any, frame: Frame) -> tuple[pl.Expr, _Kind]:
    """A node as a polars expression (or constant) and the kind of its values."""
    match node:
        case nodes.Name(name=name) if name in frame:
            return pl.lit(frame[name]), _kind(frame[name])
        case nodes.Const(value=value):
            return pl.lit(value), _constant_kind(value)
        case nodes.Neg(node=nodes.Const(value=value)) if (
            _constant_kind(value) in _NUMBERS
        ):
            return pl.lit(-value), _constant_kind(value)
        case nodes.Not(node=inner):
            return ~_truth(*_build(inner, frame)), "truth"
        case nodes.And(left=left, right=right):
            return _truth(*_build(left, frame)) & _truth(*_build(right, frame)), "truth"
        case nodes.Or(left=left, right=right):
            return _truth(*_build(left, frame)) | _truth(*_build(right, frame)), "truth"
        case nodes.Compare(expr=left, ops=[nodes.Operand(op=operator, expr=right)]):
            return _compare(left, operator, right, frame), "truth"
        case _:
            raise _NotSimpleError


def _compare(left: Any, operator: str, right: Any, frame: Frame) -> pl.Expr:
    a, kind = _build(left, frame)
    if operator in ("in", "notin"):
        found = a.is_in(_constants(right, kind))
        return found if operator == "in" else ~found
    b, other = _build(right, frame)
    _check_comparable(kind, other, left=left, right=right, frame=frame)
    match operator:
        case "eq":
            return a == b
        case "ne":
            return a != b
        case "lt":
            return a < b
        case "lteq":
            return a <= b
        case "gt":
            return a > b
        case _:
            return a >= b


def _check_comparable(
    kind: _Kind, other: _Kind, *, left: Any, right: Any, frame: Frame
) -> None:
    if kind == other and kind in ("int", "float", "text"):
        return
    if {kind, other} != {"int", "float"}:
        raise _NotSimpleError
    # beyond 2**53 a whole number changes when it is compared as a real one
    whole = left if kind == "int" else right
    if isinstance(whole, nodes.Name):
        largest = max(map(abs, _range(frame[whole.name])))
    else:
        largest = abs(getattr(whole, "value", _EXACT))
    if largest >= _EXACT:
        raise _NotSimpleError


def _range(series: pl.Series) -> tuple[int, int]:
    if not len(series):
        return 0, 0
    return int(series.min()), int(series.max())  # type: ignore[arg-type]


def _constants(node: Any, kind: _Kind) -> list[Any]:
    if not isinstance(node, nodes.List | nodes.Tuple) or not node.items:
        raise _NotSimpleError
    if kind not in ("int", "text"):
        raise _NotSimpleError
    values = []
    for item in node.items:
        if not isinstance(item, nodes.Const) or _constant_kind(item.value) != kind:
            raise _NotSimpleError
        values.append(item.value)
    return values


def _kind(series: pl.Series) -> _Kind:
    if series.null_count():
        raise _NotSimpleError
    if series.dtype == pl.String:
        return "text"
    if series.dtype == pl.Boolean:
        return "bool"
    if series.dtype in _INTEGERS:
        return "int"
    if series.dtype == pl.Float64 and not series.is_nan().any():
        return "float"
    raise _NotSimpleError


def _constant_kind(value: object) -> _Kind:
    match value:
        case bool():
            return "bool"
        case int() if -(2**63) <= value < 2**63:
            return "int"
        case float():
            return "float"
        case str():
            return "text"
        case _:
            raise _NotSimpleError


def _truth(expression: pl.Expr, kind: _Kind) -> pl.Expr:
    match kind:
        case "text":
            return expression != ""
        case "int" | "float":
            return expression != 0
        case _:
            return expression
