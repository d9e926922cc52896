"""W2 to W5 with this project. Prints seconds and CPU seconds of the run (imports apart), and what became of the records."""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import aiohttp  # noqa: F401 - imported before the clock starts, as the bare loop does

from sdg_core import api


def main(config: str, records: int, row_group_size: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "dataset.yaml")
        text = Path(config).read_text(encoding="utf-8")
        path.write_text(
            text.replace("row_group_size: 250", f"row_group_size: {row_group_size}"),
            encoding="utf-8",
        )
        began, cpu = time.perf_counter(), time.process_time()
        dataset = api.open_dataset(
            path, root=str(Path(directory, "data")), num_records=records
        )
        summary = api.generate(dataset)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": cpu,
                "remaining": summary.remaining,
                "peak_mb": peak,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
