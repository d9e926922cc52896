"""Five quality rules over a column of texts. Side by side: this project, plain Python per text.

python -m benchmarks.quality [--texts 20000]
"""

import argparse
import time

import polars as pl

from benchmarks.w12 import batches_of
from sdg_core.filters.quality import STOP_WORDS, QualityRule, failed_rule

RULES = [
    QualityRule("words", at_least=50, at_most=100_000),
    QualityRule("mean_word_length", at_least=3, at_most=10),
    QualityRule("symbol_to_word_ratio", at_most=0.1),
    QualityRule("alphabetic_words", at_least=0.8),
    QualityRule("stop_words", at_most=2),
]


def has_letter(word: str) -> bool:
    return any(character.isalpha() for character in word)


def passes(text: str) -> bool:
    words = text.split()
    mean = sum(map(len, words)) / len(words)
    symbols = max(text.count("#"), text.count("...") + text.count("…")) / len(words)
    alphabetic = sum(map(has_letter, words)) / len(words)
    stops = len({word.lower().strip(".,;:!?") for word in words} & set(STOP_WORDS))
    return (
        50 <= len(words) <= 100_000
        and 3 <= mean <= 10
        and symbols <= 0.1
        and alphabetic >= 0.8
        and stops <= 2
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=20_000)
    texts = [text for batch in batches_of(parser.parse_args().texts) for text in batch]
    column = pl.Series(texts)
    failed_rule(RULES, column[:10])
    began = time.process_time()
    ours = failed_rule(RULES, column)
    middle = time.process_time()
    plain = [passes(text) for text in texts]
    end = time.process_time()
    assert [reason is None for reason in ours] == plain
    print(f"quality rules, {len(texts):,} texts of 100 words, seconds of CPU")
    print(f"  this project       {middle - began:8.2f} s")
    print(f"  plain Python       {end - middle:8.2f} s")
    print(f"  ratio              {(end - middle) / (middle - began):8.2f} x faster")


if __name__ == "__main__":
    main()
