"""The Arrow type of a sampler column, and what kind of value constraints compare: decided by all branches together, so that
every row group has the same."""

from collections.abc import Sequence
from typing import Literal, assert_never

import pyarrow as pa

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.people import PersonFromFakerParams, PersonParams
from sdg_core.config.samplers import (
    BernoulliMixtureParams,
    BernoulliParams,
    BinomialParams,
    CategoryParams,
    DatetimeParams,
    GaussianParams,
    PoissonParams,
    SamplerParams,
    ScipyParams,
    SubcategoryParams,
    TimedeltaParams,
    UniformParams,
    UuidParams,
)
from sdg_core.plan.sampling.distributions import is_discrete
from sdg_core.plan.sampling.people import PERSON_TYPE
from sdg_core.plan.sampling.personas import CENSUS_TYPE, PERSONA_TYPE, person_type

Kind = Literal["number", "time", "text"]
_WIDEST_FIRST = (PERSONA_TYPE, CENSUS_TYPE, PERSON_TYPE, pa.string(), pa.float64())
CONVERSIONS = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}


def sampler_type(column: SamplerColumn) -> pa.DataType:
    """The type of the column as it is written."""
    if isinstance(column.params, DatetimeParams | TimedeltaParams):
        return pa.string()
    return (
        CONVERSIONS[column.convert_to]
        if column.convert_to is not None
        else drawn_type(column)
    )


def drawn_type(column: SamplerColumn) -> pa.DataType:
    """The type before `convert_to`; times count as text."""
    types = [_params_type(params) for params in column.every_params]
    for kind in _WIDEST_FIRST:
        if kind in types:
            return kind
    return pa.int64()


def sampler_kind(column: SamplerColumn) -> Kind:
    """What constraints compare. Text that `convert_to` made of a number still compares as the number."""
    if isinstance(column.params, DatetimeParams | TimedeltaParams):
        return "time"
    return "number" if drawn_type(column) in (pa.int64(), pa.float64()) else "text"


def listed_values(params: SamplerParams) -> Sequence[str | int | float]:
    """Every value that a category or subcategory can take; nothing for other samplers."""
    match params:
        case CategoryParams():
            return params.values
        case SubcategoryParams():
            return [value for values in params.values.values() for value in values]
        case _:
            return ()


def _params_type(params: SamplerParams) -> pa.DataType:
    match params:
        case CategoryParams() | SubcategoryParams():
            return _values_type(listed_values(params))
        case UniformParams() | GaussianParams():
            return pa.float64()
        case BernoulliParams() | BinomialParams() | PoissonParams():
            return pa.int64()
        case BernoulliMixtureParams() | ScipyParams():
            return pa.int64() if is_discrete(params.dist_name) else pa.float64()
        case PersonParams() | PersonFromFakerParams():
            return person_type(params)
        case UuidParams() | DatetimeParams() | TimedeltaParams():
            return pa.string()
        case _:
            assert_never(params)


def _values_type(values: Sequence[str | int | float]) -> pa.DataType:
    if all(isinstance(value, str) for value in values):
        return pa.string()
    if all(isinstance(value, int) for value in values):
        return pa.int64()
    return pa.float64()
