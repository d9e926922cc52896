"""The Arrow type of a verdict: what a validation column holds, the same whatever the validator found."""

import pyarrow as pa

from sdg_core.config.columns import ValidationColumn
from sdg_core.config.validators import (
    CodeParams,
    JsonSchemaParams,
    LocalCallableParams,
    RegexParams,
    RemoteParams,
    ValidatorParams,
)
from sdg_core.plan.types.arrow import json_schema_type

IS_VALID = "is_valid"
DETAILS = "details"
_VALID = pa.field(IS_VALID, pa.bool_())
_LINT = pa.struct(
    [
        pa.field("type", pa.string()),
        pa.field("symbol", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("column", pa.int64()),
        pa.field("message", pa.string()),
    ]
)
_PYTHON = pa.struct(
    [
        _VALID,
        pa.field("python_linter_score", pa.float64()),
        pa.field("python_linter_severity", pa.string()),
        pa.field("python_linter_messages", pa.list_(_LINT)),
    ]
)
_SQL = pa.struct([_VALID, pa.field("error_messages", pa.string())])
_ERRORS = pa.list_(
    pa.struct([pa.field("path", pa.string()), pa.field("message", pa.string())])
)
_JSON = pa.struct([_VALID, pa.field("errors", _ERRORS)])
_REGEX = pa.struct([_VALID])
_OPEN = pa.struct([_VALID, pa.field(DETAILS, pa.string())])


def judges_rows(column: ValidationColumn) -> bool:
    """Whether the validator sees all target columns at once and gives one verdict on them together."""
    return isinstance(column.validator_params, LocalCallableParams | RemoteParams)


def verdict_type(column: ValidationColumn) -> pa.DataType:
    """The type of the column: the verdict itself, or `is_valid` and one verdict per target where there are several."""
    single = single_verdict_type(column.validator_params)
    if judges_rows(column) or len(column.target_columns) == 1:
        return single
    targets = [pa.field(target, single) for target in column.target_columns]
    return pa.struct([_VALID, *targets])


def single_verdict_type(params: ValidatorParams) -> pa.StructType:
    """The type of one verdict. Raises ValueError for an `output_schema` that leaves a type open."""
    match params:
        case CodeParams():
            return _PYTHON if params.code_lang == "python" else _SQL
        case JsonSchemaParams():
            return _JSON
        case RegexParams():
            return _REGEX
        case LocalCallableParams() | RemoteParams():
            return _declared(params) if params.output_schema is not None else _OPEN


def _declared(params: LocalCallableParams | RemoteParams) -> pa.StructType:
    """`output_schema` describes one verdict; that of a whole answer (`data: [verdict]`), as Data Designer has it, will do."""
    schema = params.output_schema or {}
    data = schema.get("properties", {}).get("data", {})
    if (
        isinstance(data, dict)
        and data.get("type") == "array"
        and isinstance(data.get("items"), dict)
    ):
        schema = data["items"]
    declared = json_schema_type(schema)
    if not pa.types.is_struct(declared):
        raise ValueError("a verdict is an object; give type: object and its properties")
    rest = [field for field in declared if field.name != IS_VALID]
    return pa.struct([_VALID, *rest])
