"""Answers of functions and endpoints, which see all targets of a record at once, made into verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from sdg_core.counts import counted
from sdg_core.plan.types.arrow import conform
from sdg_core.plan.types.verdicts import DETAILS, IS_VALID
from sdg_core.plan.usercode.functions import UserFunction
from sdg_core.system.user_calls import call_user, waiting_for
from sdg_core.validators.base import Outcome, ValidatorError, Verdict


def validate_by_function(
    function: UserFunction, frame: pl.DataFrame, *, verdict: pa.StructType
) -> list[Outcome]:
    """The function's verdicts on the rows of a frame. Raises ValidatorError if it fails or answers as it should not."""
    name = function.reference
    try:
        with waiting_for(f"the validator {name}"):
            answer = call_user(function.call, frame)
    except Exception as error:
        raise ValidatorError(
            f"{name} raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(answer, pl.DataFrame):
        raise ValidatorError(
            f"{name} returned {type(answer).__name__}, not a polars DataFrame"
        )
    if answer.height != frame.height:
        raise ValidatorError(
            f"{name} returned {counted(answer.height, 'row')} for {frame.height}"
        )
    extra = [
        column
        for column in answer.columns
        if column not in frame.columns or column == IS_VALID
    ]
    return verdicts(answer[extra].to_dicts(), who=name, verdict=verdict)


def verdicts(
    answers: Sequence[Any], *, who: str, verdict: pa.StructType
) -> list[Outcome]:
    """Answers as verdicts of the announced type; one that does not fit is an error of its own row only."""
    outcomes: list[Outcome] = []
    for answer in answers:
        try:
            outcomes.append(_coerced(answer, who=who, verdict=verdict))
        except ValidatorError as error:
            outcomes.append(error)
    return outcomes


def _coerced(answer: Any, *, who: str, verdict: pa.StructType) -> Verdict:
    is_verdict = isinstance(answer, Mapping) and IS_VALID in answer
    if not is_verdict or not isinstance(answer[IS_VALID], bool | None):
        raise ValidatorError(f"{who} did not return true or false for {IS_VALID!r}")
    names = [field.name for field in verdict]
    try:
        if names == [IS_VALID, DETAILS] and DETAILS not in answer:
            rest = {key: value for key, value in answer.items() if key != IS_VALID}
            details = orjson.dumps(rest, default=str).decode() if rest else None
            return {IS_VALID: answer[IS_VALID], DETAILS: details}
        fields = {name: answer.get(name) for name in names}
        return dict(conform(fields, verdict))
    except (ValueError, TypeError) as error:
        raise ValidatorError(
            f"{who} returned a value that does not match its output_schema: {error}"
        ) from error
