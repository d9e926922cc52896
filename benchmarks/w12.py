"""W12: near-duplicates in texts of 100 words. Side by side: this project's filter, rensa by hand.

    python -m benchmarks.w12 [--texts 100000] [--repeat 1]

By hand: words split by white space, rensa's full-set signatures and its own index; survivors only, in the order of coming.
This project: words without punctuation and case, the same signatures, every candidate pair checked, clusters, any order.
A third of the texts are copies in which 3 of 100 words are replaced. Each is timed in a process of its own, without start-up; the
peak memory is that of the process, which holds the texts.
"""

import argparse
import random
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

THRESHOLD = 0.7
BATCH = 10_000


def texts_of(count: int) -> list[str]:
    random_ = random.Random(1)
    vocabulary = np.array([f"word{number}" for number in range(50_000)])
    rows = np.random.default_rng(1).integers(0, len(vocabulary), size=(count - count // 3, 100))
    copies = rows[: count // 3].copy()
    for copy in copies:
        copy[random_.sample(range(100), 3)] = random_.randrange(len(vocabulary))
    return [" ".join(words) for words in vocabulary[np.concatenate([rows, copies])]]


def by_hand(texts: list[str]) -> int:
    from rensa import RMinHashDeduplicator

    deduplicator = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
    kept = 0
    for start in range(0, len(texts), BATCH):
        pairs = ((str(start + place), text.split()) for place, text in enumerate(texts[start : start + BATCH]))
        kept += sum(deduplicator.add_pairs(pairs))
    return kept


def this_project(texts: list[str]) -> int:
    from sdg_core.filters.deduplicate import MinhashDuplicates

    finder = MinhashDuplicates(threshold=THRESHOLD)
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        finder.add(range(start, start + len(part)), part)
    return int(finder.decide().kept.sum())


WAYS = {"hand": by_hand, "project": this_project}


def measure(way: str, *, texts: int, repeat: int) -> tuple[float, float, int]:
    """Median seconds, peak MB, and how many texts stay."""
    command = [sys.executable, "-m", "benchmarks.w12", "--texts", str(texts), "--way", way]
    answers = [
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(repeat)
    ]
    seconds = statistics.median(float(answer[0]) for answer in answers)
    return seconds, max(float(answer[1]) for answer in answers), int(answers[0][2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help="time one way in this process")
    given = parser.parse_args()
    if given.way is not None:
        texts = texts_of(given.texts)
        began = time.perf_counter()
        kept = WAYS[given.way](texts)
        print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, kept)
        return
    print(f"W12, {given.texts:,} texts of 100 words, of which {given.texts - given.texts // 3:,} are not copies")
    found = {way: measure(way, texts=given.texts, repeat=given.repeat) for way in WAYS}
    for name, (seconds, peak, kept) in (("this project", found["project"]), ("rensa by hand", found["hand"])):
        print(f"  {name:14} {seconds:8.2f} s   {given.texts / seconds:10,.0f} texts/s   {peak:6.0f} MB   {kept:,} stay")
    print(f"  ratio          {found['project'][0] / found['hand'][0]:8.2f} x rensa by hand")


if __name__ == "__main__":
    main()
