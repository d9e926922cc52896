"""Parameters of validation columns: one model per `validator_type`.

Whether a pattern, a schema or a function can be used is checked in `sdg_core.plan.checks.validation`.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, StrictStr

from sdg_core.config.addresses import validator_address
from sdg_core.config.base import (
    Bool,
    ConfigModel,
    JsonObject,
    NonEmptyStr,
    NonNegativeInt,
    PositiveInt,
    Scalar,
)

ValidatorType = Literal["code", "local_callable", "remote", "json_schema", "regex"]
CodeLang = Literal[
    "python",
    "sql:sqlite",
    "sql:tsql",
    "sql:bigquery",
    "sql:mysql",
    "sql:postgres",
    "sql:ansi",
]


Url = Annotated[StrictStr, AfterValidator(validator_address)]
_Seconds = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


class CodeParams(ConfigModel):
    """Source text is parsed and linted, never executed."""

    validator_type: Literal["code"] = "code"
    code_lang: CodeLang


class LocalCallableParams(ConfigModel):
    """A function that maps a DataFrame of the target columns to a DataFrame of verdicts with `is_valid`, row by row.

    output_schema: JSON schema of one verdict; without it, everything except `is_valid` is stored as JSON text in
    `details`.
    source_hash: computed when the function is loaded; a value in a file is ignored.
    """

    validator_type: Literal["local_callable"] = "local_callable"
    validation_function: NonEmptyStr
    output_schema: JsonObject | None = None
    version: Scalar | None = None
    source_hash: NonEmptyStr | None = None


class RemoteParams(ConfigModel):
    """An HTTP endpoint that accepts `{"data": [...]}` and returns one verdict per item under the same key.

    timeout: seconds per request. retry_backoff: seconds before the first retry; doubled for each further retry.
    """

    validator_type: Literal["remote"] = "remote"
    endpoint_url: Url
    output_schema: JsonObject | None = None
    timeout: _Seconds = 30.0
    max_retries: NonNegativeInt = 3
    retry_backoff: Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)] = 2.0
    max_parallel_requests: PositiveInt = 4


class JsonSchemaParams(ConfigModel):
    """A JSON schema; text is parsed as JSON first, other values are checked as is."""

    validator_type: Literal["json_schema"] = "json_schema"
    json_schema: Annotated[
        JsonObject, Field(validation_alias=AliasChoices("json_schema", "schema"))
    ]


class RegexParams(ConfigModel):
    """A linear-time regular expression (no look-around, no back-references), matched anywhere in the text.

    full_match: the pattern must match the whole text.
    """

    validator_type: Literal["regex"] = "regex"
    pattern: NonEmptyStr
    full_match: Bool = False

    @property
    def searched(self) -> str:
        """The pattern in the form in which it is looked for."""
        return rf"\A(?:{self.pattern})\z" if self.full_match else self.pattern


ValidatorParams = Annotated[
    CodeParams | LocalCallableParams | RemoteParams | JsonSchemaParams | RegexParams,
    Field(discriminator="validator_type"),
]
