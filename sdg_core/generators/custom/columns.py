"""Custom columns: functions of the user, called for one record or for a whole row group.

A function sees fresh copies of the columns that it declares, and nothing else, so that its value depends on nothing else. What it
returns has to fit the declared type. A function of one record that fails costs that record; a function of a whole column
that fails stops the run, because no record of the row group can have its value.
"""

import asyncio
import copy
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from sdg_core.config.columns import CustomColumn
from sdg_core.counts import counted
from sdg_core.errors import FunctionError, RunAbortedError
from sdg_core.generators.base import Cell, CellFailedError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.types.arrow import conform, type_name
from sdg_core.plan.usercode.functions import UserFunction
from sdg_core.system.user_calls import (
    as_exception,
    is_interruption,
    under_way,
    waiting_for,
)

if TYPE_CHECKING:
    from sdg_core.generators.custom.models import CustomFunctionModels
    from sdg_core.models.pool import ModelPool

RECORD_INDEX = "record_index"
"""What a whole-column function gets that reads no column."""


class CustomGenerator:
    """The generator of one custom column that is made record by record. Functions that are not async run in `threads`."""

    def __init__(
        self,
        plan: DatasetPlan,
        column: CustomColumn,
        *,
        models: "ModelPool",
        threads: Executor,
    ) -> None:
        self._plan = plan
        self._column = column
        self._models = models
        self._threads = threads
        self._function = plan.functions[column.name]
        self._names = (column.name, *(column.side_effect_columns or ()))
        self._types = [plan.schema.field(name).type for name in self._names]

    async def generate(self, *, record: int, values: Mapping[str, Any]) -> Cell:
        """The cell of one record, and its side effects. Raises CellFailedError."""
        from sdg_core.generators.custom.models import CustomFunctionModels
        from sdg_core.models.endpoint import RequestFailedError

        loop = asyncio.get_running_loop()
        row = {
            name: _copied(values[name]) for name in self._column.required_columns or ()
        }
        asked = CustomFunctionModels(
            self._plan, self._column, self._models, record=record, loop=loop
        )
        arguments = _arguments(self._function, row, asked)
        what = _named(self._column, self._function)
        try:
            if self._function.is_async:
                with waiting_for(what):
                    returned = await self._function.call(*arguments)
            else:
                returned, error = await loop.run_in_executor(
                    self._threads, _outcome, self._function, arguments, what
                )
                if error is not None:
                    raise error
            main, *side_columns = self._coerced(returned)
        except (
            RunAbortedError
        ):  # of a model that the function asked: it is no failure of the record
            raise
        except RequestFailedError as error:
            raise CellFailedError(
                error.message,
                kind=error.kind,
                attempts=error.attempts,
                usage_by_alias=asked.usage_by_alias,
            ) from error
        except BaseException as error:
            if is_interruption(error):
                raise
            raise CellFailedError(
                _error_text(error), kind="custom", usage_by_alias=asked.usage_by_alias
            ) from error
        return Cell(
            main,
            usage_by_alias=asked.usage_by_alias,
            side_columns=dict(zip(self._names[1:], side_columns, strict=True)),
        )

    def _coerced(self, returned: Any) -> list[Any]:
        parts = returned_cells(
            returned, names=self._names, given=self._column.required_columns or ()
        )
        fitted = []
        for name, value, data_type in zip(self._names, parts, self._types, strict=True):
            try:
                fitted.append(conform(value, data_type))
            except ValueError as error:
                remedy = (
                    "output_type" if name == self._column.name else "side_effect_types"
                )
                raise ValueError(
                    f"returned for {name!r}: {error}; declare {remedy}, or return that"
                ) from None
        return fitted


def returned_cells(
    returned: Any, *, names: Sequence[str], given: Sequence[str]
) -> list[Any]:
    """What a function returned, as one value per name: the value itself, or a mapping with the column and its side effects.

    A mapping may also repeat what the function was given. Raises ValueError for anything else.
    """
    if not (isinstance(returned, Mapping) and names[0] in returned):
        if len(names) > 1:
            raise ValueError(
                f"returned {type(returned).__name__}; expected a mapping with {', '.join(names)}"
            )
        return [returned]
    remaining = [name for name in names if name not in returned]
    if remaining:
        raise ValueError(
            f"did not return {remaining[0]!r}, which is declared in side_effect_columns"
        )
    unknown = [key for key in returned if key not in names and key not in given]
    if unknown:
        raise ValueError(
            f"returned {unknown[0]!r}, which is neither its column nor declared in side_effect_columns"
        )
    return [returned[name] for name in names]


