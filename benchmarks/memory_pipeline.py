"""Memory of a pipeline over many short documents: the peak for a quarter, a half and all of them, which has to stay flat.

    python -m benchmarks.memory_pipeline [--documents 1000000] [--per-file 10000]

Documents are lines of JSON in files, through two rules of quality to parquet; each size runs in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

CONFIG = {
    "kind": "pipeline",
    "name": "memory",
    "sources": {"reader": "jsonl", "path": "docs/*.jsonl"},
    "stages": [
        {"stage": "filter", "quality": [{"rule": "words", "at_least": 5}, {"rule": "uppercase", "at_most": 0.5}]},
    ],
}


def write_project(directory: Path, *, documents: int, per_file: int) -> Path:
    docs = directory / "docs"
    docs.mkdir()
    for start in range(0, documents, per_file):
        numbers = range(start, min(start + per_file, documents))
        lines = [
            orjson.dumps({"content": f"Document {n} says in a few plain words what number {n} is."}) for n in numbers
        ]
        (docs / f"{start:09d}.jsonl").write_bytes(b"\n".join(lines))
    file = directory / "pipeline.yaml"
    file.write_bytes(orjson.dumps(CONFIG))
    return file


def one_run(file: Path) -> None:
    """In a process of its own: prints rows, seconds and the peak."""
    from sdg_core.api import pipelines

    began = time.perf_counter()
    summary = pipelines.generate(pipelines.open_pipeline(file, root=file.parent / "data"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": summary.rows, "seconds": time.perf_counter() - began, "peak_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--per-file", type=int, default=10_000)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.file:
        return one_run(options.file)
    for documents in (options.documents // 4, options.documents // 2, options.documents):
        with tempfile.TemporaryDirectory() as directory:
            file = write_project(Path(directory), documents=documents, per_file=options.per_file)
            command = [sys.executable, "-m", "benchmarks.memory_pipeline", "--file", str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
        print(f"  {found['rows']:9,} documents   {found['seconds']:7.1f} s   {found['peak_mb']:6.0f} MB", flush=True)


if __name__ == "__main__":
    main()
