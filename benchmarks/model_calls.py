"""W2 to W5: model calls at the speed of the wire. Side by side: this project, a bare aiohttp loop, Data Designer.

    python -m benchmarks.model_calls [--works W2,W2-0ms,W3,W4,W5,W5-fast,...] [--repeat 3] [--peer-python PATH]

All ask the same mock server (`mock_model_server.py`), 64 requests at once: the median of `--repeat`
runs, ours and the bare loop's in turn. Seconds are those of the run, aiohttp's import apart, and
those of the whole process, start-up included, each with its ratio; of `sdg generate`, which is what
people run, only the latter, also beside a bare loop that has imported the packages that this
project is built on. Where requests fail, the bare loop sends them again as the server asks. The
peer runs once. Modules are compiled before, as pip does when it installs them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timed import as_installed, timed

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Work:
    """records: how many; calls: requests a record."""

    what: str
    records: int
    calls: int
    server: tuple[str, ...]
    row_group_size: int = 250


FAULTS = ("--latency", "0.05", "--limited", "0.1", "--errors", "0.02")
FAST = ("--latency", "0.05", "--limited-latency", "0.002", "--retry-after", "1")
FAST_FAULTS = (
    *FAST,
    "--limited",
    "0.1",
    "--errors",
    "0.02",
    "--dropped",
    "0.01",
    "--broken",
    "0.005",
)
BUCKET = (*FAST, "--bucket", "500")
WORKS = {
    "W2": Work("2,000 one-call records, 50 ms", 2000, 1, ("--latency", "0.05")),
    "W2-0ms": Work("2,000 one-call records, 0 ms", 2000, 1, ("--latency", "0")),
    "W3": Work(
        "1,000 records, text -> structured -> judge, 50 ms",
        1000,
        3,
        ("--latency", "0.05"),
    ),
    "W4": Work(
        "W2 with 1 % of the replies taking 5 s",
        2000,
        1,
        ("--latency", "0.05", "--slow", "0.01"),
    ),
    "W4-small": Work(
        "W4 in row groups of 50", 2000, 1, ("--latency", "0.05", "--slow", "0.01"), 50
    ),
    "W4-one": Work(
        "W4 in one row group", 2000, 1, ("--latency", "0.05", "--slow", "0.01"), 2000
    ),
    "W5": Work("W2 with 10 % 429 and 2 % 500", 2000, 1, FAULTS),
    "W5-fast": Work(
        "W2 with every fault, refused in 2 ms with Retry-After: 1", 2000, 1, FAST_FAULTS
    ),
    "W5-bucket": Work("W2 with a true limit of 500 requests a second", 2000, 1, BUCKET),
    "W5-retry-after": Work(
        "W5 with Retry-After: 1", 2000, 1, (*FAULTS, "--retry-after", "1")
    ),
}


@contextmanager
def server(arguments: tuple[str, ...]) -> Iterator[str]:
    command = [sys.executable, str(HERE / "mock_model_server.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def in_a_process(command: list[str], **variables: str) -> dict[str, Any]:
    """What a command prints as its last value of JSON, with the seconds and CPU seconds of the whole process as `whole` and
    `whole_cpu`."""
    whole = timed(command, variables=variables)
    start = whole.printed.rfind("\n{") + 1
    return {
        **json.loads(whole.printed[start:]),
        "whole": whole.seconds,
        "whole_cpu": whole.cpu,
    }


def requests_of(url: str) -> int:
    """How many requests the server has answered."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as response:
        return sum(json.load(response).values())


def run(command: list[str], *, url: str) -> dict[str, Any]:
    found = in_a_process(command, MOCK_URL=url, MOCK_MODEL="mock")
    return {**found, "requests": requests_of(url)}


def ours(work: Work) -> dict[str, Any]:
    config = HERE / "datasets" / ("w3.yaml" if work.calls == 3 else "w2.yaml")
    script = [sys.executable, str(HERE / "model_calls_sdg.py"), str(config)]
    with server(work.server) as url:
        return run([*script, str(work.records), str(work.row_group_size)], url=url)


def our_command(work: Work) -> dict[str, Any]:
    """`sdg generate`, as a whole process."""
    config = HERE / "datasets" / ("w3.yaml" if work.calls == 3 else "w2.yaml")
    sized = config.read_text(encoding="utf-8").replace(
        "row_group_size: 250", f"row_group_size: {work.row_group_size}"
    )
    command = [str(Path(sys.executable).parent / "sdg"), "generate"]
    with tempfile.TemporaryDirectory() as directory, server(work.server) as url:
        file = Path(directory, "dataset.yaml")
        file.write_text(sized, encoding="utf-8")
        options = [
            "--root",
            str(Path(directory, "data")),
            "--num-records",
            str(work.records),
            "--json",
        ]
        found = run([*command, str(file), *options], url=url)
    return {**found, "seconds": found["whole"], "cpu": found["whole_cpu"]}


def other(python: str, script: str, work: Work, *options: str) -> dict[str, Any]:
    arguments = [str(work.records), str(work.calls), *options]
    with server(work.server) as url:
        return run([python, str(HERE / script), url, *arguments], url=url)


def show(name: str, result: dict[str, Any], ratio: str = "") -> None:
    per_thousand = 1000 * result["cpu"] / max(1, result["requests"])
    remaining = (
        f", {result['remaining']} records lost" if result.get("remaining") else ""
    )
    print(
        f"  {name:14} {result['seconds']:8.2f} s   {result['requests']:6d} requests   "
        f"{per_thousand:6.2f} CPU-s per 1,000{remaining}   {ratio}",
        flush=True,
    )


def middle(results: list[dict[str, Any]]) -> dict[str, Any]:
    median = statistics.median_low(result["seconds"] for result in results)
    return next(result for result in results if result["seconds"] == median)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer-python", help="a Python that has data-designer")
    options = parser.parse_args()
    print(as_installed())
    for name in options.works.split(","):
        work = WORKS[name]
        print(f"{name}: {work.what}")
        mine, commands, bare, with_packages = [], [], [], []
        for _ in range(options.repeat):
            mine.append(ours(work))
            commands.append(our_command(work))
            bare.append(other(sys.executable, "model_calls_bare.py", work))
            with_packages.append(
                other(sys.executable, "model_calls_bare.py", work, "--packages")
            )
        best = middle(mine)
        floor = middle(bare)
        higher_floor = middle(with_packages)
        ratios = [best[what] / floor[what] for what in ("seconds", "whole")]
        show(
            "this project",
            best,
            f"{ratios[0]:.2f} x the bare loop, {ratios[1]:.2f} x with start-up",
        )
        command = middle(commands)
        show(
            "sdg generate",
            command,
            f"{command['whole'] / floor['whole']:.2f} x with start-up, "
            f"{command['whole'] / higher_floor['whole']:.2f} x with the imports of our packages",
        )
        show(
            "bare loop",
            floor,
            f"{floor['whole']:.2f} s and {floor['whole_cpu']:.2f} CPU-s with start-up, "
            f"{higher_floor['whole']:.2f} and {higher_floor['whole_cpu']:.2f} with those imports",
        )
        if options.peer_python:
            peer = other(options.peer_python, "model_calls_data_designer.py", work)
            show(
                "Data Designer",
                peer,
                f"{peer['seconds'] / best['seconds']:.1f} x our time",
            )


if __name__ == "__main__":
    main()
