"""Planted leaks are found and none invented; diversity numbers equal plain references."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.errors import FilterError
from sdg_core.filters.decontaminate import EvaluationIndex, Overlap
from sdg_core.filters.diversity import distinct_n, nearest_neighbours

SHORT = st.lists(st.sampled_from(["a", "b", "C", "c,", "é"]), max_size=10).map(" ".join)


def ngrams_in(text: str | None, n: int) -> list[tuple[str, ...]]:
    words = (text or "").lower().replace(",", "").split()
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def sentence(random_: random.Random, count: int) -> list[str]:
    return [f"w{random_.randrange(10**6)}" for _ in range(count)]


def test_planted_leaks_are_found_and_none_invented() -> None:
    random_ = random.Random(3)
    evaluation = [sentence(random_, 40) for _ in range(50)]
    texts = [sentence(random_, 100) for _ in range(300)]
    leaks = {}
    for place in range(0, 300, 7):
        source = random_.randrange(50)
        leaks[place] = source
        texts[place][30:50] = evaluation[source][5:25]
    index = EvaluationIndex(
        range(50), [" ".join(words).upper() + "?" for words in evaluation]
    )
    found = index.overlaps([", ".join(words) for words in texts])
    assert {
        place: item.evaluation_id for place, item in enumerate(found) if item
    } == leaks
    assert {item.ngrams for item in found if item} == {20 - 13 + 1}
    assert {item.share for item in found if item} == {8 / 28}


@settings(max_examples=150, deadline=None)
@given(
    evaluation=st.lists(SHORT, min_size=1, max_size=4),
    texts=st.lists(st.one_of(st.none(), SHORT), max_size=5),
    n=st.integers(1, 3),
)
def test_overlaps_equal_a_plain_reference_in_any_order(
    evaluation: list[str], texts: list[str | None], n: int
) -> None:
    sets = [set(ngrams_in(text, n)) for text in evaluation]
    ids = range(len(evaluation))
    if not any(sets):
        with pytest.raises(FilterError, match="use a smaller"):
            EvaluationIndex(ids, evaluation, n=n)
        return
    expected: list[Overlap | None] = []
    for text in texts:
        common = [len(grams & set(ngrams_in(text, n))) for grams in sets]
        shares = [
            count / len(grams) if grams else 0.0
            for count, grams in zip(common, sets, strict=True)
        ]
        best = shares.index(max(shares))
        expected.append(
            Overlap(best, common[best], shares[best]) if common[best] else None
        )
    index = EvaluationIndex(ids, evaluation, n=n)
    assert index.overlaps(texts) == expected
    assert index.too_short == tuple(place for place in ids if not sets[place])
    reversed_ = EvaluationIndex(ids[::-1], evaluation[::-1], n=n)
    assert reversed_.overlaps(texts[::-1]) == expected[::-1]


def test_a_small_share_may_be_tolerated() -> None:
    index = EvaluationIndex([7], ["a b c d"], n=2)
    assert index.overlaps(["x a b y"], at_least=0.5) == [None]
    assert index.overlaps(["a b c", "", None], at_least=0.5) == [
        Overlap(7, 2, 2 / 3),
        None,
        None,
    ]


def test_evaluation_sets_and_parameters_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(FilterError, match="is empty"):
        EvaluationIndex([], [])
    with pytest.raises(FilterError, match="no evaluation text has 13 words"):
        EvaluationIndex([1, 2], ["short", None])
    with pytest.raises(FilterError, match="unique id"):
        EvaluationIndex([1, 1], ["a", "b"], n=1)
    with pytest.raises(FilterError, match="n is 0"):
        EvaluationIndex([1], ["a"], n=0)
    with pytest.raises(FilterError, match="at_least is 2"):
        EvaluationIndex([1], ["a"], n=1).overlaps(["a"], at_least=2)


@given(texts=st.lists(st.one_of(st.none(), SHORT), max_size=6), n=st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_distinct_n_equals_a_plain_reference(texts: list[str | None], n: int) -> None:
    grams = [gram for text in texts for gram in ngrams_in(text, n)]
    assert distinct_n(texts, n) == (len(set(grams)) / len(grams) if grams else None)


def test_nearest_neighbours_equal_the_whole_matrix() -> None:
    vectors = np.random.default_rng(2).normal(size=(2200, 8))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    products = units @ units.T
    np.fill_diagonal(products, -1)
    best = products.max(axis=1)
    found = nearest_neighbours([*vectors.tolist(), None])
    assert found is not None
    assert found.vectors == 2200
    assert found.mean == pytest.approx(best.mean(), abs=1e-5)
    assert found.maximum == pytest.approx(best.max(), abs=1e-5)
    assert found.quantiles[0.5] == pytest.approx(np.median(best), abs=1e-5)
    assert nearest_neighbours([[1.0]]) is None
    with pytest.raises(FilterError, match="not finite"):
        nearest_neighbours([[math.nan], [1.0]])
