"""Sampler columns, computed for many records at once.

A value is a pure function of (seed, column name, record index, attempt, the columns it reads): which records are asked for
together, in what order or by which process, changes nothing. Every kind turns the record's own random words into its value by
inverse CDF, so a record never consumes words of another one. No row is touched by Python code; work per *distinct* value is
allowed.

The values have the type that `sdg_core.plan.types.samplers` announces, and the column's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.people import PeopleParams, PersonFromFakerParams, PersonParams
from sdg_core.config.samplers import (
    CategoryParams,
    DatetimeParams,
    SamplerParams,
    SubcategoryParams,
    TimedeltaParams,
    UuidParams,
)
from sdg_core.generators.base import Frame, GroupColumn
from sdg_core.generators.samplers.choices import (
    draw_category,
    draw_subcategory,
    draw_uuid,
)
from sdg_core.generators.samplers.numbers import drawn_series
from sdg_core.plan.sampling.rng import RandomSource, Words
from sdg_core.plan.types.samplers import drawn_type


@dataclass(frozen=True)
class _Request:
    """Records of one column. frame: the columns it reads, row by row; unformatted: the same with times as times."""

    name: str
    indices: NDArray[np.int64]
    frame: Frame
    unformatted: Frame
    random: RandomSource

    @cached_property
    def words(self) -> Words:
        """Four words per record."""
        return self.random.words(self.name, self.indices)

    def rows(self, rows: NDArray[np.int64], read: set[str]) -> "_Request":
        """Some of the records, with the columns that are still read."""
        random = self.random
        if random.attempts is not None:
            random = replace(random, attempts=random.attempts[rows])
        frame = {name: self.frame[name].gather(rows) for name in read}
        unformatted = {name: self.unformatted[name].gather(rows) for name in read}
        return replace(
            self,
            indices=self.indices[rows],
            frame=frame,
            unformatted=unformatted,
            random=random,
        )


def sample(
    column: SamplerColumn,
    *,
    indices: NDArray[np.int64],
    frame: Frame,
    random: RandomSource,
    unformatted: Frame | None = None,
) -> GroupColumn:
    """The values of the records `indices`.

    frame: the columns that this one reads, row by row. unformatted: those of them that are times, before they became text.
    Null only where a record fails: its parent value has no list, its reference is no time, or a condition cannot be told.
    """
    request = _Request(
        column.name, indices, frame, {**frame, **(unformatted or {})}, random
    )
    if not column.conditional_params:
        return _converted(column, _draw(column, column.params, request))
    from sdg_core.generators.samplers.conditions import choose_branches

    branches, failed = choose_branches(column, frame=frame, length=len(indices))
    pieces: list[GroupColumn] = []
    places: list[NDArray[np.int64]] = []
    for branch, params in enumerate(column.every_params):
        rows = np.flatnonzero(branches == branch)
        if len(rows) or branch == len(column.conditional_params):
            of_branch = request.rows(rows, _read_by_params(params))
            pieces.append(_draw(column, params, of_branch))
            places.append(rows)
    merged = merge_pieces(pieces, places)
    return _without(_converted(column, merged), failed)


def merge_pieces(
    pieces: list[GroupColumn], places: list[NDArray[np.int64]]
) -> GroupColumn:
    """Parts of a column, each with the positions it is for, as one column in order of position."""
    order = np.argsort(np.concatenate(places), kind="stable")
    values = pl.concat([piece.values for piece in pieces]).gather(order)
    failed: dict[int, str] = {}
    unformatted_parts = []
    for piece, rows in zip(pieces, places, strict=True):
        for position, reason in piece.failed.items():
            failed[int(rows[position])] = reason
        if piece.unformatted is not None:
            unformatted_parts.append(piece.unformatted)
    unformatted = (
        pl.concat(unformatted_parts).gather(order) if unformatted_parts else None
    )
    return GroupColumn(values, failed, unformatted=unformatted)


def _draw(
    column: SamplerColumn, params: SamplerParams, request: _Request
) -> GroupColumn:
    match params:
        case CategoryParams():
            return GroupColumn(draw_category(column, params, request.words), {})
        case SubcategoryParams():
            values, failed = draw_subcategory(
                column, params, request.words, parent=request.frame[params.category]
            )
            return GroupColumn(values, failed)
        case UuidParams():
            return GroupColumn(draw_uuid(column, params, request.words), {})
        case DatetimeParams():
            from sdg_core.generators.samplers.datetimes import draw_datetime

            text, times = draw_datetime(column, params, request.words)
            return GroupColumn(text, {}, unformatted=times)
        case TimedeltaParams():
            from sdg_core.generators.samplers.datetimes import draw_timedelta

            start = request.unformatted[params.reference_column_name]
            text, times, failed = draw_timedelta(
                column, params, request.words, reference=start
            )
            return GroupColumn(text, failed, unformatted=times)
        case PersonParams() | PersonFromFakerParams():
            return _people(column, params, request)
        case _:
            return GroupColumn(drawn_series(column, params, request.words), {})


def _people(
    column: SamplerColumn, params: PeopleParams, request: _Request
) -> GroupColumn:
    """People read more words than the others, so they fetch their own. Faker is imported only here."""
    from sdg_core.generators.samplers.people.person import sample_people

    written = drawn_type(column)
    people = sample_people(
        request.name,
        params,
        written=written,
        indices=request.indices,
        random=request.random,
    )
    return GroupColumn(people, {})


def _converted(column: SamplerColumn, drawn: GroupColumn) -> GroupColumn:
    """Numbers as text where `convert_to` asks for it; constraints go on comparing the numbers."""
    if column.convert_to != "str" or drawn.values.dtype == pl.String:
        return drawn
    return replace(drawn, values=drawn.values.cast(pl.String), unformatted=drawn.values)


def _read_by_params(params: SamplerParams) -> set[str]:
    """The columns that parameters read (conditions have been decided)."""
    match params:
        case SubcategoryParams():
            return {params.category}
        case TimedeltaParams():
            return {params.reference_column_name}
        case _:
            return set()


def _without(drawn: GroupColumn, failed: Mapping[int, str]) -> GroupColumn:
    """Records whose condition failed have no value."""
    if not failed:
        return drawn
    values = drawn.values.scatter(list(failed), None)
    return GroupColumn(
        values, {**drawn.failed, **failed}, unformatted=drawn.unformatted
    )
