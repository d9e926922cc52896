"""W11: 2,000 sources through split and one model call each, 50 ms, 64 at once. Side by side: this project, a bare aiohttp loop.

    python -m benchmarks.w11 [--sources 2000] [--repeat 3]

Both ask the same mock server (`mock_model_server.py`). Seconds are those of the run, imports apart, and the ratio is also that
of whole processes; the median of `--repeat` runs, in turn. A source is a short file that becomes one piece. This project also
runs once with all sources in one partition, which shows what a file per source costs, and once killed half way and run again,
which shows how many requests are repeated.
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

from benchmarks.model_calls import HERE, Work, middle, other, requests_of, run, server, show
from benchmarks.pipeline_run import COMMAND
from benchmarks.timed import as_installed

LATENCY = ("--latency", "0.05")
AT_ONCE = 64


def write_project(directory: Path, url: str, *, sources: int, per_partition: int) -> Path:
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
            {"alias": "m", "model": "mock", "provider": "p", "inference_parameters": inference}
        ],
    }
    file = directory / "pipeline.yaml"
    file.write_bytes(orjson.dumps(config))
    return file


def ours(sources: int, per_partition: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory, server(LATENCY) as url:
        file = write_project(Path(directory), url, sources=sources, per_partition=per_partition)
        return run([*COMMAND, str(file)], url=url)


def killed(sources: int) -> None:
    """SIGKILL when half of the requests are answered, then a run to the end: how many are asked again."""
    with tempfile.TemporaryDirectory() as directory, server(LATENCY) as url:
        file = write_project(Path(directory), url, sources=sources, per_partition=1)
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
    options = parser.parse_args()
    print(as_installed())
    print(f"W11: {options.sources:,} sources, split, one call each, 50 ms")
    work = Work("", options.sources, 1, LATENCY)
    mine, bare = [], []
    for _ in range(options.repeat):
        mine.append(ours(options.sources, 1))
        bare.append(other(sys.executable, "model_calls_bare.py", work))
    best, floor = middle(mine), middle(bare)
    together = ours(options.sources, options.sources)
    ratio = f"{best['seconds'] / floor['seconds']:.2f} x the bare loop, {best['whole'] / floor['whole']:.2f} with start-up"
    show("this project", best, f"{ratio}, {best['peak_mb']:.0f} MB")
    show("one partition", together, f"{together['seconds'] / floor['seconds']:.2f} x the bare loop")
    show("bare loop", floor)
    killed(options.sources)


if __name__ == "__main__":
    main()
