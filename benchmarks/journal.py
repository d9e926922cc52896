"""What the journal of replies costs: W2 with it and without it, in turn, in one process.

    python -m benchmarks.journal [--repeat 9] [--records 2000] [--latency 0.05]

Prints the medians of seconds and of CPU seconds, and the journal's share.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.model_calls import server
from sdg_core import api
from sdg_core.execution import generate

DATASET = Path(__file__).parent / "datasets" / "w2.yaml"
OPEN_JOURNAL = generate.open_journal


@asynccontextmanager
async def no_journal(*arguments: Any, **named: Any) -> AsyncIterator[None]:
    yield None


def main() -> None:
    options = parse()
    found: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    with server(("--latency", str(options.latency))) as url:
        os.environ.update(MOCK_URL=url, MOCK_MODEL="mock")
        once("with", records=200)  # imports
        for _ in range(options.repeat):
            for kind, times in found.items():
                times.append(once(kind, records=options.records))
    for kind, times in found.items():
        print(
            f"{kind:>8} {statistics.median(s for s, _ in times):7.3f} s {statistics.median(c for _, c in times):7.3f} CPU-s"
        )
    pairs = list(zip(found["with"], found["without"], strict=True))
    for place, name in ((0, "seconds"), (1, "CPU seconds")):
        shares = sorted(100 * (one[place] / other[place] - 1) for one, other in pairs)
        spread = f"{shares[0]:.1f} to {shares[-1]:.1f} in {len(shares)} pairs"
        print(
            f"the journal takes {statistics.median(shares):.1f} % more {name} ({spread})"
        )


def once(kind: str, *, records: int) -> tuple[float, float]:
    """Seconds and CPU seconds of a run."""
    generate.open_journal = OPEN_JOURNAL if kind == "with" else no_journal  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as directory:
        began, cpu = time.perf_counter(), time.process_time()
        summary = api.generate(
            api.open_dataset(DATASET, root=directory, num_records=records)
        )
        assert summary.remaining == 0
        return time.perf_counter() - began, time.process_time() - cpu


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument(
        "--latency", type=float, default=0.05, help="seconds of a reply"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
