"""W1: rows that need no model, to parquet. Side by side: this project, a hand-written numpy script, Data Designer.

    python benchmarks/w1.py [--records 1000000] [--peer-python PATH] [--peer-records 10000] [--repeat 3]

Each is timed as a whole process, start-up included; medians, peak memory and ratios are printed.
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

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mb: float


def measure(command: list[str], *, repeat: int) -> Measured:
    seconds, peaks = [], []
    for _ in range(repeat):
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - began)
        peaks.append(usage.ru_maxrss / 1024)
        if status != 0:
            sys.exit(f"{' '.join(command)} failed:\n{errors.decode()}")
    return Measured(statistics.median(seconds), max(peaks))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer-python", help="a Python that has data-designer")
    parser.add_argument("--peer-records", type=int, default=10_000)
    options = parser.parse_args()
    ours = ours_at(options.records, repeat=options.repeat)
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, str(HERE / "w1_by_hand.py"), directory, str(options.records)]
        hand = measure(command, repeat=options.repeat)
    print(f"W1, {options.records:,} rows")
    print(
        f"  this project   {ours.seconds:8.2f} s   {options.records / ours.seconds:12,.0f} rows/s   {ours.peak_mb:6.0f} MB"
    )
    print(
        f"  numpy by hand  {hand.seconds:8.2f} s   {options.records / hand.seconds:12,.0f} rows/s   {hand.peak_mb:6.0f} MB"
    )
    print(f"  ratio          {ours.seconds / hand.seconds:8.2f} x the hand-written script")
    if options.peer_python:
        small = ours_at(options.peer_records, repeat=options.repeat)
        script = str(HERE / "w1_data_designer.py")
        peer = measure([options.peer_python, script, str(options.peer_records)], repeat=1)
        print(f"W1, {options.peer_records:,} rows")
        print(f"  this project   {small.seconds:8.2f} s   {small.peak_mb:6.0f} MB")
        print(f"  Data Designer  {peer.seconds:8.2f} s   {peer.peak_mb:6.0f} MB")
        print(f"  ratio          {peer.seconds / small.seconds:8.1f} x faster")


def ours_at(records: int, *, repeat: int) -> Measured:
    times = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as root:
            config = str(HERE / "datasets" / "w1.yaml")
            command = [sys.executable, "-m", "sdg_core.cli.main", "generate", config, "--root", root]
            times.append(measure([*command, "--num-records", str(records)], repeat=1))
    return Measured(statistics.median(m.seconds for m in times), max(m.peak_mb for m in times))


if __name__ == "__main__":
    main()
