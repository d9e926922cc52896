"""Memory over a long run: 100,000 records of two model columns, in row groups of 1,000.

    python -m benchmarks.memory [--records 100000] [--row-group-size 1000]

Replies are simulated, so that the run is bound by this project's own work. Printed is the resident set of the process after each
tenth of the row groups: what the window of open row groups, journal and claims hold is bounded, so the numbers level off.
"""

import argparse
import tempfile
import time
from pathlib import Path

import yaml

from sdg_core import api
from sdg_core.dataset.events import Event, RowGroupFinished

COLUMNS = [
    {"column_type": "sampler", "name": "id", "sampler_type": "uuid", "params": {}},
    {
        "column_type": "sampler",
        "name": "plan",
        "sampler_type": "category",
        "params": {"values": ["free", "pro"]},
    },
    {
        "column_type": "llm-text",
        "name": "question",
        "model_alias": "m",
        "prompt": "Ask about {{ id }} on {{ plan }}.",
    },
    {
        "column_type": "llm-text",
        "name": "answer",
        "model_alias": "m",
        "prompt": "Answer {{ question }}",
    },
]


def resident() -> float:
    """Resident set of this process in MB."""
    [line] = [
        x
        for x in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if x.startswith("VmRSS")
    ]
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--row-group-size", type=int, default=1000)
    options = parser.parse_args()
    config = {
        "name": "memory",
        "num_records": options.records,
        "row_group_size": options.row_group_size,
        "columns": COLUMNS,
        "model_providers": [{"name": "p", "provider_type": "simulated"}],
        "model_configs": [
            {
                "alias": "m",
                "model": "m",
                "provider": "p",
                "inference_parameters": {"max_parallel_requests": 64},
            }
        ],
    }
    groups = -(-options.records // options.row_group_size)
    finished, began = 0, time.monotonic()

    def on_event(event: Event) -> None:
        nonlocal finished
        if not isinstance(event, RowGroupFinished):
            return
        finished += 1
        if finished % max(1, groups // 10) == 0:
            print(
                f"{finished * options.row_group_size:>9,} records  {resident():7.0f} MB  {time.monotonic() - began:6.0f} s",
                flush=True,
            )

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "memory.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        dataset = api.open_dataset(file, root=directory)
        print(f"{0:>9,} records  {resident():7.0f} MB")
        api.generate(dataset, on_event=on_event)


if __name__ == "__main__":
    main()
