"""The words of many texts at once: where they stand, and hashes that tell them apart and stay what they are."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.filters.words import words_of

WORD = st.text(alphabet="ab\x00é中\U0001f600", min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.one_of(st.none(), st.lists(WORD, max_size=6).map(" ".join)), max_size=6))
def test_equal_words_have_equal_hashes_and_different_words_different_ones(texts: list[str | None]) -> None:
    expected = [(row, word) for row, text in enumerate(texts) for word in (text or "").split(" ") if word]
    found = words_of(pl.Series(texts, dtype=pl.String))
    assert found.row.tolist() == [row for row, _ in expected]
    assert found.length.tolist() == [len(word) for _, word in expected]
    pairs = set(zip([word for _, word in expected], found.hash.tolist(), strict=True))
    assert len(pairs) == len({word for word, _ in pairs}) == len({value for _, value in pairs})


def test_no_two_of_many_words_have_one_hash() -> None:
    texts = pl.Series([" ".join(map(str, range(start, start + 1000))) for start in range(0, 300_000, 1000)])
    assert len(set(words_of(texts).hash.tolist())) == 300_000


def test_hashes_stay_what_they_are() -> None:
    """Signatures that were stored with a result can be compared with those of a later release."""
    assert words_of(pl.Series([None, "word é"])).hash.tolist() == [16858599118561336753, 8009896735055850304]
