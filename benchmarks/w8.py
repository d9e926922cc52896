"""W8: one Dagster run over many tiny row groups: what recording them costs, ours and Dagster's.

    python -m benchmarks.w8 [--row-groups 1000] [--storage sqlite postgres] [--recording plain batches planned]

plain: one event at a time, as `context.log_event` writes them. batches: our micro-batches, on Dagster's own storage. planned: the
same on our batching storage, which also writes the "planned" events at once. alone: the same row groups without Dagster. Metadata
and events are ours, made beside the generation in a thread of their own, so on a busy machine mostly waiting; hence the CPU time.
Run from the repository; Postgres must be installed.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.timed import timed

RECORDS_PER_GROUP = 2
STORAGES, RECORDINGS = ("sqlite", "postgres"), ("plain", "batches", "planned")
KEY = "tiny/row_groups"
HEADER = (
    "storage",
    "recording",
    "total s",
    "alone s",
    "planned",
    "metadata",
    "events",
    "ours",
    "ours, CPU",
)


def main() -> None:
    options = parse()
    if options.child is not None:
        print(
            json.dumps(
                measure(
                    Path(options.child),
                    recording=options.recording[0],
                    row_groups=options.row_groups,
                )
            )
        )
        return
    print(
        f"{options.row_groups} row groups of {RECORDS_PER_GROUP} records; milliseconds per row group but for seconds (s)"
    )
    print(("{:>10}" * len(HEADER)).format(*HEADER))
    for storage in options.storage:
        for recording in options.recording:
            found = in_a_process(
                storage, recording=recording, row_groups=options.row_groups
            )
            print(row(storage, recording, found), flush=True)


def row(storage: str, recording: str, found: dict[str, float]) -> str:
    groups = found["row_groups"]
    ours = found["metadata"] + found["events"]
    each = [
        1000 * share / groups
        for share in (
            found["planned"],
            found["metadata"],
            found["events"],
            ours,
            found["cpu"],
        )
    ]
    cells = [
        f"{found['total']:.1f}",
        f"{found['generating']:.1f}",
        *(f"{value:.2f}" for value in each),
    ]
    return ("{:>10}" * len(HEADER)).format(storage, recording, *cells)


def in_a_process(storage: str, *, recording: str, row_groups: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="sdg-w8-") as home, server(storage) as url:
        write_home(Path(home), storage=storage, recording=recording)
        variables = {"DAGSTER_HOME": home, "SDG_POSTGRES_URL": url}
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "benchmarks.w8",
            "--child",
            home,
        ]
        command += ["--recording", recording, "--row-groups", str(row_groups)]
        done = timed(command, variables=variables, without=("DAGSTER_", "SDG_"))
        found: dict[str, float] = json.loads(done.printed.splitlines()[-1])
        return found


@contextlib.contextmanager
def server(storage: str) -> Iterator[str]:
    if storage == "sqlite":
        yield ""
        return
    from tests.support.postgres import postgres

    with postgres(fast=False) as url:
        yield url


def write_home(home: Path, *, storage: str, recording: str) -> None:
    """A dagster.yaml, and a dataset file in the same directory."""
    event_class = {
        ("sqlite", True): ("sdg_assets.event_storage", "BatchingSqliteEventLogStorage"),
        ("sqlite", False): ("dagster._core.storage.event_log", "SqliteEventLogStorage"),
        ("postgres", True): (
            "sdg_assets.postgres_event_storage",
            "BatchingPostgresEventLogStorage",
        ),
        ("postgres", False): ("dagster_postgres", "PostgresEventLogStorage"),
    }[(storage, recording == "planned")]
    classes = {
        "sqlite": (
            ("dagster._core.storage.runs", "SqliteRunStorage"),
            ("dagster._core.storage.schedules", "SqliteScheduleStorage"),
        ),
        "postgres": (
            ("dagster_postgres", "PostgresRunStorage"),
            ("dagster_postgres", "PostgresScheduleStorage"),
        ),
    }[storage]
    names = ("event_log_storage", "run_storage", "schedule_storage")
    config: dict[str, Any] = {"telemetry": {"enabled": False}}
    for name, (module, kind) in zip(names, (event_class, *classes), strict=True):
        sqlite: dict[str, Any] = {"base_dir": str(home / name)}
        postgres: dict[str, Any] = {"postgres_url": {"env": "SDG_POSTGRES_URL"}}
        config[name] = {
            "module": module,
            "class": kind,
            "config": sqlite if storage == "sqlite" else postgres,
        }
    (home / "dagster.yaml").write_text(json.dumps(config), encoding="utf-8")


def write_dataset(home: Path, *, row_groups: int) -> Path:
    columns = [
        {"column_type": "sampler", "name": "id", "sampler_type": "uuid", "params": {}},
        {
            "column_type": "sampler",
            "name": "plan",
            "sampler_type": "category",
            "params": {"values": ["free", "pro"]},
        },
        {
            "column_type": "sampler",
            "name": "age",
            "sampler_type": "gaussian",
            "params": {"mean": 40, "stddev": 9},
        },
        {
            "column_type": "expression",
            "name": "note",
            "expr": "{{ plan }} at {{ age }}",
        },
    ]
    sizes = {
        "num_records": row_groups * RECORDS_PER_GROUP,
        "row_group_size": RECORDS_PER_GROUP,
    }
    path = home / "tiny.yaml"
    path.write_text(
        json.dumps({"name": "tiny", **sizes, "columns": columns}), encoding="utf-8"
    )
    return path


def measure(home: Path, *, recording: str, row_groups: int) -> dict[str, float]:
    """One run over all row groups in this process; seconds of its parts."""
    import dagster as dg

    from sdg_assets.components.dataset import Dataset
    from sdg_assets.recording import recorder as recorder
    from sdg_assets.resources import StoreResource
    from sdg_core import api

    path = write_dataset(home, row_groups=row_groups)
    began = time.perf_counter()
    api.generate(api.open_dataset(path, root=str(home / "alone")))
    generating = time.perf_counter() - began

    spent = {"metadata": 0.0, "events": 0.0, "cpu": 0.0}
    if recording == "plain":
        recorder.batch_writer = lambda context: None
    for name, part in (("batch_writer", "events"), ("single_writer", "events")):
        setattr(recorder, name, clocked_writer(getattr(recorder, name), spent, part))
    recorder.Recorder._materialization = clocked(
        recorder.Recorder._materialization, spent, "metadata"
    )

    context = dg.ComponentTree.for_test().load_context
    resources = {"store": StoreResource(root=str(home / "data"))}
    definitions = dg.Definitions.merge(
        Dataset(config=str(path)).build_defs(context),
        dg.Definitions(resources=resources),
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    last = f"{row_groups - 1:05d}"
    tags = {
        "dagster/asset_partition_range_start": "00000",
        "dagster/asset_partition_range_end": last,
    }
    with dg.DagsterInstance.get() as instance:
        began = time.perf_counter()
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(KEY.split("/"))],
            tags=tags,
            raise_on_error=True,
        )
        total = time.perf_counter() - began
        recorded = len(
            instance.get_materialized_partitions(dg.AssetKey(KEY.split("/")))
        )
        assert recorded == row_groups, f"{recorded} of {row_groups} recorded"
        planned = planned_seconds(instance, result.run_id)
    return {
        "row_groups": row_groups,
        "total": total,
        "generating": generating,
        "planned": planned,
        **spent,
    }


def planned_seconds(instance: Any, run_id: str) -> float:
    """From the run's creation to the last of its planned events, by the clock of the events that surround them."""
    run = instance.get_run_record_by_id(run_id)
    started = next(
        record.event_log_entry.timestamp
        for record in instance.get_records_for_run(run_id, limit=None).records
        if record.event_log_entry.dagster_event_type is not None
        and record.event_log_entry.dagster_event_type.value == "PIPELINE_START"
    )
    return float(started - run.create_timestamp.timestamp())


def clocked(function: Any, spent: dict[str, float], part: str) -> Any:
    def call(*arguments: Any) -> Any:
        began, worked = time.perf_counter(), time.thread_time()
        try:
            return function(*arguments)
        finally:
            spent[part] += time.perf_counter() - began
            spent["cpu"] += time.thread_time() - worked

    return call


def clocked_writer(make: Any, spent: dict[str, float], part: str) -> Any:
    def wrapped(context: Any) -> Any:
        write = make(context)
        return None if write is None else clocked(write, spent, part)

    return wrapped


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--row-groups", type=int, default=1000)
    parser.add_argument(
        "--storage", nargs="+", choices=STORAGES, default=list(STORAGES)
    )
    parser.add_argument(
        "--recording", nargs="+", choices=RECORDINGS, default=list(RECORDINGS)
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
