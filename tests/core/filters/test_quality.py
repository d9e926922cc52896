"""Quality rules over a column equal a plain reference that reads one text at a time, on odd texts too."""

import math
import re
import unicodedata
from collections import Counter

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdg_core.errors import FilterError
from sdg_core.filters.quality import (
    BULLETS,
    RULE_NAMES,
    STOP_WORDS,
    TERMINAL,
    QualityRule,
    failed_rule,
    rule_value,
)

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
NOT_SPACE = re.compile(f"[^{SPACE}]+")


def words_in(text: str) -> list[str]:
    return NOT_SPACE.findall(text)


def lines_in(text: str) -> list[str]:
    return [line.strip(SPACE) for line in text.split("\n") if line.strip(SPACE)]


def paragraphs_in(text: str) -> list[str]:
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip(SPACE):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return ["\n".join(lines).strip(SPACE) for lines in found if lines]


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def is_letter(character: str) -> bool:
    return unicodedata.category(character).startswith("L")


def repeats(parts: list[str]) -> float:
    return share(sum(count - 1 for count in Counter(parts).values()), len(parts))


def repeated_ngrams(text: str, n: int) -> float:
    words = words_in(text)
    seen: set[tuple[str, ...]] = set()
    covered: set[int] = set()
    for start in range(len(words) - n + 1):
        gram = tuple(words[start : start + n])
        if gram in seen:
            covered.update(range(start, start + n))
        seen.add(gram)
    return share(sum(len(words[place]) for place in covered), sum(map(len, words)))


def stop_words(text: str) -> int:
    def alnum(character: str) -> bool:
        return unicodedata.category(character)[0] in "LN"

    lowered = "".join(c.lower() if c.isascii() else c for c in text)
    tokens = "".join(c if alnum(c) else " " for c in lowered).split(" ")
    return len(set(tokens) & set(STOP_WORDS))


REFERENCE = {
    "words": lambda text: len(words_in(text)),
    "mean_word_length": lambda text: share(
        sum(map(len, words_in(text))), len(words_in(text))
    ),
    "symbol_to_word_ratio": lambda text: share(
        max(text.count("#"), len(re.findall(r"\.\.\.|…", text))), len(words_in(text))
    ),
    "lines_ending_with_ellipsis": lambda text: share(
        sum(line.endswith(("...", "…")) for line in lines_in(text)), len(lines_in(text))
    ),
    "lines_ending_with_punctuation": lambda text: share(
        sum(line.endswith(tuple(TERMINAL)) for line in lines_in(text)),
        len(lines_in(text)),
    ),
    "bullet_lines": lambda text: share(
        sum(line.startswith(tuple(BULLETS)) for line in lines_in(text)),
        len(lines_in(text)),
    ),
    "alphabetic_words": lambda text: share(
        sum(any(map(is_letter, word)) for word in words_in(text)), len(words_in(text))
    ),
    "stop_words": stop_words,
    "repeated_lines": lambda text: repeats(lines_in(text)),
    "repeated_paragraphs": lambda text: repeats(paragraphs_in(text)),
    "uppercase": lambda text: share(
        sum(unicodedata.category(c) == "Lu" for c in text),
        sum(is_letter(c) for c in text),
    ),
    "urls": lambda text: share(
        sum(
            len(url)
            for url in re.findall(
                rf"(?:[hH][tT][tT][pP][sS]?://|[wW]{{3}}\.)[^{SPACE}]+", text
            )
        ),
        len(text),
    ),
    "repeated_ngrams": lambda text: repeated_ngrams(text, 2),
}

PIECES = st.sampled_from(
    [
        "the",
        "To",
        "BE",
        "and,",
        "ab",
        "cd",
        "#",
        "...",
        "…",
        "....",
        ".",
        "”",
        "\n",
        "\r\n",
        "\n\n",
        "\n \n",
        " ",
        "\t",
        "\x00",
    ]
    + [
        "- ",
        "•",
        "*",
        "\U0001f600",
        "é",
        "e\u0301",
        "Ünï",
        "中文。",
        "\u2028",
        "\x85",
        "\x1c",
        "HTTP://x.y",
        "https://a.b/c",
        "www.q",
    ]
)
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cn")), max_size=30)
TEXTS = st.one_of(
    st.none(), ANY_TEXT, st.lists(st.one_of(PIECES, ANY_TEXT), max_size=25).map("".join)
)


