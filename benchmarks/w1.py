"""W1: rows that need no model, to parquet. Side by side: this project, a hand-written numpy script, Data Designer.

    python -m benchmarks.w1 [--records 1000000] [--peer-python PATH] [--peer-records 10000] [--repeat 3]

Each is timed as a whole process, start-up included, ours and the script in turn; the machine, medians, peak memory and ratios are
printed. Modules are compiled before, as pip does when it installs them.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.timed import Timed, as_installed, timed

HERE = Path(__file__).resolve().parent


def middle(measured: list[Timed]) -> Timed:
    """Medians of the seconds, the most of the memory."""
    return replace(
        measured[0],
        seconds=statistics.median(one.seconds for one in measured),
        cpu=statistics.median(one.cpu for one in measured),
        peak_mb=max(one.peak_mb for one in measured),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer-python", help="a Python that has data-designer")
    parser.add_argument("--peer-records", type=int, default=10_000)
    options = parser.parse_args()
    print(as_installed())
    mine, by_hand = [], []
    for _ in range(options.repeat):
        mine.append(ours_at(options.records))
        by_hand.append(by_hand_at(options.records))
    ours = middle(mine)
    hand = middle(by_hand)
    print(f"W1, {options.records:,} rows")
    for name, one in (("this project", ours), ("numpy by hand", hand)):
        rate = options.records / one.seconds
        print(
            f"  {name:14} {one.seconds:8.2f} s   {one.cpu:6.2f} CPU-s   {rate:12,.0f} rows/s   {one.peak_mb:6.0f} MB"
        )
    print(
        f"  ratio          {ours.seconds / hand.seconds:8.2f} x the hand-written script, start-up of both included"
    )
    if options.peer_python:
        small = middle([ours_at(options.peer_records) for _ in range(options.repeat)])
        script = str(HERE / "w1_data_designer.py")
        peer = timed([options.peer_python, script, str(options.peer_records)])
        print(f"W1, {options.peer_records:,} rows")
        print(f"  this project   {small.seconds:8.2f} s   {small.peak_mb:6.0f} MB")
        print(f"  Data Designer  {peer.seconds:8.2f} s   {peer.peak_mb:6.0f} MB")
        print(f"  ratio          {peer.seconds / small.seconds:8.1f} x faster")


def ours_at(records: int) -> Timed:
    with tempfile.TemporaryDirectory() as root:
        config = str(HERE / "datasets" / "w1.yaml")
        command = [
            str(Path(sys.executable).parent / "sdg"),
            "generate",
            config,
            "--root",
            root,
        ]
        return timed([*command, "--num-records", str(records)])


def by_hand_at(records: int) -> Timed:
    with tempfile.TemporaryDirectory() as directory:
        return timed(
            [sys.executable, str(HERE / "w1_by_hand.py"), directory, str(records)]
        )


if __name__ == "__main__":
    main()
