"""The base of every config model and the scalar types they share.

Config models are values: frozen, without behaviour, and closed (an unknown key is an error, never ignored). Scalars are
strict, because YAML has already decided their type: `"1.10"` stays a string, `yes` is not the number 1.
"""

import math
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
)


class ConfigModel(BaseModel):
    """Frozen pydantic base that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _scalar(value: Any) -> Any:
    """One message for a value of no usable kind, instead of one per member of the union."""
    if isinstance(value, bool):
        raise ValueError(f"expected text or a number, got {value}; {QUOTE_TRUTH}")
    if not isinstance(value, str | int | float):
        raise ValueError("expected text or a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} does not fit in 64 bits; quote it to make it text")
    return value


def _json(value: dict[str, Any]) -> dict[str, Any]:
    check_json(value)
    return value


def check_json(value: Any) -> None:
    """Raise ValueError for what only YAML can say: binary, sets, infinities, keys that are no text."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"key {key!r} must be text; quote it")
            check_json(item)
    elif isinstance(value, list):
        for item in value:
            check_json(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} cannot be written as JSON")
    elif value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"a {type(value).__name__} cannot be written as JSON")


QUOTE_TRUTH = (
    "YAML reads an unquoted yes, no, on, off, true or false as a boolean: quote it"
)
"""What to do about a truth value in the place of text; `in_language` says it of other files than YAML."""


def in_language(message: str, language: str) -> str:
    """A message about a value in words that hold where it was written: in `YAML`, `JSON` or `Python`."""
    if language == "YAML":
        return message
    written = {"True": "true", "False": "false"} if language == "JSON" else {}
    for word, here in written.items():
        message = message.replace(
            f"got {word}; {QUOTE_TRUTH}", f"got {here}; {QUOTE_TRUTH}"
        )
    return message.replace(
        QUOTE_TRUTH, "a boolean is not text: quote it to make it text"
    )


MAX_NAME_LENGTH = 200
"""Bytes of a name that becomes the name of a file: file systems take 255, temporary names and suffixes included."""


def _for_files(name: str) -> str:
    if len(name.encode()) > MAX_NAME_LENGTH:
        raise ValueError(
            f"the name has {len(name.encode()):,} bytes; as the name of a file it can have {MAX_NAME_LENGTH}"
        )
    return name


def _without_zeros(text: str) -> str:
    if "\0" in text:
        raise ValueError(
            "a NUL character, which names, paths and texts cannot contain; remove it"
        )
    return text


FileName = AfterValidator(_for_files)
"""Says that a name becomes the name of a file or directory."""
Name = Annotated[StrictStr, StringConstraints(pattern=r"^\w(?:[\w -]*\w)?$")]
"""Letters of any alphabet, digits, `_`, and inside also blanks and hyphens."""
DatasetName = Annotated[
    StrictStr, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), FileName
]
NonEmptyStr = Annotated[
    StrictStr, StringConstraints(min_length=1), AfterValidator(_without_zeros)
]
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
EnvVar = Annotated[StrictStr, StringConstraints(pattern=f"^{_VARIABLE}$")]
"""The name of an environment variable."""
Scalar = Annotated[StrictStr | StrictInt | StrictFloat, BeforeValidator(_scalar)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A real number: `0` and `0.0` in a file are the same."""
JsonObject = Annotated[dict[str, Any], AfterValidator(_json)]
Seed = Annotated[StrictInt, Field(ge=-(2**63), le=2**64 - 1)]
"""What metadata can hold."""
PositiveInt = Annotated[StrictInt, Field(gt=0)]
NonNegativeInt = Annotated[StrictInt, Field(ge=0)]
Rate = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
Bool = StrictBool


def is_variable_name(text: str) -> bool:
    """Whether text can be the name of an environment variable."""
    return re.fullmatch(_VARIABLE, text) is not None
