"""How a dataset whose model answers in 50 ms scales over processes: `sdg generate --shard i/N`, N of them at once.

Run as `python -m benchmarks.shards [--records 1600] [--parallel 8] [--processes 1 2 4 8]`. Every process starts its own Python,
so the time includes N starts; the ideal is that of the waiting alone.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LATENCY = 0.05
DATASET = """
name: shards
num_records: {records}
row_group_size: 20
seed: 1
columns:
  - {{column_type: sampler, name: id, sampler_type: uuid, params: {{}}}}
  - {{column_type: llm-text, name: answer, model_alias: m, prompt: "answer {{{{ id }}}}"}}
model_providers: [{{name: p, endpoint: "{url}"}}]
model_configs: [{{alias: m, model: m, provider: p, inference_parameters: {{max_parallel_requests: {parallel}}}}}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1600)
    parser.add_argument("--parallel", type=int, default=8, help="requests of one process")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-m", "sdg_core.testing", "--port", "0", "--latency", str(LATENCY)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    try:
        print("processes  seconds  ideal  records a second")
        for count in options.processes:
            seconds = timed(count, url=url, records=options.records, parallel=options.parallel)
            ideal = options.records * LATENCY / (options.parallel * count)
            print(f"{count:9}  {seconds:7.1f}  {ideal:5.1f}  {options.records / seconds:16.0f}")
    finally:
        server.terminate()
        server.wait()


def timed(count: int, *, url: str, records: int, parallel: int) -> float:
    """Seconds until `count` slices of a fresh dataset are done."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "shards.yaml"
        file.write_text(DATASET.format(url=url, records=records, parallel=parallel), encoding="utf-8")
        command = [sys.executable, "-m", "sdg_core.cli.main", "generate", str(file), "--root", directory]
        began = time.perf_counter()
        running = [
            subprocess.Popen(
                [*command, "--shard", f"{index}/{count}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for index in range(count)
        ]
        statuses = [process.wait() for process in running]
        assert statuses == [0] * count, statuses
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
