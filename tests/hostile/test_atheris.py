"""A bounded run of the fuzzer over every decoder of foreign bytes (`fuzz_targets`); with `SDG_LONG` set, ten minutes of it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.requirements import LONG, require_module
from tests.support.sdg import PROJECT


def test_every_decoder_under_the_fuzzer(tmp_path: Path) -> None:
    require_module("atheris")
    bound = "-max_total_time=600" if LONG else "-runs=1500"
    command = [
        sys.executable,
        "-m",
        "tests.hostile.fuzz_targets",
        bound,
        "-timeout=120",
        "-rss_limit_mb=4096",
    ]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    process = subprocess.run(
        [*command, "-seed=1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3_000:]
    assert "Done" in process.stderr
