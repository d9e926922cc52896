"""Memory of a pipeline over many short documents: the peak for a quarter, a half and all of them, which has to stay flat.

    python -m benchmarks.memory_pipeline [--documents 1000000] [--per-file 10000]

Documents are lines of JSON in files, through two rules of quality to parquet; each size runs in a process of its own.
"""

import argparse
import tempfile
from pathlib import Path

import orjson

from benchmarks.model_calls import in_a_process
from benchmarks.pipeline_run import COMMAND

CONFIG = {
    "kind": "pipeline",
    "name": "memory",
    "sources": {"reader": "jsonl", "path": "docs/*.jsonl"},
    "stages": [
        {
            "stage": "filter",
            "quality": [
                {"rule": "words", "at_least": 5},
                {"rule": "uppercase", "at_most": 0.5},
            ],
        },
    ],
}


def write_project(directory: Path, *, documents: int, per_file: int) -> Path:
    docs = directory / "docs"
    docs.mkdir()
    for start in range(0, documents, per_file):
        with (docs / f"{start:09d}.jsonl").open("wb") as lines:
            for number in range(start, min(start + per_file, documents)):
                content = f"Document {number} says in a few plain words what number {number} is."
                lines.write(orjson.dumps({"content": content}) + b"\n")
    file = directory / "pipeline.yaml"
    file.write_bytes(orjson.dumps(CONFIG))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--per-file", type=int, default=10_000)
    options = parser.parse_args()
    for documents in (
        options.documents // 4,
        options.documents // 2,
        options.documents,
    ):
        with tempfile.TemporaryDirectory() as directory:
            file = write_project(
                Path(directory), documents=documents, per_file=options.per_file
            )
            found = in_a_process([*COMMAND, str(file)])
        print(
            f"  {found['rows']:9,} documents   {found['seconds']:7.1f} s   {found['peak_mb']:6.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