def rule(name: str, **parameters: float) -> QualityRule:
    given: dict[str, object] = {
        "repeated_ngrams": {"n": 2},
        "language": {"language": "en"},
    }.get(name, {})  # type: ignore[assignment]
    return QualityRule(name, **{"at_least": 0.0, **given, **parameters})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", REFERENCE)
@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, max_size=6))
@example(
    texts=[
        "",
        " \r\n\t ",
        None,
        "a\r\nb\r\na\r\n",
        "\x00",
        "x" * 100_000,
        "the\x00be",
        "a b a b a b",
        "\ufeffthe",
    ]
)
@example(texts=[])
def test_a_rule_over_a_column_equals_the_reference_per_text(
    name: str, texts: list[str | None]
) -> None:
    expected = [math.nan if text is None else REFERENCE[name](text) for text in texts]
    assert rule_value(rule(name), pl.Series(texts, dtype=pl.String)) == pytest.approx(
        expected, nan_ok=True
    )


def test_every_rule_has_a_reference() -> None:
    assert {*REFERENCE, "language"} == set(RULE_NAMES)


def test_the_language_of_a_text() -> None:
    texts = [
        "This is a sentence about the weather in spring.",
        "Dies ist ein Satz über das Wetter im Frühling.",
        "",
        None,
    ]
    english, german, empty, null = rule_value(
        QualityRule("language", at_least=0.5, language="en"), texts
    )
    assert english > 0.9
    assert german < 0.1
    assert empty == 0
    assert math.isnan(null)


def test_the_first_rule_that_fails_is_the_reason() -> None:
    rules = [
        QualityRule("words", at_least=2, at_most=3),
        QualityRule("uppercase", at_most=0.5),
    ]
    assert failed_rule(rules, ["one", "one two", "A B C", None, "a b c d"]) == [
        "words 1 is below 2",
        None,
        "uppercase 1 is above 0.5",
        "null",
        "words 4 is above 3",
    ]


def test_no_rule_refuses_no_text_and_no_text_fails_no_rule() -> None:
    assert failed_rule([], ["", None]) == [None, "null"]
    assert failed_rule([rule("words")], []) == []
    assert failed_rule([rule(name) for name in REFERENCE], pl.Series(["a"])) == [None]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "wrods", "at_least": 1}, "did you mean 'words'"),
        ({"name": "words"}, "no bound"),
        ({"name": "uppercase", "at_most": 1.5}, "from 0 to 1"),
        ({"name": "uppercase", "at_least": -0.1}, "from 0 to 1"),
        ({"name": "words", "at_least": math.nan}, "not a number from 0"),
        ({"name": "words", "at_least": math.inf}, "not a number from 0"),
        ({"name": "words", "at_least": True}, "not a number from 0"),
        ({"name": "words", "at_least": "1"}, "not a number from 0"),
        ({"name": "stop_words", "at_least": 9}, "from 0 to 8"),
        ({"name": "words", "at_least": 5, "at_most": 4}, "no text could pass"),
        ({"name": "repeated_ngrams", "at_most": 0.1}, "`n`"),
        ({"name": "words", "at_most": 1, "n": 2}, "`n`"),
        ({"name": "repeated_ngrams", "at_most": 0.1, "n": 0}, "from 1 to 100"),
        ({"name": "language", "at_least": 0.1}, "`language`"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_refused(
    parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(FilterError, match=message):
        QualityRule(**parameters)  # type: ignore[arg-type]


def test_values_that_are_not_texts_are_refused() -> None:
    with pytest.raises(FilterError, match="got Int64"):
        rule_value(rule("words"), pl.Series([1, 2]))
    with pytest.raises(FilterError, match="not a column of texts"):
        rule_value(rule("words"), ["a", 1])
    with pytest.raises(FilterError, match="did you mean|there is"):
        rule_value(QualityRule("language", at_least=0.1, language="english"), ["a"])
