"""The words of many texts at once: where they stand, and hashes that tell them apart and stay what they are."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.filters.words import LETTERS_AND_DIGITS, RUNS, words_of

WORD = st.text(alphabet="ab\x00é中\U0001f600", min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(
        st.one_of(st.none(), st.lists(WORD, max_size=6).map(" ".join)), max_size=6
    )
)
def test_equal_words_have_equal_hashes_and_different_words_different_ones(
    texts: list[str | None],
) -> None:
    expected = [
        (row, word)
        for row, text in enumerate(texts)
        for word in (text or "").split(" ")
        if word
    ]
    found = words_of(pl.Series(texts, dtype=pl.String))
    assert found.row.tolist() == [row for row, _ in expected]
    assert found.length.tolist() == [len(word) for _, word in expected]
    pairs = set(zip([word for _, word in expected], found.hash.tolist(), strict=True))
    assert (
        len(pairs)
        == len({word for word, _ in pairs})
        == len({value for _, value in pairs})
    )


def test_no_two_of_many_words_have_one_hash() -> None:
    texts = pl.Series(
        [
            " ".join(map(str, range(start, start + 1000)))
            for start in range(0, 300_000, 1000)
        ]
    )
    assert len(set(words_of(texts).hash.tolist())) == 300_000


def test_hashes_stay_what_they_are() -> None:
    """Signatures that were stored with a result can be compared with those of a later release."""
    expected = [13389383164939426465, 11293585704567005704, 3947904110462928320]
    assert words_of(pl.Series([None, "word é " + "x" * 65])).hash.tolist() == expected


def test_long_words_differ_in_every_byte_and_in_their_length() -> None:
    words = ["a" * size for size in range(1, 140)]
    words += [
        f"{'a' * place}b{'a' * (size - place)}"
        for size in (7, 8, 15, 63, 64, 80)
        for place in range(size + 1)
    ]
    found = words_of(pl.Series([" ".join(words)])).hash.tolist()
    assert len(found) == len(words) == len(set(found))


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(
        st.one_of(
            st.none(),
            st.text(
                st.one_of(
                    st.sampled_from("aB1_ -.\n\u00a0\u0301é中々ひカ。"),
                    st.characters(exclude_categories=["Cs"]),
                ),
                max_size=12,
            ),
        ),
        max_size=6,
    ),
    pattern=st.sampled_from([RUNS, LETTERS_AND_DIGITS]),
)
def test_words_are_the_matches_of_the_pattern(
    texts: list[str | None], pattern: str
) -> None:
    """The plain form, by regular expressions, is the reference."""
    series = pl.Series(texts, dtype=pl.String)
    expected = [
        (row, word)
        for row, words in enumerate(series.str.extract_all(pattern).to_list())
        for word in words or ()
    ]
    found = words_of(series, pattern=pattern)
    assert found.row.tolist() == [row for row, _ in expected]
    assert found.length.tolist() == [len(word) for _, word in expected]
    alone = words_of(
        pl.Series([word for _, word in expected], dtype=pl.String), pattern=pattern
    )
    assert found.hash.tolist() == alone.hash.tolist()


def test_words_do_not_depend_on_how_many_texts_there_are() -> None:
    """Texts are looked at in blocks of bytes; a text may be longer than a block."""
    texts = [
        "",
        "ab é中 " * 60_000,
        None,
        "x" * 300_000,
        *(f"word{number} é" for number in range(40_000)),
    ]
    together = words_of(pl.Series(texts))
    apart = [words_of(pl.Series([text], dtype=pl.String)) for text in texts[:5]]
    counts = [len(found.hash) for found in apart]
    assert counts == [0, 120_000, 0, 1, 2] and len(together.hash) == 120_001 + 80_000
    assert together.hash[:120_003].tolist() == [
        value for found in apart for value in found.hash.tolist()
    ]
    assert together.row[-1] == len(texts) - 1
