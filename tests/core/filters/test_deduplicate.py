"""Duplicates: planted ones are found, others are not, and the same records stay whatever the order and the batches."""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sdg_core.errors import FilterError
from sdg_core.filters.clusters import Duplicates
from sdg_core.filters.deduplicate import (
    EmbeddingDuplicates,
    ExactDuplicates,
    MinhashDuplicates,
    duplicates_by,
    rensa_signatures,
)
from sdg_core.filters.lsh import bands_and_rows, similar_components
from sdg_core.filters.words import mixed

Finder = ExactDuplicates | MinhashDuplicates | EmbeddingDuplicates


def numpy_signatures(
    hashes: NDArray[np.uint64], offsets: NDArray[np.uint64], width: int
) -> NDArray[np.uint32]:
    """Plain MinHash: per slot the smallest of the hashes, each mixed with the slot's own number."""
    seeds = mixed(np.arange(width, dtype=np.uint64))
    result = np.zeros((len(offsets) - 1, width), dtype=np.uint32)
    for row, (start, end) in enumerate(
        zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ):
        if end > start:
            result[row] = mixed(hashes[start:end, None] ^ seeds).min(
                axis=0
            ) >> np.uint64(32)
    return result


def decided(
    finder: Finder,
    ids: Sequence[int],
    values: Sequence[Any],
    *,
    batch: int,
    scores: Any = None,
) -> Duplicates:
    for start in range(0, len(ids), batch):
        part = slice(start, start + batch)
        finder.add(
            ids[part], values[part], scores=None if scores is None else scores[part]
        )
    return finder.decide()


def planted(pairs: int, *, seed: int = 5) -> list[str]:
    """Texts of 100 words; the text at `pairs + i` is that at `i` with three words replaced."""
    random_ = random.Random(seed)
    originals = [
        [f"w{random_.randrange(20_000)}" for _ in range(100)] for _ in range(pairs)
    ]
    copies = []
    for words in originals:
        copy = list(words)
        for place in random_.sample(range(100), 3):
            copy[place] = f"x{random_.randrange(20_000)}"
        copies.append(copy)
    return [" ".join(words) for words in originals + copies]


@pytest.mark.parametrize("ngram", [1, 3])
def test_minhash_finds_planted_near_duplicates_as_the_numpy_reference_does(
    ngram: int,
) -> None:
    pairs = 400
    texts = planted(pairs)
    for signatures_of in (None, numpy_signatures):
        finder = MinhashDuplicates(
            threshold=0.6, ngram=ngram, signatures_of=signatures_of
        )
        groups = decided(finder, range(2 * pairs), texts, batch=150).groups()
        right = sum(
            members == [first, first + pairs] for first, members in groups.items()
        )
        assert right >= 0.97 * pairs, "recall"
        assert right == len(groups), "precision"


def test_signatures_estimate_the_jaccard_similarity_as_the_reference_does() -> None:
    common = mixed(np.arange(300, dtype=np.uint64))
    hashes = np.concatenate([common[:200], common[100:]])
    offsets = np.array([0, 200, 400], dtype=np.uint64)
    for signatures_of in (rensa_signatures, numpy_signatures):
        left, right = signatures_of(hashes, offsets, 1024)
        assert (left == right).mean() == pytest.approx(1 / 3, abs=0.06)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 2), min_size=8, max_size=8), max_size=25),
    threshold=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
)
def test_components_of_signatures_equal_those_of_all_pairs_that_share_a_band(
    rows: list[list[int]], threshold: float
) -> None:
    signatures = np.array(rows, dtype=np.uint32).reshape(-1, 8)
    bands, width = bands_and_rows(threshold, width=8)
    label = list(range(len(rows)))
    for left in range(len(rows)):
        for right in range(left):
            in_band = any(
                rows[left][start : start + width] == rows[right][start : start + width]
                for start in range(0, bands * width, width)
            )
            equal = (
                sum(a == b for a, b in zip(rows[left], rows[right], strict=True)) / 8
            )
            if in_band and equal >= threshold:
                old, new = label[left], label[right]
                label = [new if item == old else item for item in label]
    found = similar_components(signatures, threshold=threshold)
    same = [[a == b for b in label] for a in label]
    assert (found[:, None] == found[None, :]).tolist() == same


