"""W12: near-duplicates in texts of 100 words. Side by side: this project's filter, rensa by hand, datatrove's MinHash.

    python -m benchmarks.w12 [--texts 100000] [--repeat 1] [--way project] [--peer-python PATH] [--peer-texts 10000]

By hand: words split by white space, rensa's full-set signatures and its own index; survivors only, in the order of coming.
datatrove (`benchmarks.w12_datatrove`): single words too, a Python that has datatrove[processing,io] and spacy; it is given fewer
texts, because it takes over a hundred times as long.
This project: words without punctuation and case, the same signatures, every candidate pair checked, clusters, any order.
A third of the texts are copies in which 3 of 100 words are replaced. Each is timed in a process of its own, without start-up:
seconds by the clock, and of the processors, which say more on a busy machine. Texts are made in batches, whose making is not
timed, so that the peak memory is that of the search and one batch.
"""

import argparse
import resource
import statistics
import sys
from collections.abc import Iterator

import numpy as np

from benchmarks.timed import Stopwatch, timed

THRESHOLD = 0.7
BATCH = 10_000


def batches_of(count: int) -> Iterator[list[str]]:
    """Texts; every third is a copy of the one before it."""
    vocabulary = np.array([f"word{number}" for number in range(50_000)])
    random_ = np.random.default_rng(1)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        rows = random_.integers(0, len(vocabulary), size=(size, 100))
        copies = np.arange(2, size, 3)
        rows[copies] = rows[copies - 1]
        for _ in range(3):
            rows[copies, random_.integers(0, 100, size=len(copies))] = random_.integers(
                0, len(vocabulary)
            )
        yield [" ".join(words) for words in vocabulary[rows]]


def by_hand(count: int, watch: Stopwatch) -> int:
    from rensa import RMinHashDeduplicator

    deduplicator = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
    kept = 0
    for place, texts in enumerate(batches_of(count)):
        with watch.running():
            pairs = (
                (f"{place} {number}", text.split()) for number, text in enumerate(texts)
            )
            kept += sum(deduplicator.add_pairs(pairs))
    return kept


def this_project(count: int, watch: Stopwatch) -> int:
    from scipy.sparse import csgraph  # noqa: F401 - loaded before anything is timed

    from sdg_core.filters.deduplicate import MinhashDuplicates, rensa_version

    rensa_version()
    finder = MinhashDuplicates(threshold=THRESHOLD)
    first = 0
    for texts in batches_of(count):
        with watch.running():
            finder.add(range(first, first + len(texts)), texts)
        first += len(texts)
    with watch.running():
        return int(finder.decide().kept.sum())


WAYS = {"hand": by_hand, "project": this_project}


def measure(command: list[str], *, repeat: int) -> list[float]:
    """Median seconds by the clock and of the processors, peak MB, and how many texts stay, as a command prints them."""
    answers = [map(float, timed(command).printed.split()) for _ in range(repeat)]
    return [statistics.median(values) for values in zip(*answers, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help="time one way in this process")
    parser.add_argument("--peer-python", help="a Python that has datatrove")
    parser.add_argument(
        "--peer-texts",
        type=int,
        default=10_000,
        help="how many texts datatrove is given",
    )
    given = parser.parse_args()
    if given.way is not None:
        watch = Stopwatch()
        kept = WAYS[given.way](given.texts, watch)
        print(
            watch.seconds,
            watch.cpu,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            kept,
        )
        return
    print(f"W12, {given.texts:,} texts of 100 words, a third of them copies")
    own = [sys.executable, "-m", "benchmarks.w12", "--texts", str(given.texts), "--way"]
    found = {way: measure([*own, way], repeat=given.repeat) for way in WAYS}
    show("this project", found["project"], texts=given.texts)
    show("rensa by hand", found["hand"], texts=given.texts)
    ratios = [
        ours / theirs
        for ours, theirs in zip(found["project"][:2], found["hand"][:2], strict=True)
    ]
    print(f"  ratio          {ratios[0]:8.2f} x {ratios[1]:8.2f} x rensa by hand")
    if given.peer_python:
        peer = [
            given.peer_python,
            "-m",
            "benchmarks.w12_datatrove",
            str(given.peer_texts),
        ]
        print(f"datatrove, {given.peer_texts:,} of these texts")
        show("datatrove", measure(peer, repeat=given.repeat), texts=given.peer_texts)


def show(name: str, measured: list[float], *, texts: int) -> None:
    """One line of the table."""
    seconds, processors, peak, kept = measured
    rate = f"{texts / seconds:10,.0f} texts/s {texts / processors:10,.0f} texts/CPU-s"
    print(
        f"  {name:14} {seconds:8.2f} s {processors:8.2f} CPU-s {rate} {peak:6.0f} MB {kept:,.0f} stay"
    )


if __name__ == "__main__":
    main()
