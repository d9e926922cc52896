"""W10: a pipeline of short documents: read jsonl, five quality rules, write parquet. Side by side: this project, datatrove with
the same rules, one process per core, and the floor: the bytes read and hashed.

    python -m benchmarks.w10 [--documents 200000] [--peer-python PATH] [--repeat 1]

Each way is a process of its own, start-up included: seconds by the clock, and of the processors with those of its children, which
say more on a busy machine; peak memory of the largest process. Documents lie in files of 10,000, half of which pass every rule.
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson

from benchmarks.timed import as_installed, timed

PER_FILE = 10_000
COMMON = ("the", "be", "to", "of", "and", "that", "have", "with")
RULES = [
    {"rule": "words", "at_least": 50, "at_most": 100_000},
    {"rule": "mean_word_length", "at_least": 3, "at_most": 10},
    {"rule": "symbol_to_word_ratio", "at_most": 0.1},
    {"rule": "lines_ending_with_ellipsis", "at_most": 0.3},
    {"rule": "stop_words", "at_least": 2},
]


def write_documents(folder: Path, count: int) -> None:
    """Documents of 30 to 120 words in lines; every second one is too short, full of symbols, or trails off."""
    random_ = np.random.default_rng(1)
    words = np.array(
        [*COMMON, *(f"w{'o' * (number % 7)}rd{number % 89}" for number in range(4000))]
    )
    folder.mkdir()
    for start in range(0, count, PER_FILE):
        with (folder / f"{start:09d}.jsonl").open("wb") as file:
            for number in range(start, min(start + PER_FILE, count)):
                kind = number % 6
                length = int(
                    random_.integers(20, 40) if kind == 1 else random_.integers(60, 120)
                )
                chosen = words[random_.integers(0, len(words), size=length)]
                chosen[::9] = random_.choice(COMMON, size=len(chosen[::9]))
                lines = [" ".join(chosen[at : at + 12]) for at in range(0, length, 12)]
                text = "...\n".join(lines) + "..." if kind == 3 else "\n".join(lines)
                text = (
                    " ".join(f"#{word}" for word in text.split(" "))
                    if kind == 5
                    else text
                )
                file.write(orjson.dumps({"id": str(number), "text": text}) + b"\n")


def this_project(documents: Path, output: Path) -> int:
    from sdg_core.api import pipelines

    config = {
        "kind": "pipeline",
        "name": "w10",
        "sources": {"reader": "jsonl", "path": f"{documents}/*.jsonl"},
        "stages": [{"stage": "filter", "column": "text", "quality": RULES}],
    }
    file = output / "pipeline.yaml"
    file.write_bytes(orjson.dumps(config))
    return pipelines.generate(pipelines.open_pipeline(file, root=output)).rows


def floor(documents: Path, output: Path) -> int:
    for file in sorted(documents.iterdir()):
        hashlib.sha256(file.read_bytes()).digest()
    return 0


WAYS = {"project": this_project, "floor": floor}


def measure(
    way: str, documents: Path, *, peer: str | None
) -> tuple[float, float, float, int]:
    """Seconds by the clock and of the processors, peak MB, documents that are left."""
    with tempfile.TemporaryDirectory() as output:
        own = [
            sys.executable,
            "-m",
            "benchmarks.w10",
            "--way",
            way,
            "--given",
            str(documents),
            "--output",
            output,
        ]
        theirs = [
            str(peer),
            str(Path(__file__).with_name("w10_datatrove.py")),
            str(documents),
            output,
        ]
        run = timed(theirs if way == "datatrove" else own)
    return run.seconds, run.cpu, run.peak_mb, int(run.printed.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--peer-python", help="a Python that has datatrove")
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--given", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.way:
        print(WAYS[options.way](options.given, options.output))
        return
    with tempfile.TemporaryDirectory() as directory:
        documents = Path(directory) / "documents"
        write_documents(documents, options.documents)
        size = sum(file.stat().st_size for file in documents.iterdir())
        print(as_installed())
        print(f"W10: {options.documents:,} documents, {size / 1e6:.0f} MB")
        results = {}
        for way in [*WAYS, *(["datatrove"] if options.peer_python else [])]:
            runs = [
                measure(way, documents, peer=options.peer_python)
                for _ in range(options.repeat)
            ]
            results[way] = [
                statistics.median(column) for column in zip(*runs, strict=True)
            ]
        ours = results["project"]
        for way, (seconds, processors, memory, left) in results.items():
            ratio = (
                f"{processors / ours[1]:5.2f} x our processor time"
                if way != "project"
                else ""
            )
            print(
                f"  {way:10} {seconds:7.1f} s  {processors:7.1f} CPU-s  {memory:6.0f} MB  {int(left):8,} left  {ratio}"
            )
        if options.peer_python is None:
            print(
                "  datatrove  left out: --peer-python names none, see benchmarks/README.md"
            )


if __name__ == "__main__":
    main()
