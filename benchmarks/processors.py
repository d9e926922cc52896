"""Processors over a large dataset on one machine: `sdg process` with `filter` and `deduplicate`, its time and peak memory.

    python -m benchmarks.processors [--records 10000000] [--method exact] [--words 6] [--directory /tmp]

The records are rows of a seed file of random texts, every third a copy of the one before it (for minhash, with 3 % of its words
replaced), and a score that is drawn. Generating and processing each run in a process of their own, start-up included.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.timed import timed
from benchmarks.w12 import BATCH, batches_of
from sdg_core import api

ROW_GROUP_SIZE = 50_000


def write_seed(path: Path, *, records: int, words: int, method: str) -> None:
    """Texts in a parquet file, written in batches."""
    random_ = np.random.default_rng(2)
    vocabulary = np.array([f"word{number}" for number in range(3000)])
    schema = pa.schema([("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        if method == "minhash":
            for texts in batches_of(records):
                writer.write_table(pa.table([texts], schema=schema))
            return
        for start in range(0, records, BATCH):
            rows = random_.integers(
                0, len(vocabulary), size=(min(BATCH, records - start), words)
            )
            rows[2::3] = rows[1::3][: len(rows[2::3])]
            writer.write_table(
                pa.table([[" ".join(row) for row in vocabulary[rows]]], schema=schema)
            )


def config_of(given: argparse.Namespace) -> dict[str, Any]:
    """The dataset: a filter by a template, one by a quality rule, then the deduplication, which keeps the best."""
    score = {
        "column_type": "sampler",
        "name": "score",
        "sampler_type": "uniform",
        "params": {"low": 0, "high": 1},
    }
    return {
        "name": "large",
        "num_records": "seed",
        "row_group_size": ROW_GROUP_SIZE,
        "seed_config": {"source": {"path": "seed.parquet"}},
        "columns": [score],
        "processors": [
            {"processor_type": "filter", "name": "good", "keep": "{{ score >= 0.05 }}"},
            {
                "processor_type": "filter",
                "name": "long",
                "column": "text",
                "quality": [{"rule": "words", "at_least": 3}],
            },
            {
                "processor_type": "deduplicate",
                "name": "same",
                "method": given.method,
                "columns": ["text"],
                "keep": "best",
                "score": "score",
            },
        ],
    }


def step(name: str, directory: Path) -> None:
    """Do one step in this process, and print how many rows it made."""
    dataset = api.open_dataset(directory / "large.yaml", root=str(directory / "root"))
    if name == "generate":
        print(api.generate(dataset).generated)
    else:
        print(api.process(dataset).num_rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--method", choices=("exact", "minhash"), default="exact")
    parser.add_argument(
        "--words",
        type=int,
        default=6,
        help="of a text, for exact; for minhash it is 100",
    )
    parser.add_argument(
        "--directory",
        default=None,
        help="where the data goes; it is removed in the end",
    )
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step is not None:
        step(given.step[0], Path(given.step[1]))
        return
    print(f"{given.records:,} records, deduplicate by {given.method}", flush=True)
    with tempfile.TemporaryDirectory(dir=given.directory) as made:
        directory = Path(made)
        write_seed(
            directory / "seed.parquet",
            records=given.records,
            words=given.words,
            method=given.method,
        )
        (directory / "large.yaml").write_text(
            yaml.safe_dump(config_of(given)), encoding="utf-8"
        )
        for name in ("generate", "process"):
            took = timed(
                [sys.executable, "-m", "benchmarks.processors", "--step", name, made]
            )
            times = f"{took.seconds:8.1f} s {took.cpu:8.1f} CPU-s"
            rows = f"{int(took.printed):>12,} rows"
            print(
                f"  {name:9} {times}  peak {took.peak_mb:7.0f} MB  {rows}", flush=True
            )


if __name__ == "__main__":
    main()
