"""W9: planning a resume over finished row groups, on a local disk and on an S3 server of this machine.

    python -m benchmarks.w9 [--row-groups 10000] [--repeat 3] [--root s3://bucket/prefix] [--without-s3]

Timed is what a run does before it opens a row group: choose the version, look at every row-group file. Without its index, a
version's files are asked one by one, as after a run that was killed before it first wrote the index. The floor is the least that
can be asked: one listing, and the end of every file as bytes, by as many threads. The S3 server is a Ceph gateway with a store in
memory, on the same machine. `--root` measures another place instead.
"""

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import yaml

from sdg_core import api
from sdg_core.dataset.handle import scan_version
from sdg_core.dataset.resume import choose_version, create_or_resume
from sdg_core.store.access import storage_of
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import utc_now
from sdg_core.store.row_group_state import (
    RowGroupState,
    RowGroupStatus,
    index_row_groups,
)
from sdg_core.store.row_groups import SCHEMA_VERSION, Footer, write_row_group
from tests.support.ceph import ceph_server

CONFIG = {
    "name": "many",
    "columns": [
        {"column_type": "sampler", "name": "id", "sampler_type": "uuid", "params": {}},
        {
            "column_type": "sampler",
            "name": "kind",
            "sampler_type": "category",
            "params": {"values": ["a", "b"]},
        },
        {"column_type": "expression", "name": "text", "expr": "{{ kind }} {{ id }}"},
    ],
}


def build(dataset: api.Dataset) -> None:
    """Finished row groups of one record each, as a run leaves them behind."""
    plan = dataset.plan
    version = create_or_resume(
        dataset.layout, choose_version(dataset.layout, plan, mode="if_possible"), plan
    ).layout
    table = pa.table({name: ["some text"] for name in plan.kept_schema.names})

    def write(index: int) -> None:
        group = plan.row_groups[index]
        footer = Footer(
            schema_version=SCHEMA_VERSION,
            dataset=dataset.name,
            config_hash=plan.fingerprint.config_hash,
            column_hashes=dict(plan.fingerprint.column_hashes),
            row_group=index,
            start=group.start,
            size=group.size,
            missing=[],
            resized=False,
            usage={},
            simulated=False,
            created_at=utc_now(),
            run_id="benchmark",
        )
        write_row_group(version.row_group(index), table, footer)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(len(plan.row_groups))))


def plan_a_resume(dataset: api.Dataset) -> list[RowGroupStatus]:
    version = choose_version(dataset.layout, dataset.plan, mode="if_possible")
    return scan_version(dataset, version.layout)


def timed(
    dataset: api.Dataset, found: list[RowGroupStatus], *, repeat: int
) -> tuple[float, float]:
    """Median seconds, by the clock and of this process's CPU; `found` takes what the last time found."""
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        found[:] = plan_a_resume(dataset)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        assert all(status.state is RowGroupState.COMPLETE for status in found)
    return statistics.median(walls), statistics.median(cpus)


def floor(version: VersionLayout) -> float:
    """Seconds of a listing and of the last 64 KiB of every file, as bytes that nobody looks at."""
    began = time.perf_counter()
    paths = [version.row_group(index) for index in version.row_group_files()]
    with ThreadPoolExecutor(max(1, storage_of(paths[0]).concurrent_reads)) as threads:
        list(threads.map(lambda path: storage_of(path).read_end(2**16), paths))
    return time.perf_counter() - began


def measure(
    name: str, root: str, directory: Path, *, row_groups: int, repeat: int
) -> None:
    file = directory / "many.yaml"
    file.write_text(
        yaml.safe_dump(CONFIG | {"num_records": row_groups, "row_group_size": 1}),
        encoding="utf-8",
    )
    dataset = api.open_dataset(file, root=root)
    began = time.perf_counter()
    build(dataset)
    print(
        f"{name}: {row_groups} row groups built in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    version = choose_version(dataset.layout, dataset.plan, mode="if_possible").layout
    least = floor(version)
    print(f"{name}: the ends of the files alone: {least:.2f} s", flush=True)
    for what, times in (("without index", 1), ("with index", repeat)):
        found: list[RowGroupStatus] = []
        wall, cpu = timed(dataset, found, repeat=times)
        print(
            f"{name}: planning {what}: {wall:.2f} s ({cpu:.2f} s of CPU), {wall / least:.2f} x",
            flush=True,
        )
        index_row_groups(version, found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--row-groups", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--root")
    parser.add_argument("--without-s3", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        if given.root is not None:
            measure(
                given.root,
                given.root,
                directory,
                row_groups=given.row_groups,
                repeat=given.repeat,
            )
            return
        measure(
            "disk",
            str(directory / "root"),
            directory,
            row_groups=given.row_groups,
            repeat=given.repeat,
        )
        if not given.without_s3:
            with ceph_server() as server:
                os.environ.update(server.env)
                measure(
                    "Ceph",
                    server.new_root(),
                    directory,
                    row_groups=given.row_groups,
                    repeat=given.repeat,
                )


if __name__ == "__main__":
    main()
