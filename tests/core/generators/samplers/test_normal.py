"""Normal quantiles without scipy are those with it: data that was made by either is the same to the last bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from sdg_core.generators.samplers.normal import standard_normal
from sdg_core.plan.sampling.rng import to_open_unit


def test_quantiles_are_scipys_to_the_last_bit() -> None:
    words = np.random.default_rng(3).integers(0, 2**64, 200_000, dtype=np.uint64)
    # Tails: every power of two that a uniform can have, from either side.
    small = np.uint64(1) << np.arange(64, dtype=np.uint64)
    unit = to_open_unit(
        np.concatenate([words, small, ~small, np.array([0, 2**64 - 1], np.uint64)])
    )
    assert np.array_equal(standard_normal(unit), ndtri(unit))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=8))
def test_a_value_depends_on_its_own_word_only(words: list[int]) -> None:
    unit = to_open_unit(np.array(words, np.uint64))
    alone = [standard_normal(unit[at : at + 1])[0] for at in range(len(words))]
    assert standard_normal(unit).tolist() == alone == ndtri(unit).tolist()