def finder_of(method: str, keep: str) -> Finder:
    return duplicates_by(
        method, keep=keep, **({} if method == "exact" else {"threshold": 0.6})
    )


TEXTS = [
    "a b c d",
    "A  b\nc d",
    "a b c e",
    "a b",
    "z",
    "",
    " ",
    "b a",
    None,
    "a b c d f",
]
VECTORS = [
    [1.0, 0.0],
    [1.0, 0.1],
    [0.5, 0.5],
    [-1.0, 0.0],
    [2.0, 0.0],
    None,
    [0.0, 1.0],
]


@pytest.mark.parametrize("method", ["exact", "minhash", "embedding"])
@pytest.mark.parametrize("keep", ["first", "last", "best"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_who_stays_does_not_depend_on_order_or_batches(
    method: str, keep: str, data: st.DataObject
) -> None:
    values = data.draw(
        st.lists(
            st.sampled_from(VECTORS if method == "embedding" else TEXTS), max_size=12
        )
    )
    ids = data.draw(
        st.lists(
            st.integers(-5, 99), min_size=len(values), max_size=len(values), unique=True
        )
    )
    scores = data.draw(
        st.lists(
            st.sampled_from([None, math.nan, 0.0, 1.0, -math.inf]),
            min_size=len(values),
            max_size=len(values),
        )
    )
    records = list(zip(ids, values, scores, strict=True))
    results = []
    for batch in (1, 100):
        order = data.draw(st.permutations(records))
        given_scores = [record[2] for record in order] if keep == "best" else None
        finder = finder_of(method, keep)
        results.append(
            decided(
                finder,
                [r[0] for r in order],
                [r[1] for r in order],
                batch=batch,
                scores=given_scores,
            )
        )
    one, other = results
    assert one.ids.tolist() == other.ids.tolist() == sorted(ids)
    assert one.cluster.tolist() == other.cluster.tolist()
    assert one.kept.tolist() == other.kept.tolist()
    assert sorted(one.cluster[one.kept].tolist()) == sorted(
        set(one.cluster.tolist())
    ), "one of each cluster stays"


def test_exact_duplicates_are_equal_but_for_case_white_space_and_normal_form() -> None:
    texts = [
        "Ünï code",
        "u\u0308ni\u0308  CODE ",
        "\ufb01ne",
        "fine",
        "other",
        None,
        None,
        "",
        " ",
    ]
    finder = ExactDuplicates()
    finder.add(range(9), texts)
    assert finder.decide().groups() == {0: [0, 1], 2: [2, 3], 7: [7, 8]}


def test_who_stays_of_a_cluster() -> None:
    for keep, scores, stays in (
        ("first", None, 2),
        ("last", None, 9),
        ("best", [0.1, 0.9, 0.9], 4),
        ("best", [None, math.nan, -5], 9),
        ("best", [None, None, None], 2),
    ):
        finder = ExactDuplicates(keep=keep)
        finder.add([2, 4, 9], ["a", "a", "a"], scores=scores)
        found = finder.decide()
        assert found.ids[found.kept].tolist() == [stays]
        assert found.keeps([9, 2]).tolist() == [stays == 9, stays == 2]
        assert found.clusters_of([9]).tolist() == [2]
        assert found.share == pytest.approx(2 / 3)


def test_similarity_is_passed_on_through_a_chain() -> None:
    finder = EmbeddingDuplicates(threshold=0.9)
    angles = [0.0, 0.4, 0.8, 2.0]
    finder.add(range(4), pl.Series([[math.cos(a), math.sin(a)] for a in angles]))
    assert finder.decide().groups() == {0: [0, 1, 2]}


def test_equal_vectors_reach_a_threshold_of_one_across_blocks() -> None:
    vectors = np.random.default_rng(1).normal(size=(2500, 16))
    vectors[2400] = 3 * vectors[7]
    finder = EmbeddingDuplicates(threshold=1)
    finder.add(range(2500), pl.Series(vectors.tolist()))
    assert finder.decide().groups() == {7: [7, 2400]}


def test_many_equal_texts_are_one_cluster() -> None:
    finder = MinhashDuplicates()
    finder.add(range(20_000), ["one and the same text"] * 20_000)
    assert finder.decide().kept.sum() == 1


def test_texts_without_spaces_are_compared_by_their_characters() -> None:
    texts = [
        "我们昨天在北京的一家小餐馆里吃了一顿很好的晚饭",
        "我们昨天在上海的一家小餐馆里吃了一顿很好的晚饭",
        "这台打印机打不开，请问应该怎么办才好呢",
    ]
    finder = MinhashDuplicates()
    finder.add(range(3), texts)
    assert finder.decide().groups() == {0: [0, 1]}


@pytest.mark.parametrize("ngram", [1, 2])
def test_texts_without_letters_are_compared_by_their_signs(ngram: int) -> None:
    texts = [
        "\U0001f600 \U0001f389",
        "a word",
        "\U0001f600  \U0001f389",
        "...",
        "!",
        "",
        "...",
        " ",
        None,
    ]
    finder = MinhashDuplicates(ngram=ngram)
    finder.add(range(9), texts)
    assert finder.decide().groups() == {0: [0, 2], 3: [3, 6]}, (
        "nothing is known of what a blank text equals"
    )


def test_the_result_names_the_algorithm_and_its_version() -> None:
    method = MinhashDuplicates().decide().method
    assert method.startswith("minhash (rensa 0.") and method.endswith(", words 2)")
    assert ExactDuplicates().decide().share == 0
    assert EmbeddingDuplicates().decide().groups() == {}


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        ("minhsah", {}, "did you mean 'minhash'"),
        ("minhash", {"threshold": 0}, "above 0 and up to 1"),
        ("minhash", {"threshold": 1.01}, "above 0 and up to 1"),
        ("embedding", {"threshold": math.nan}, "above 0 and up to 1"),
        ("embedding", {"threshold": True}, "above 0 and up to 1"),
        ("exact", {"threshold": 0.5}, "no threshold"),
        ("exact", {"keep": "frist"}, "did you mean 'first'"),
        ("minhash", {"ngram": 0}, "from 1 to 100"),
        ("minhash", {"width": 1.5}, "from 1 to 4096"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(
    method: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(FilterError, match=message):
        duplicates_by(method, **parameters)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0], [1.0]], "different sizes: 2, and 1 of record 8"),
        ([[1.0, 2.0, 3.0]], "different sizes: 2, and 3 of record 7"),
        ([[0.0, 0.0]], "record 7 is all zero"),
        ([[1.0, 2.0], [-0.0, 0.0]], "record 8 is all zero"),
        (
            [None, [1.0, math.inf]],
            "record 8 contains a null or a number that is not finite",
        ),
        ([[1.0, math.nan]], "record 7 contains"),
        ([[1.0, None]], "record 7 contains"),
        ([1.0, 2.0], "got double"),
        ([["a", "b"]], "vectors of numbers"),
        ([[]], "different sizes"),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(
    vectors: list[Any], message: str
) -> None:
    finder = EmbeddingDuplicates()
    finder.add([100], [[1.0, 2.0]])
    with pytest.raises(FilterError, match=message):
        finder.add(range(7, 7 + len(vectors)), vectors)


def test_the_size_of_numbers_does_not_matter_to_their_direction() -> None:
    vectors = [[1e300, 1e300], [1e-320, 1e-320], [1.0, 1.0], [1e300, 0.0]]
    assert decided(EmbeddingDuplicates(), range(4), vectors, batch=1).kept.tolist() == [
        True,
        False,
        False,
        True,
    ]


def test_ids_and_scores_that_do_not_fit_are_refused() -> None:
    finder = ExactDuplicates()
    with pytest.raises(FilterError, match="for 2 records"):
        finder.add([1], ["a", "b"])
    with pytest.raises(FilterError, match="must be integers"):
        finder.add(["1"], ["a"])  # type: ignore[list-item]
    with pytest.raises(FilterError, match="keep='best'"):
        finder.add([1], ["a"], scores=[1.0])
    with pytest.raises(FilterError, match="keep='best'"):
        ExactDuplicates(keep="best").add([1], ["a"])
    with pytest.raises(FilterError, match="scores must be numbers"):
        ExactDuplicates(keep="best").add([1], ["a"], scores=["good"])  # type: ignore[list-item]
    finder.add([1], ["a"])
    finder.add([1], ["b"])
    with pytest.raises(FilterError, match="1 occurs twice"):
        finder.decide()
    with pytest.raises(FilterError, match="3 was not part of"):
        ExactDuplicates().decide().keeps([3])
