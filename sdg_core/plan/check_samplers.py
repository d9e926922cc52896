"""Checks of sampler columns that their parameter models cannot make by themselves."""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from sdg_core.config.columns import Column, SamplerColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.document import Path
from sdg_core.config.samplers import CategoryParams, DatetimeParams, SubcategoryParams
from sdg_core.plan.names import closest

Found = Iterator[tuple[Path, str]]
_ISO_TIME = r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?"


def check_sampler(column: Column, config: DatasetConfig, also_known: frozenset[str]) -> Found:
    """Problems of a column if it is a sampler, by path inside the column. `also_known`: names of columns faulty themselves."""
    if not isinstance(column, SamplerColumn):
        return
    params = column.params
    if column.convert_to is not None:
        yield from _check_conversion(column)
    if isinstance(params, CategoryParams) and _mixes_text(params.values):
        yield ("params", "values"), "mixes text and numbers, but a column has one type; quote the numbers"
    if isinstance(params, DatetimeParams):
        yield from _check_datetime(params)
    if isinstance(params, SubcategoryParams):
        if _mixes_text([value for values in params.values.values() for value in values]):
            yield ("params", "values"), "mixes text and numbers, but a column has one type; quote the numbers"
        if params.category not in also_known:
            yield from _check_parent(params, config)


def _check_parent(params: SubcategoryParams, config: DatasetConfig) -> Found:
    categories = {
        c.name: c.params
        for c in config.columns
        if isinstance(c, SamplerColumn) and isinstance(c.params, CategoryParams)
    }
    parent = categories.get(params.category)
    if parent is None:
        message = f"{params.category!r} is not a category sampler{closest(params.category, categories)}"
        yield ("params", "category"), message
        return
    lacking = [str(value) for value in parent.values if str(value) not in params.values]
    if lacking:
        yield ("params", "values"), f"no values for {', '.join(map(repr, lacking))} of category {params.category!r}"


def _check_conversion(column: SamplerColumn) -> Found:
    kind = column.sampler_type
    if kind in ("uniform", "gaussian") and column.convert_to not in ("int", "float", "str"):
        yield ("convert_to",), f"{column.convert_to!r} is not a conversion of a number; one of int, float, str"
    elif kind in ("category", "subcategory", "uuid"):
        yield ("convert_to",), f"{kind} samplers have no conversion; remove it"


def _check_datetime(params: DatetimeParams) -> Found:
    bounds = []
    for field in ("start", "end"):
        text = getattr(params, field)
        try:
            if re.fullmatch(_ISO_TIME, text) is None:  # numpy also reads "today" and time zones
                raise ValueError(text)
            bounds.append(np.datetime64(text, "s").astype(f"M8[{params.unit}]"))
        except ValueError:
            message = f"{text!r} is not an ISO 8601 date or time without zone, such as 2024-01-31 or 2024-01-31T09:30"
            yield ("params", field), message
    if len(bounds) == 2 and not bounds[0] < bounds[1]:
        yield (
            ("params", "end"),
            f"no whole {params.unit} lies between {params.start} (included) and {params.end} (excluded)",
        )


def _mixes_text(values: Iterable[object]) -> bool:
    return len({isinstance(value, str) for value in values}) > 1
