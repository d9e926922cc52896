"""W11 with datatrove's inference runner: one call per document, 64 at once, its replies kept by its checkpoints or not.

    python w11_datatrove.py URL DOCUMENTS (checkpoints|plain)

datatrove has no reader of text files, so its documents are the lines of one file, which costs it less. Prints JSON: seconds by
the clock and of the processor from the first request on, and the documents that were lost.
"""

import gzip
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

AT_ONCE = 64
PER_CHUNK = 500


class Clock:
    """Starts with the first request: datatrove waits seconds for its server before, which are none of its work."""

    def __init__(self) -> None:
        self.began: tuple[float, float] | None = None

    def seconds(self) -> dict[str, float]:
        """Seconds by the clock and of the processor since then."""
        assert self.began is not None
        began, cpu = self.began
        return {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - cpu,
        }


def main(url: str, documents: int, keeps: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder, "given")
        given.mkdir()
        with (given / "documents.jsonl").open("w", encoding="utf-8") as file:
            for number in range(documents):
                text = f"Write a support ticket. Number {number}."
                file.write(json.dumps({"id": str(number), "text": text}) + "\n")
        config = InferenceConfig(
            server_type="endpoint",
            endpoint_url=url.removesuffix("/v1"),
            model_name_or_path="mock",
            max_concurrent_generations=AT_ONCE,
            server_ready_delay_sec=0.1,
        )
        checkpoints = f"{folder}/checkpoints" if keeps == "checkpoints" else None
        name = "${rank}_chunk_${chunk_index}.jsonl.gz" if checkpoints else None
        clock = Clock()

        async def ask(document: Document, generate: Any) -> Any:
            if clock.began is None:
                clock.began = time.perf_counter(), time.process_time()
            return await generate(
                {"messages": [{"role": "user", "content": document.text}]}
            )

        runner = InferenceRunner(
            ask,
            config,
            JsonlWriter(f"{folder}/made", output_filename=name),
            checkpoints_local_dir=checkpoints,
            records_per_chunk=PER_CHUNK,
        )
        pipeline = [JsonlReader(str(given)), runner]
        LocalPipelineExecutor(
            pipeline=pipeline, logging_dir=f"{folder}/logs", tasks=1
        ).run()
        found = clock.seconds()
        made = Path(folder, "made").glob("*.gz")
        rows = sum(
            len(gzip.decompress(file.read_bytes()).splitlines()) for file in made
        )
        print("\n" + json.dumps({**found, "remaining": documents - rows}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
