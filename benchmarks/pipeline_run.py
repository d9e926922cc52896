"""One run of a pipeline file, in a process of its own, so that its memory and its start are its own.

    python -m benchmarks.pipeline_run FILE

prints JSON: rows, sources remaining, seconds by the clock and of the processors, the peak in MB. HTTP is imported before the
clock starts, as a bare loop would do. The peak is the kernel's `VmHWM`: `ru_maxrss` of a process counts that of its parent, too.
"""

import json
import sys
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "benchmarks.pipeline_run"]


def peak_mb() -> float:
    """The most memory that this process has held since it began."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def main() -> None:
    import aiohttp  # noqa: F401 - see above

    from sdg_core.api import pipelines

    file = Path(sys.argv[1])
    began = time.perf_counter()
    cpu = time.process_time()
    summary = pipelines.generate(
        pipelines.open_pipeline(file, root=file.parent / "data")
    )
    found = {
        "rows": summary.rows,
        "remaining": summary.remaining,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
