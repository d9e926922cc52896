"""Checks of sampler columns that their parameter models cannot make by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sdg_core.config.columns import Column, SamplerColumn, SeedColumn
from sdg_core.config.samplers import (
    BernoulliMixtureParams,
    BinomialParams,
    CategoryParams,
    DatetimeParams,
    PoissonParams,
    SamplerParams,
    ScipyParams,
    SubcategoryParams,
    TimedeltaParams,
)
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.extras import missing_library
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.sampling.datetimes import is_time_format, parse_time
from sdg_core.plan.sampling.distributions import TimeoutBudget, distribution_fault
from sdg_core.plan.sampling.people import check_person
from sdg_core.plan.types.samplers import CONVERSIONS, listed_values


@dataclass(frozen=True)
class SamplerContext:
    """What the checks of a sampler know of the rest of the file.

    columns: by name, without faulty ones. seeded: there is seed data. also_known: names of columns faulty themselves.
    """

    columns: Mapping[str, Column]
    seeded: bool
    also_known: frozenset[str]
    timeouts: TimeoutBudget = field(default_factory=TimeoutBudget)


def check_sampler(column: Column, context: SamplerContext) -> Problems:
    """Problems of a column if it is a sampler, by path inside the column."""
    if not isinstance(column, SamplerColumn):
        return
    branches: list[tuple[Path, SamplerParams]] = [(("params",), column.params)]
    for text, params in column.conditional_params.items():
        branches.append((("conditional_params", text), params))
    types_of_values = set()
    for where, params in branches:
        for path, message in _check_params(params, context):
            yield (*where, *path), message
        for value in listed_values(params):
            types_of_values.add("text" if isinstance(value, str) else "number")
    if len(types_of_values) > 1:
        path = ("values",) if len(branches) == 1 else ()
        yield (
            ("params", *path),
            "mixes text and numbers, but a column has a single type; quote the numbers",
        )
    elif column.convert_to is not None:
        yield from _check_conversion(column, column.convert_to)
    yield from check_person(column)


def _check_params(params: SamplerParams, context: SamplerContext) -> Problems:
    match params:
        case DatetimeParams():
            yield from _check_datetime(params)
        case BinomialParams() | PoissonParams():
            absent = _missing_scipy(params)
            if absent is not None:
                yield (), absent
        case SubcategoryParams() if params.category not in context.also_known:
            yield from _check_parent(params, context.columns, seeded=context.seeded)
        case TimedeltaParams() if (
            params.reference_column_name not in context.also_known
        ):
            yield from _check_reference(params, context.columns, seeded=context.seeded)
        case ScipyParams() | BernoulliMixtureParams():
            absent = _missing_scipy(params)
            if absent is not None:
                yield (), absent
                return
            fault = distribution_fault(
                params.dist_name, params.dist_params, timeouts=context.timeouts
            )
            if fault is not None:
                yield (fault[0],), fault[1]


def _missing_scipy(params: SamplerParams) -> str | None:
    return missing_library(
        f"the sampler {params.sampler_type}", modules=("scipy",), extra="distributions"
    )


def _check_parent(
    params: SubcategoryParams, columns: Mapping[str, Column], *, seeded: bool
) -> Problems:
    """The parent is a category, whose values are known, or a seed column, whose values are not."""
    parent = columns.get(params.category)
    if isinstance(parent, SeedColumn) or parent is None and seeded:
        return
    if not isinstance(parent, SamplerColumn) or not isinstance(
        parent.params, CategoryParams
    ):
        categories = [
            name for name, column in columns.items() if _is_kind(column, "category")
        ]
        message = f"{params.category!r} is not a category sampler{did_you_mean(params.category, categories)}"
        yield ("category",), message
        return
    remaining: dict[str, None] = {}
    for branch in parent.every_params:
        for value in map(str, listed_values(branch)):
            if value not in params.values:
                remaining[value] = None
    if remaining:
        listed = ", ".join(map(repr, remaining))
        yield ("values",), f"no values for {listed} of category {params.category!r}"


def _check_reference(
    params: TimedeltaParams, columns: Mapping[str, Column], *, seeded: bool
) -> Problems:
    reference = columns.get(params.reference_column_name)
    if isinstance(reference, SeedColumn) or reference is None and seeded:
        return
    if not _is_kind(reference, "datetime", "timedelta"):
        known = [
            name
            for name, column in columns.items()
            if _is_kind(column, "datetime", "timedelta")
        ]
        message = f"{params.reference_column_name!r} is not a datetime sampler{did_you_mean(params.reference_column_name, known)}"
        yield ("reference_column_name",), message


def _is_kind(column: Column | None, *kinds: str) -> bool:
    return isinstance(column, SamplerColumn) and column.sampler_type in kinds


def _check_conversion(column: SamplerColumn, convert_to: str) -> Problems:
    path: Path = ("convert_to",)
    kind = column.sampler_type
    if kind in ("datetime", "timedelta"):
        if not is_time_format(convert_to):
            yield (
                path,
                f"{convert_to!r} is not a date format; use strftime directives, as in %Y-%m-%d %H:%M",
            )
    elif kind in ("uuid", "person", "person_from_faker"):
        yield path, f"{kind} samplers have no conversion; remove it"
    elif convert_to not in CONVERSIONS:
        yield (
            path,
            f"{convert_to!r} is not a number conversion; use int, float or str",
        )
    elif convert_to != "str":
        for params in column.every_params:
            for value in listed_values(params):
                if isinstance(value, str):
                    yield (
                        path,
                        f"{value!r} is text; only numbers can be converted to {convert_to}",
                    )
                    return


def _check_datetime(params: DatetimeParams) -> Problems:
    bounds = []
    for key in ("start", "end"):
        text = getattr(params, key)
        try:
            bounds.append(parse_time(text))
        except ValueError:
            message = f"{text!r} is not an ISO 8601 date or time without zone, such as 2024-01-31 or 2024-01-31T09:30"
            yield (key,), message
    if len(bounds) == 2 and not bounds[0] < bounds[1]:
        yield (
            ("end",),
            f"{params.end} (excluded) is not after start {params.start} (included)",
        )
