"""Memory and time of a report over 1, 2 and 4 million rows of one text column. Memory is to be flat.

    python -m benchmarks.report [--millions 1,2,4]

A row is a text of twelve drawn words and an identifier, made by this project. Each report is a process of its own; printed are
its peak memory and its time.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.timed import timed

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "invoice",
    "export",
    "ticket",
    "login",
    "broken",
    "since",
]


def dataset(millions: int) -> dict[str, object]:
    """Rows of one text column: its words are dropped."""
    names = [f"w{place}" for place in range(6)]
    words = [
        {
            "column_type": "sampler",
            "name": name,
            "sampler_type": "category",
            "params": {"values": WORDS},
            "drop": True,
        }
        for name in names
    ]
    number = {
        "column_type": "sampler",
        "name": "id",
        "sampler_type": "uuid",
        "params": {},
        "drop": True,
    }
    template = " ".join(f"{{{{ {name} }}}}" for name in [*names, *names, "id"])
    text = {"column_type": "expression", "name": "text", "expr": template}
    return {
        "name": "report",
        "num_records": millions * 1_000_000,
        "row_group_size": 100_000,
        "columns": [*words, number, text],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--millions", default="1,2,4")
    options = parser.parse_args()
    for millions in map(int, options.millions.split(",")):
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "report.yaml"
            file.write_text(yaml.safe_dump(dataset(millions)), encoding="utf-8")
            sdg = [sys.executable, "-m", "sdg_core.cli.main"]
            subprocess.run(
                [*sdg, "generate", str(file), "--root", directory],
                check=True,
                capture_output=True,
            )
            taken = timed([*sdg, "report", str(file), "--root", directory])
        print(
            f"{millions} million rows: {taken.peak_mb:6.0f} MB   {taken.seconds:6.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
