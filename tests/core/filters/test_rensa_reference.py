"""rensa's signatures against a plain numpy form: the signature of a text is, slot by slot, the smallest of those of its words.

What a single word gives is rensa's own (0.5 does not document it), and is held to fixed numbers: `algorithm 2` stays what it is,
so that results which name it can be compared. All the rest (texts of any number of words, blocks, order) is computed here again.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sdg_core.filters.deduplicate import (
    SIGNATURES_PER_BATCH,
    MinhashDuplicates,
    rensa_signatures,
    rensa_version,
)


def plain_signatures(
    hashes: NDArray[np.uint64], offsets: NDArray[np.uint64], width: int
) -> NDArray[np.uint32]:
    """The smallest of every slot over the words of each text; the largest number there is where a text has none."""
    of_words = rensa_signatures(
        hashes, np.arange(len(hashes) + 1, dtype=np.uint64), width
    )
    result = np.full((len(offsets) - 1, width), 2**32 - 1, dtype=np.uint32)
    for row in range(len(result)):
        words = of_words[int(offsets[row]) : int(offsets[row + 1])]
        if len(words):
            result[row] = words.min(axis=0)
    return result


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=3 * SIGNATURES_PER_BATCH),
    seed=st.integers(0, 2**32 - 1),
    width=st.sampled_from([1, 7, 128]),
)
def test_every_slot_is_the_smallest_over_the_words(
    sizes: list[int], seed: int, width: int
) -> None:
    hashes = np.random.default_rng(seed).integers(
        0, 2**64, size=sum(sizes), dtype=np.uint64
    )
    offsets = np.cumsum([0, *sizes]).astype(np.uint64)
    found = rensa_signatures(hashes, offsets, width)
    assert found.tolist() == plain_signatures(hashes, offsets, width).tolist()
    assert found[np.array(sizes) == 0].tolist() == [[2**32 - 1] * width] * sizes.count(
        0
    )


def test_the_signature_of_a_word_stays_what_it_is() -> None:
    assert rensa_version().endswith("algorithm 2"), (
        "another algorithm gives other numbers, and says so in its version"
    )
    found = rensa_signatures(
        np.array([0, 2**63], dtype=np.uint64), np.array([0, 1, 2], dtype=np.uint64), 4
    )
    assert found.tolist() == [
        [3169439567, 1079949178, 3412090254, 1064622479],
        [529166528, 2127388646, 3645300216, 2650601341],
    ]


@pytest.mark.parametrize("ngram", [1, 3])
def test_the_same_records_stay_by_the_plain_form(ngram: int) -> None:
    draw = np.random.default_rng(3)
    words = draw.integers(0, 500, size=(120, 40))
    words[1::3] = words[::3]
    words[1::3, :5] = draw.integers(0, 500, size=(40, 5))
    texts = ["", *(" ".join(f"w{word}" for word in row) for row in words)]
    decided = []
    for signatures_of in (None, plain_signatures):
        finder = MinhashDuplicates(
            threshold=0.5, ngram=ngram, signatures_of=signatures_of
        )
        finder.add(range(len(texts)), texts)
        decided.append(finder.decide().groups())
    assert decided[0] == decided[1] and len(decided[0]) > 10
