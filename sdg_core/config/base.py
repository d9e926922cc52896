"""The base of every config model and the scalar types they share.

Config models are values: frozen, without behaviour, and closed (an unknown key is an error, never ignored). Scalars are
strict, because YAML has already decided their type: `"1.10"` stays a string, `yes` is not the number 1.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, StringConstraints


class ConfigModel(BaseModel):
    """Frozen pydantic base that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
DatasetName = Annotated[StrictStr, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
NonEmptyStr = Annotated[StrictStr, StringConstraints(min_length=1)]
Scalar = StrictStr | StrictInt | StrictFloat
Number = StrictInt | StrictFloat
JsonObject = dict[str, Any]
PositiveInt = Annotated[StrictInt, Field(gt=0)]
NonNegativeInt = Annotated[StrictInt, Field(ge=0)]
Rate = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
Bool = StrictBool
