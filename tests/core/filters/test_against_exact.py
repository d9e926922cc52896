"""Near-duplicates against every pair computed exactly: what is well above the threshold is found, what is well below is not."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.filters.clusters import Duplicates
from sdg_core.filters.deduplicate import EmbeddingDuplicates, MinhashDuplicates

MARGIN = 0.16
"""Four standard errors of a similarity that is estimated from 128 slots."""


def planted(threshold: float, *, seed: int) -> list[set[str]]:
    """Words of texts; every other text shares some share, between none and all, of the words of the one before it."""
    draw = random.Random(seed)
    texts: list[set[str]] = []
    for number in range(300):
        words = {f"w{draw.randrange(10**6)}" for _ in range(100)}
        if number % 2:
            common = draw.sample(
                sorted(texts[-1]),
                int(len(texts[-1]) * draw.choice([0.2, threshold, 0.95, 0.99])),
            )
            words = {*common, *sorted(words)[: 100 - len(common)]}
        texts.append(words)
    return texts


def same(found: Duplicates, left: int, right: int) -> bool:
    return bool(found.cluster[left] == found.cluster[right])


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_minhash_against_the_jaccard_similarity_of_every_pair(threshold: float) -> None:
    texts = planted(threshold, seed=int(threshold * 10))
    finder = MinhashDuplicates(threshold=threshold)
    draw = random.Random(1)
    finder.add(
        range(len(texts)),
        [" ".join(draw.sample(sorted(words), len(words))) for words in texts],
    )
    found = finder.decide()
    above = missed = 0
    for right in range(len(texts)):
        for left in range(right):
            common = len(texts[left] & texts[right])
            similarity = common / (len(texts[left]) + len(texts[right]) - common)
            if similarity >= min(threshold + MARGIN, 0.98):
                above += 1
                missed += not same(found, left, right)
            elif similarity < threshold - MARGIN:
                assert not same(found, left, right), (left, right, similarity)
    assert above > 20 and missed <= above // 50


@given(data=st.data(), threshold=st.sampled_from([0.5, 0.9, 1.0]))
def test_embeddings_against_the_cosine_of_every_pair(
    data: st.DataObject, threshold: float
) -> None:
    number = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    vector = st.lists(number, min_size=3, max_size=3).filter(any)
    vectors = data.draw(st.lists(st.one_of(st.none(), vector), max_size=12))
    finder = EmbeddingDuplicates(threshold=threshold)
    finder.add(range(len(vectors)), vectors)
    found = finder.decide()
    labels = list(range(len(vectors)))
    for right, one in enumerate(vectors):
        for left, other in enumerate(vectors[:right]):
            if one is None or other is None:
                continue
            cosine = np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
            if cosine >= threshold - 1e-6:
                labels = [
                    labels[left] if label == labels[right] else label
                    for label in labels
                ]
    assert [
        [same(found, a, b) for b in range(len(labels))] for a in range(len(labels))
    ] == [[a == b for b in labels] for a in labels]
