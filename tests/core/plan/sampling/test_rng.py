import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.plan.sampling.rng import (
    RandomSource,
    _block_words,
    column_key,
    to_open_unit,
    to_unit,
)

ONES = 2**64 - 1


def _join(*words: int) -> int:
    return sum(word << (64 * place) for place, word in enumerate(words))


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        (
            (0, 0, 0, 0),
            (0, 0),
            "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b",
        ),
        (
            (ONES,) * 4,
            (ONES,) * 2,
            "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
        ),
        (
            (
                0x243F6A8885A308D3,
                0x13198A2E03707344,
                0xA4093822299F31D0,
                0x082EFA98EC4E6C89,
            ),
            (0x452821E638D01377, 0xBE5466CF34E90C6C),
            "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
        ),
    ],
)
def test_words_are_those_of_random123(
    counter: tuple[int, ...], key: tuple[int, ...], expected: str
) -> None:
    words = _block_words(
        _join(*key), start=_join(*counter), count=1, block=0, attempt=0
    )
    assert " ".join(f"{word:016x}" for word in words[0]) == expected


def test_block_and_attempt_are_words_of_the_counter() -> None:
    words = _block_words(5, start=3, count=1, block=2, attempt=9)
    assert (
        words.tolist()
        == _block_words(
            5, start=_join(3, 2, 0, 9), count=1, block=0, attempt=0
        ).tolist()
    )


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**64),
    wanted=st.sets(st.integers(0, 300)),
    block=st.integers(0, 3),
)
def test_a_record_has_the_same_words_whoever_asks(
    seed: int, wanted: set[int], block: int
) -> None:
    source = RandomSource(seed)
    whole = source.words("a", np.arange(301), block=block, attempt=2)
    indices = np.array(sorted(wanted), np.int64)
    part = source.words("a", indices, block=block, attempt=2)
    assert part.shape == (len(wanted), 4)
    assert np.array_equal(part, whole[indices])


def test_far_records_do_not_need_the_ones_before() -> None:
    source = RandomSource(1)
    far = np.array([2**40, 2**40 + 1])
    assert np.array_equal(source.words("a", far)[1:], source.words("a", far[1:]))


def test_seeds_columns_blocks_and_attempts_have_words_of_their_own() -> None:
    indices = np.arange(100)
    drawn = [
        RandomSource(seed).words(column, indices, block=block, attempt=attempt)
        for seed in (0, 1)
        for column in ("a", "b")
        for block in (0, 1)
        for attempt in (0, 1)
    ]
    words = np.concatenate(drawn).ravel()
    assert len(np.unique(words)) == len(words)


def test_seed_and_column_cannot_be_confused() -> None:
    assert column_key(1, "1a") != column_key(11, "a")


def test_neighbours_are_uncorrelated() -> None:
    count = 100_000
    indices = np.arange(count)

    def of(seed: int, column: str) -> np.ndarray:
        return to_unit(RandomSource(seed).words(column, indices))[:, 0]

    base = to_unit(RandomSource(7).words("c1", indices))
    pairs = [
        (base[:, 0], of(8, "c1")),
        (base[:, 0], of(7, "c2")),
        (base[:-1, 0], base[1:, 0]),
        *((base[:, 0], base[:, word]) for word in (1, 2, 3)),
    ]
    for one, other in pairs:
        assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / count**0.5


def test_units_keep_to_their_interval() -> None:
    extremes = np.array([0, ONES], np.uint64)
    assert to_unit(extremes).tolist() == [0.0, 1 - 2.0**-53]
    low, high = to_open_unit(extremes)
    assert 0 < low < 1e-15
    assert 1 - 1e-15 < high < 1


@settings(deadline=None)
@given(
    wanted=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 5000)), unique=True, max_size=60
    ).map(sorted),
    seed=st.integers(0, 9),
)
def test_records_drawn_again_have_the_words_of_their_attempt(
    wanted: list[tuple[int, int]], seed: int
) -> None:
    attempts, indices = (
        np.array([pair[place] for pair in wanted], np.int64) for place in (0, 1)
    )
    drawn = RandomSource(seed, attempts).words("a", indices)
    single = [
        RandomSource(seed).words("a", indices[[row]], attempt=int(attempts[row]))[0]
        for row in range(len(wanted))
    ]
    assert drawn.shape == (len(wanted), 4)
    assert drawn.tolist() == [words.tolist() for words in single]


def test_attempts_and_records_go_together() -> None:
    with pytest.raises(ValueError, match="3 records with attempts of 2"):
        RandomSource(1, np.zeros(2, np.int64)).words("a", np.arange(3))


@settings(deadline=None)
@given(st.sets(st.integers(0, 100_000), max_size=50))
def test_scattered_records_have_their_words(wanted: set[int]) -> None:
    indices = np.array(sorted(wanted), np.int64)
    words = RandomSource(3).words("a", indices)
    assert words.tolist() == [
        RandomSource(3).words("a", np.array([index]))[0].tolist() for index in indices
    ]
