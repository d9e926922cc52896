"""W10 with datatrove: the same five rules of Gopher, one process per core. Prints how many documents are left."""

import os
import sys
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.filters import GopherQualityFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import ParquetWriter

COMMON = ["the", "be", "to", "of", "and", "that", "have", "with"]


def main(documents: str, output: str) -> None:
    rules = GopherQualityFilter(
        min_doc_words=50,
        max_doc_words=100_000,
        min_avg_word_length=3,
        max_avg_word_length=10,
        max_symbol_word_ratio=0.1,
        max_bullet_lines_ratio=None,
        max_ellipsis_lines_ratio=0.3,
        max_non_alpha_words_ratio=None,
        min_stop_words=2,
        stop_words=COMMON,
    )
    cores = len(os.sched_getaffinity(0))
    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(documents, glob_pattern="*.jsonl"),
            rules,
            ParquetWriter(f"{output}/made"),
        ],
        tasks=cores,
        workers=cores,
        start_method="spawn",  # so that their processor time counts
        logging_dir=f"{output}/logs",
    ).run()
    print(
        sum(
            pq.read_metadata(file).num_rows
            for file in Path(output, "made").rglob("*.parquet")
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
