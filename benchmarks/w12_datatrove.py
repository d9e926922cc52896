"""W12 with datatrove: its four steps of MinHash, by single words and as many bands and slots as this project's, in one process.

    PEER -m benchmarks.w12_datatrove TEXTS

datatrove takes every two texts that agree in a band for the same, without a look at the rest of their signatures. Its steps read
and write files; the texts are written before anything is timed. Prints seconds by the clock and of the processor, peak MB,
and how many texts stay.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig

from benchmarks.w12 import batches_of

BANDS = 32
ROWS = 4


def main(count: int, directory: Path) -> None:
    documents = directory / "documents"
    documents.mkdir()
    with (documents / "texts.jsonl").open("w") as file:
        for texts in batches_of(count):
            file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    config = MinhashConfig(
        n_grams=1,
        num_buckets=BANDS,
        hashes_per_bucket=ROWS,
        # the words differ by their numbers
        norm_config=TextNormConfig(norm_numbers=False),
        hash_config=HashConfig(precision=64, hash_fc="xxhash"),
    )
    reader = JsonlReader(str(documents))
    folder = {
        name: str(directory / name)
        for name in ("signatures", "buckets", "removed", "kept", "logs")
    }
    steps = [
        [reader, MinhashDedupSignature(folder["signatures"], config=config)],
        [MinhashDedupBuckets(folder["signatures"], folder["buckets"], config=config)],
        [MinhashDedupCluster(folder["buckets"], folder["removed"], config=config)],
        [reader, MinhashDedupFilter(folder["removed"]), ParquetWriter(folder["kept"])],
    ]
    began = time.perf_counter(), time.process_time()
    for number, pipeline in enumerate(steps):
        tasks = BANDS if number == 1 else 1
        executor = LocalPipelineExecutor(
            pipeline=pipeline,
            tasks=tasks,
            workers=1,
            logging_dir=f"{folder['logs']}/{number}",
        )
        executor.run()
    spent = time.perf_counter() - began[0], time.process_time() - began[1]
    kept = sum(
        pq.read_metadata(file).num_rows
        for file in Path(folder["kept"]).rglob("*.parquet")
    )
    print(*spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, kept)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(int(sys.argv[1]), Path(made))
