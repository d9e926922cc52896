"""Validation columns: verdicts on other columns, for a whole row group at once or, where a target comes from a model, as records
come along, a few together."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from sdg_core.config.columns import ValidationColumn
from sdg_core.config.validators import CodeParams, LocalCallableParams, RemoteParams
from sdg_core.errors import CellError
from sdg_core.generators.base import Cell, CellFailedError, Frame, GroupColumn
from sdg_core.generators.custom.columns import typed_series
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import derived_type
from sdg_core.plan.templates.render import plain_value
from sdg_core.plan.types.arrow_values import array_of
from sdg_core.plan.types.verdicts import single_verdict_type
from sdg_core.plan.usercode.functions import UserFunction
from sdg_core.system.batcher import Batcher
from sdg_core.validators.base import Outcome, ValidatorError
from sdg_core.validators.factory import validate_targets, value_validator
from sdg_core.validators.rows import validate_by_function

Row = Mapping[str, Any]


def validate_group(
    plan: DatasetPlan, column: ValidationColumn, *, frame: Frame, length: int
) -> GroupColumn:
    """The verdicts on many records, none of which needs a model."""
    table = pl.DataFrame([frame[name].alias(name) for name in column.target_columns])
    outcomes: list[Outcome] = []
    if isinstance(column.validator_params, LocalCallableParams):
        function = plan.functions[column.name]
        for start in range(0, length, column.batch_size):
            outcomes += _by_function(
                column, function, table.slice(start, column.batch_size)
            )
    else:
        validator = value_validator(column.validator_params)
        try:
            outcomes += validate_targets(
                validator, table.to_dicts(), column.target_columns
            )
        except ValidatorError as error:
            outcomes = [error] * length
    values: list[Any] = []
    failed: dict[int, str] = {}
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, ValidatorError):
            failed[place] = outcome.message
            values.append(None)
        else:
            values.append(outcome)
    series = typed_series(column.name, values, derived_type(column))
    return GroupColumn(series, failed, kind="validation")


def _by_function(
    column: ValidationColumn, function: UserFunction, table: pl.DataFrame
) -> list[Outcome]:
    try:
        return validate_by_function(
            function, table, verdict=single_verdict_type(column.validator_params)
        )
    except ValidatorError as error:
        return [error] * table.height


class ValidationGenerator:
    """Verdicts record by record. Cheap validators answer at once; the others get `batch_size` records together."""

    def __init__(self, plan: DatasetPlan, column: ValidationColumn) -> None:
        self._column = column
        self._types = {
            name: plan.schema.field(name).type for name in column.target_columns
        }
        self._batches: Batcher[Row, Any] | None = None
        match params := column.validator_params:
            case RemoteParams():
                from sdg_core.validators.remote import (
                    RemoteValidator,
                )  # here, because aiohttp takes its time

                self._remote = RemoteValidator(
                    params, verdict=single_verdict_type(params)
                )
                parallel = params.max_parallel_requests
                self._batches = Batcher(
                    self._ask, size=column.batch_size, parallel=parallel
                )
            case LocalCallableParams():
                self._function = plan.functions[column.name]
                self._batches = Batcher(self._call, size=column.batch_size)
            case _:
                self._validator = value_validator(params)
                if isinstance(params, CodeParams):
                    self._batches = Batcher(
                        self._validate_in_thread, size=column.batch_size, parallel=2
                    )

    async def generate(self, *, record: int, values: Mapping[str, Any]) -> Cell:
        """The verdict on one record. Raises CellFailedError if the validator cannot give one."""
        row = {name: values[name] for name in self._column.target_columns}
        try:
            if self._batches is None:
                return Cell(
                    validate_targets(
                        self._validator, [row], self._column.target_columns
                    )[0]
                )
            return Cell(await self._batches.submit(row))
        except CellError as error:
            raise CellFailedError(error.message, kind="validation") from error

    async def _validate_in_thread(self, rows: list[Row]) -> Sequence[Any]:
        return await asyncio.to_thread(
            validate_targets, self._validator, rows, self._column.target_columns
        )

    async def _call(self, rows: list[Row]) -> Sequence[Any]:
        arrays = []
        for name, kind in self._types.items():
            values = [row[name] for row in rows]
            arrays.append(array_of(values, kind))
        table = pl.DataFrame(pa.table(arrays, names=list(self._types)))
        return await asyncio.to_thread(
            _by_function, self._column, self._function, table
        )

    async def _ask(self, rows: list[Row]) -> Sequence[Any]:
        return await self._remote.validate([plain_value(row) for row in rows])
