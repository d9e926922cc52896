"""The main job from start to finish, through Dagster's own command line: `make demo`.

Reads the documentation that this Python carries, makes 2,000 question and answer records from it in 8 row groups, and turns
them into the finished dataset. Each step that is done already is skipped, so a demo that was killed goes on where it stopped,
and a second one generates nothing.
"""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from sdg_core import api
from sdg_core.errors import SdgError
from sdg_core.store.row_group_state import RowGroupState

PROJECT = Path(__file__).resolve().parent.parent
CONFIG = PROJECT / "sdg_assets" / "defs" / "python_qa" / "dataset.yaml"
LOG = PROJECT / ".dagster" / "demo.log"
MAX_SHOWN_ROWS = 3


def main() -> None:
    """Bring the demo dataset to completion and show it."""
    os.chdir(PROJECT)
    root = api.resolve_root(None, env=os.environ, base=PROJECT)
    passages = root / "python_docs" / "passages.parquet"
    if passages.exists():
        say(f"[1/3] passages: {passages} is there")
    else:
        say("[1/3] passages: reading the documentation that Python carries ...")
        materialize("python_docs/passages")
    dataset = api.open_dataset(CONFIG)
    generated = generate(dataset)
    finish(dataset)
    summarise(dataset, passages)
    if not generated:
        say("")
        say("Nothing was generated: everything was already there.")


def generate(dataset: api.Dataset) -> bool:
    """Materialize the row groups that are not complete, as one range; False if all are."""
    status = api.status(dataset)
    total = len(dataset.plan.row_groups)
    complete = len(status.states[RowGroupState.COMPLETE])
    if complete == total and (
        status.sealed or recorded("python_qa/row_groups") == total
    ):
        say(f"[2/3] row groups: all {total} are complete")
        return False
    done = f", {complete} already complete" if complete else ""
    say(
        f"[2/3] row groups: {total} of {dataset.plan.config.row_group_size} records{done}; generating ..."
    )
    materialize("python_qa/row_groups", "--partition-range", f"00000...{total - 1:05d}")
    return complete < total


def finish(dataset: api.Dataset) -> None:
    """Materialize the finished dataset unless it is sealed already."""
    if api.status(dataset).post_generation_state == "complete" and recorded(
        "python_qa/dataset"
    ):
        say("[3/3] dataset: processed and sealed already")
        return
    say("[3/3] dataset: post-generation processing ...")
    materialize("python_qa/dataset")


def recorded(key: str) -> int:
    """How many partitions of an asset Dagster has recorded (1 for an asset without partitions): a kill may fall between a file
    and its record."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(PROJECT)) as instance:
        asset = dg.AssetKey(key.split("/"))
        partitions = instance.get_materialized_partitions(asset)
        return len(partitions) or int(
            instance.get_latest_materialization_event(asset) is not None
        )


def materialize(key: str, *options: str) -> None:
    """Run `dagster asset materialize`; its log goes to a file, its materializations are counted on the terminal."""
    command = [
        sys.executable,
        "-m",
        "dagster",
        "asset",
        "materialize",
        "-m",
        "sdg_assets.definitions",
    ]
    command += ["--select", key, *options]
    LOG.parent.mkdir(exist_ok=True)
    env = {**os.environ, "DAGSTER_HOME": str(PROJECT)}
    count = 0
    with LOG.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if "ASSET_MATERIALIZATION - " in line:
                count += 1
                say(
                    f"      {count} materialized",
                    end="\r" if sys.stdout.isatty() else "\n",
                )
    if sys.stdout.isatty():
        say("")
    if process.wait() != 0:
        tail = LOG.read_text(encoding="utf-8").splitlines()[-12:]
        sys.exit(
            "\n".join(
                [
                    f"`{' '.join(command[1:])}` failed; the end of its log ({LOG}):",
                    *tail,
                ]
            )
        )


def summarise(dataset: api.Dataset, passages: Path) -> None:
    """Say where everything is and show a few rows."""
    result = api.process(dataset)
    version = result.version
    rows = pl.read_parquet(
        version.processed_dataset / "*.parquet", n_rows=MAX_SHOWN_ROWS
    )
    say("")
    say(
        f"{result.num_rows:,} rows"
        + (
            " (simulated replies; README says how to use a real model)"
            if dataset.plan.simulated
            else ""
        )
    )
    say(f"  seed passages     {passages}")
    say(f"  row groups        {version.row_groups}")
    for path in result.outputs:
        say(f"  {path.name:<16}  {path}")
    for number, row in enumerate(rows.to_dicts()):
        say("")
        say(
            f"row {number}: {row['record_id']}, {row['audience']}, {row['intent']}, {row['asked_at']}"
        )
        for column in ("subject", "question", "answer"):
            say(f"  {column:<9} {shorten(row[column])}")
    say("")
    say("Look at it in Dagster:  make ui   (then open http://127.0.0.1:3000)")
    say(f"See its state:          .venv/bin/sdg status {CONFIG.relative_to(PROJECT)}")


def shorten(text: str, width: int = 96) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def say(text: str, end: str = "\n") -> None:
    """Print at once, also into a pipe."""
    print(text, end=end, flush=True)


if __name__ == "__main__":
    try:
        main()
    except SdgError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run `make demo` again to resume")
