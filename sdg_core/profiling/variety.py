"""How varied the texts and vectors of a dataset are, before and after processors removed records.

Texts are compared as deduplication compares them (`sdg_core.filters`), on rows at equal distances, so that time and memory are
bounded whatever the size; with fewer rows than that, on all. Near-duplicates need the libraries rensa and scipy; without them
their numbers are absent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import polars as pl

from sdg_core.config.columns import EmbeddingColumn, SamplerColumn
from sdg_core.errors import FilterError
from sdg_core.filters.deduplicate import duplicates_by
from sdg_core.filters.diversity import distinct_n, nearest_neighbours
from sdg_core.plan.types.polars_columns import exact_column
from sdg_core.profiling.measure import ROW, collected
from sdg_core.profiling.model import ColumnProfile
from sdg_core.profiling.table import Described

Stage = Literal["before", "after"]
NEAR_DUPLICATES_BY = ("rensa", "scipy")
MAX_ROWS = 10_000
MAX_CHARACTERS = 5_000_000
MAX_VECTORS = 5_000
MAX_COLUMNS = 12
MIN_LENGTH = 20
"""Characters that texts have on average, from which on their words are worth comparing."""


@dataclass(frozen=True)
class Variety:
    """How varied a column is. Shares are of the sampled rows, which are all rows where there are no more.

    stage: before processors removed records, or after. duplicates, near_duplicates: rows that repeat an earlier one, exactly but
    for case and white space, or by shared words (`method`); clusters: groups of near-duplicates. distinct_1, distinct_2: share of
    different words and pairs of words. length: mean, in characters. nearest: mean cosine similarity of vectors to their
    nearest neighbour. score: mean of a judge's score, over all rows.
    """

    column: str
    stage: Stage
    sampled: int
    duplicates: float | None = None
    near_duplicates: float | None = None
    clusters: int | None = None
    method: str | None = None
    distinct_1: float | None = None
    distinct_2: float | None = None
    length: float | None = None
    nearest: float | None = None
    score: float | None = None


def measure_variety(
    frame: pl.LazyFrame,
    described: Sequence[Described],
    profiles: Sequence[ColumnProfile],
    *,
    rows: int,
    stage: Stage,
) -> tuple[Variety, ...]:
    """The texts, vectors and scores of a table. profiles: what was measured of its columns."""
    found: list[Variety] = []
    by_name = {profile.name: profile for profile in profiles}
    for column in described:
        profile = by_name[column.name]
        if profile.kind == "text" and not isinstance(column.column, SamplerColumn):
            mean = profile.lengths.mean if profile.lengths is not None else None
            if mean is not None and mean >= MIN_LENGTH:
                found.append(_texts(frame, profile, mean=mean, rows=rows, stage=stage))
        elif isinstance(column.column, EmbeddingColumn):
            found += _vectors(frame, column.name, rows=rows, stage=stage)
        for score in profile.scores:
            if score.mean is not None:
                found.append(
                    Variety(
                        f"{column.name}.{score.name}", stage, rows, score=score.mean
                    )
                )
    return tuple(found[:MAX_COLUMNS])


def _texts(
    frame: pl.LazyFrame, profile: ColumnProfile, *, mean: float, rows: int, stage: Stage
) -> Variety:
    rows_of_characters = int(MAX_CHARACTERS / mean)
    most = max(1, min(MAX_ROWS, rows_of_characters))
    texts = sample_column(frame, profile.name, rows=rows, most=most)
    ids = np.arange(len(texts), dtype=np.int64)
    exact = duplicates_by("exact")
    exact.add(ids, texts)
    near: dict[str, Any] = {}
    if all(find_spec(library) is not None for library in NEAR_DUPLICATES_BY):
        minhash = duplicates_by("minhash")
        minhash.add(ids, texts)
        decided = minhash.decide()
        near = {
            "near_duplicates": decided.share,
            "clusters": len(decided.groups()),
            "method": decided.method,
        }
    return Variety(
        profile.name,
        stage,
        len(texts),
        duplicates=exact.decide().share,
        distinct_1=distinct_n(texts, 1),
        distinct_2=distinct_n(texts, 2),
        length=mean,
        **near,
    )


def _vectors(
    frame: pl.LazyFrame, name: str, *, rows: int, stage: Stage
) -> list[Variety]:
    """Of an embedding column with one embedding each; nothing of any other."""
    cells = sample_column(frame, name, rows=rows, most=MAX_VECTORS)
    vectors = []
    for cell in cells:
        has_one = cell is not None and len(cell["embeddings"]) == 1
        vectors.append(cell["embeddings"][0] if has_one else None)
    series = pl.Series(vectors, dtype=pl.List(pl.Float64))
    try:
        nearest = nearest_neighbours(series)
    except FilterError:  # of several sizes, or zero: there is no angle between them
        return []
    if nearest is None:
        return []
    return [Variety(name, stage, nearest.vectors, nearest=nearest.mean)]


def sample_column(frame: pl.LazyFrame, name: str, *, rows: int, most: int) -> pl.Series:
    """The column at rows of equal distance, all of them if there are few enough.

    Texts are copied: they would keep alive the memory of those around them, which is the whole column.
    """
    step = -(-rows // most)
    column = exact_column(name)
    chosen = frame.select(column).with_row_index(ROW).filter(pl.col(ROW) % step == 0)
    chosen = chosen.select(column)
    if frame.collect_schema()[name] == pl.String:
        copied = pl.concat_str([column, pl.lit("")])
        chosen = chosen.select(copied.alias(name))
    return collected(chosen)[name]
