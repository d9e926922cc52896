"""W1: rows that need no model, to parquet. Side by side: this project, a hand-written numpy script, Data Designer.

    python benchmarks/w1.py [--records 1000000] [--peer-python PATH] [--peer-records 10000] [--repeat 3]

Each is timed as a whole process, start-up included, ours and the script in turn; the machine, medians, peak memory and ratios are
printed. Modules are compiled before, as pip does when it installs them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.model_calls import as_installed

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu: float
    peak_mb: float


def measure(command: list[str]) -> Measured:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status != 0:
        sys.exit(f"{' '.join(command)} failed:\n{errors.decode()}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def middle(measured: list[Measured]) -> Measured:
    """Medians of the seconds, the most of the memory."""
    return Measured(
        statistics.median(one.seconds for one in measured),
        statistics.median(one.cpu for one in measured),
        max(one.peak_mb for one in measured),
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
        print(f"  {name:14} {one.seconds:8.2f} s   {one.cpu:6.2f} CPU-s   {rate:12,.0f} rows/s   {one.peak_mb:6.0f} MB")
    print(f"  ratio          {ours.seconds / hand.seconds:8.2f} x the hand-written script, start-up of both included")
    if options.peer_python:
        small = middle([ours_at(options.peer_records) for _ in range(options.repeat)])
        script = str(HERE / "w1_data_designer.py")
        peer = measure([options.peer_python, script, str(options.peer_records)])
        print(f"W1, {options.peer_records:,} rows")
        print(f"  this project   {small.seconds:8.2f} s   {small.peak_mb:6.0f} MB")
        print(f"  Data Designer  {peer.seconds:8.2f} s   {peer.peak_mb:6.0f} MB")
        print(f"  ratio          {peer.seconds / small.seconds:8.1f} x faster")


def ours_at(records: int) -> Measured:
    with tempfile.TemporaryDirectory() as root:
        config = str(HERE / "datasets" / "w1.yaml")
        command = [str(Path(sys.executable).parent / "sdg"), "generate", config, "--root", root]
        return measure([*command, "--num-records", str(records)])


def by_hand_at(records: int) -> Measured:
    with tempfile.TemporaryDirectory() as directory:
        return measure([sys.executable, str(HERE / "w1_by_hand.py"), directory, str(records)])


if __name__ == "__main__":
    main()
