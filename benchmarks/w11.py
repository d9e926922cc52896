"""W11: 2,000 sources through split and one model call each, 50 ms, 64 at once. Side by side: this project, datatrove's inference
runner with and without its checkpoints, a bare aiohttp loop.

    python -m benchmarks.w11 [--sources 2000] [--repeat 3] [--peer-python PATH]

All ask the same mock server (`mock_model_server.py`). Seconds are those of the run, imports apart, and the ratio is also that
of whole processes; the median of `--repeat` runs, in turn. A source is a short file that becomes one piece. This project runs
by its API and as `sdg generate`, which is what people run. It also runs once with all sources in one partition, which shows
what a file per source costs, and once killed half way and run again, which shows how many requests are repeated. What runs
leave is removed at the end: a file system that has just deleted thousands of files is slow to make new ones.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from benchmarks.model_calls import (
    HERE,
    Work,
    middle,
    other,
    requests_of,
    run,
    server,
    show,
)
from benchmarks.pipeline_run import COMMAND
from benchmarks.timed import as_installed

LATENCY = ("--latency", "0.05")
AT_ONCE = 64


def write_project(
    directory: Path, url: str, *, sources: int, per_partition: int
) -> Path:
    docs = directory / "docs"
    docs.mkdir()
    for number in range(sources):
        (docs / f"{number:05d}.txt").write_text(
            f"Write a support ticket. Number {number}.", encoding="utf-8"
        )
    inference = {"max_parallel_requests": AT_ONCE}
    column = {
        "column_type": "llm-text",
        "name": "answer",
        "model_alias": "m",
        "prompt": "{{ content }}",
    }
    config = {
        "kind": "pipeline",
        "name": "w11",
        "sources": {
            "reader": "files",
            "path": "docs/*.txt",
            "sources_per_partition": per_partition,
        },
        "stages": [
            {"stage": "split", "column": "content", "unit": "words", "size": 200},
            {"stage": "columns", "columns": [column]},
        ],
        "model_providers": [{"name": "p", "provider_type": "openai", "endpoint": url}],
        "model_configs": [
            {
                "alias": "m",
                "model": "mock",
                "provider": "p",
                "inference_parameters": inference,
            }
        ],
    }
    file = directory / "pipeline.yaml"
    file.write_bytes(orjson.dumps(config))
    return file


def ours(place: Path, sources: int, per_partition: int) -> dict[str, Any]:
    with server(LATENCY) as url:
        folder = Path(tempfile.mkdtemp(dir=place))
        file = write_project(folder, url, sources=sources, per_partition=per_partition)
        return run([*COMMAND, str(file)], url=url)


def our_command(place: Path, sources: int) -> dict[str, Any]:
    """`sdg generate`, as a whole process."""
    with server(LATENCY) as url:
        folder = Path(tempfile.mkdtemp(dir=place))
        file = write_project(folder, url, sources=sources, per_partition=1)
        command = [str(Path(sys.executable).parent / "sdg"), "generate", str(file)]
        found = run([*command, "--root", str(folder / "data"), "--json"], url=url)
    return {**found, "seconds": found["whole"], "cpu": found["whole_cpu"]}


def datatrove(python: str, sources: int, keeps: str) -> dict[str, Any]:
    with server(LATENCY) as url:
        return run(
            [python, str(HERE / "w11_datatrove.py"), url, str(sources), keeps], url=url
        )


def killed(place: Path, sources: int) -> None:
    """SIGKILL when half of the requests are answered, then a run to the end: how many are asked again."""
    with server(LATENCY) as url:
        folder = Path(tempfile.mkdtemp(dir=place))
        file = write_project(folder, url, sources=sources, per_partition=1)
        command = [*COMMAND, str(file)]
        env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        while requests_of(url) < sources // 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        result = run(command, url=url)
        again = result["requests"] - sources
        print(
            f"  killed half way: {again} of {sources:,} requests asked again, at most {AT_ONCE} were in flight"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer-python", help="a Python that has datatrove")
    options = parser.parse_args()
    print(as_installed())
    print(f"W11: {options.sources:,} sources, split, one call each, 50 ms")
    with tempfile.TemporaryDirectory() as directory:
        compare(Path(directory), options)


def compare(place: Path, options: argparse.Namespace) -> None:
    work = Work("", options.sources, 1, LATENCY)
    mine, commands, bare = [], [], []
    for _ in range(options.repeat):
        mine.append(ours(place, options.sources, 1))
        commands.append(our_command(place, options.sources))
        bare.append(other(sys.executable, "model_calls_bare.py", work))
    best, command, floor = middle(mine), middle(commands), middle(bare)
    together = ours(place, options.sources, options.sources)
    ratio = f"{best['seconds'] / floor['seconds']:.2f} x the bare loop, {best['whole'] / floor['whole']:.2f} with start-up"
    show("this project", best, f"{ratio}, {best['peak_mb']:.0f} MB")
    show(
        "sdg generate",
        command,
        f"{command['whole'] / floor['whole']:.2f} with start-up",
    )
    show(
        "one partition",
        together,
        f"{together['seconds'] / floor['seconds']:.2f} x the bare loop",
    )
    show("bare loop", floor)
    if options.peer_python is None:
        print(
            "  datatrove      left out: --peer-python names none, see benchmarks/README.md"
        )
    for keeps in ("plain", "checkpoints") if options.peer_python is not None else ():
        runs = [
            datatrove(options.peer_python, options.sources, keeps)
            for _ in range(options.repeat)
        ]
        peer = middle(runs)
        ratio = f"{peer['seconds'] / floor['seconds']:.2f} x the bare loop, {peer['seconds'] / best['seconds']:.2f} x our time"
        show(f"datatrove, {keeps}", peer, ratio)
    killed(place, options.sources)


if __name__ == "__main__":
    main()