def call_whole_column(
    plan: DatasetPlan,
    column: CustomColumn,
    frame: pl.DataFrame,
    *,
    models: "CustomFunctionModels",
    carried: Sequence[str] | None = None,
) -> pl.DataFrame:
    """What a whole-column function makes of a frame: its column and side effects, one row per row.

    carried: for a function that may change the rows, the columns that it has to return as well.
    Called in a thread without an event loop. Raises FunctionError.
    """
    function = plan.functions[column.name]
    where = _named(column, function)
    arguments = _arguments(function, frame, models)
    try:
        with under_way(), waiting_for(where):
            returned = function.call(*arguments)
            if function.is_async:
                returned = asyncio.run(returned)
    except RunAbortedError:
        raise
    except BaseException as error:
        if is_interruption(error):
            raise
        raise FunctionError(f"{where} {_error_text(error)}", remedy=_KEPT) from error
    if not isinstance(returned, pl.DataFrame):
        raise FunctionError(
            f"{where} returned {type(returned).__name__}, not a polars DataFrame",
            remedy=_KEPT,
        )
    if carried is None and returned.height != frame.height:
        raise FunctionError(
            f"{where} returned {counted(returned.height, 'row')}, {frame.height:,} expected",
            remedy="return one row per input row, or set allow_resize: true",
        )
    names = [column.name, *(column.side_effect_columns or ())]
    wanted = [*(carried or ()), *names]
    remaining = [name for name in wanted if name not in returned.columns]
    if remaining:
        raise FunctionError(
            f"{where} did not return the column {remaining[0]!r}; it returned {', '.join(returned.columns)}"
        )
    typed = []
    for name in wanted:
        typed.append(_typed(returned[name], plan.schema.field(name).type, where=where))
    return pl.DataFrame(typed)


_KEPT = "finished row groups are kept; fix the function and rerun the same command to resume"


def _typed(series: pl.Series, data_type: pa.DataType, *, where: str) -> pl.Series:
    """A returned column with the type of the plan. Raises FunctionError where that would bend a value."""
    target = polars_type(data_type)
    if series.dtype == target or series.dtype == pl.Null:
        return series.cast(target)
    if series.dtype.is_integer() and target.is_numeric():
        try:
            return series.cast(target)
        except pl.exceptions.PolarsError as error:
            raise FunctionError(
                f"{where} returned for {series.name!r}: {str(error).splitlines()[0]}"
            ) from error
    try:
        values = [conform(value, data_type) for value in series.to_list()]
        return typed_series(series.name, values, data_type)
    except ValueError as error:
        message = f"{where} returned for {series.name!r}: {error}"
        raise FunctionError(
            message, remedy=f"declare its type, or return {type_name(data_type)}"
        ) from error


def typed_series(name: str, values: Sequence[Any], data_type: pa.DataType) -> pl.Series:
    """Python values that fit an Arrow type, as a column of it."""
    return pl.Series(name, pl.from_arrow(pa.array(values, type=data_type)))


def polars_type(data_type: pa.DataType) -> pl.DataType:
    """The polars type of an Arrow type."""
    return typed_series("", [], data_type).dtype


def _arguments(
    function: UserFunction, data: Any, models: "CustomFunctionModels"
) -> tuple[Any, ...]:
    return (data, function.params, models)[: function.arguments]


def _named(column: CustomColumn, function: UserFunction) -> str:
    return f"column {column.name!r}: {function.reference}"


def _outcome(
    function: UserFunction, arguments: tuple[Any, ...], what: str
) -> tuple[Any, BaseException | None]:
    """What a call returned or raised; what a future or the loop would take for its own comes as another error."""
    try:
        with under_way(), waiting_for(what):
            return function.call(*arguments), None
    except SystemExit as error:
        return None, error
    except BaseException as error:  # noqa: BLE001 - handed over, and raised there
        return None, as_exception(error)


def _error_text(error: BaseException) -> str:
    said = f"raised {type(error).__name__}"
    text = " ".join(str(error).split())
    return f"{said}: {text}" if text else said


def _copied(value: Any) -> Any:
    """A copy of what can be changed in place."""
    if isinstance(value, dict | list):
        return copy.deepcopy(value)
    return value
