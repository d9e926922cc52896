"""Slices at once, and what each way to start one costs.

`python -m benchmarks.shards [--records 4800] [--parallel 1] [--latency 0.05] [--processes 1 2 4 8]`: how a dataset whose model
answers in 50 ms scales over processes, `sdg generate --shard i/N`, N of them at once. Every process starts its own Python, so the
time includes N starts, which share the cores; the ideal is that of the waiting alone.

`python -m benchmarks.shards --engines bare dagster celery slurm ray`: one small slice, from handing it in until its engine says
that it is done, against a bare process: seconds, and CPU seconds of every process of the engine meanwhile (less what the engine
uses when it is idle, and without the model server), each the best of several. Engines are those of the tests, on one machine,
started before the clock is. dagster and celery make the slice a run of Dagster, ray and slurm a job of theirs.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.cpu_seconds import PR_SET_CHILD_SUBREAPER, cpu_of_children

if TYPE_CHECKING:
    from tests.support.dagster_process import DagsterHome

PROJECT = Path(__file__).resolve().parents[1]
ENGINES = ("bare", "dagster", "celery", "slurm", "ray")
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
Slice = Callable[[int], None]
"""Makes one row group, of this number, and returns when its engine says that it is done."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=4800)
    parser.add_argument(
        "--parallel", type=int, default=1, help="requests of one process"
    )
    parser.add_argument(
        "--latency", type=float, default=0.05, help="seconds in which the model answers"
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument(
        "--engines",
        nargs="+",
        choices=ENGINES,
        help="measure the overhead of these instead",
    )
    parser.add_argument("--repeat", type=int, default=5, help="slices of each engine")
    options = parser.parse_args()
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sdg_core.testing",
            "--port",
            "0",
            "--latency",
            str(options.latency),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    try:
        if options.engines:
            compare_engines(
                options.engines, url=url, repeat=options.repeat, model_server=server.pid
            )
        else:
            waited = options.records * options.latency / options.parallel
            scale(
                options.processes,
                url=url,
                records=options.records,
                parallel=options.parallel,
                waited=waited,
            )
    finally:
        server.terminate()
        server.wait()


def scale(
    processes: list[int], *, url: str, records: int, parallel: int, waited: float
) -> None:
    """waited: seconds of waiting, one request after the other in each place for one."""
    print("processes  seconds  ideal  records a second  speed-up")
    first = None
    for count in processes:
        seconds = timed(count, url=url, records=records, parallel=parallel)
        first = first or seconds * processes[0]
        line = f"{count:9}  {seconds:7.1f}  {waited / count:5.1f}  {records / seconds:16.0f}  {first / seconds:8.1f}"
        print(line, flush=True)


def timed(count: int, *, url: str, records: int, parallel: int) -> float:
    """Seconds until `count` slices of a fresh dataset are done."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "shards.yaml"
        file.write_text(
            DATASET.format(url=url, records=records, parallel=parallel),
            encoding="utf-8",
        )
        command = _generate(file, Path(directory))
        began = time.perf_counter()
        running = [
            subprocess.Popen(
                [*command, "--shard", f"{index}/{count}"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for index in range(count)
        ]
        statuses = [process.wait() for process in running]
        assert statuses == [0] * count, statuses
        return time.perf_counter() - began


def compare_engines(
    engines: list[str], *, url: str, repeat: int, model_server: int
) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(
            ctypes.get_errno(),
            "this kernel does not let a process adopt its descendants, to count them",
        )
    text = DATASET.format(url=url, records=20 * (repeat + 1), parallel=8)
    print("engine     seconds                 CPU seconds")
    bare = None
    for engine in dict.fromkeys(["bare", *engines]):
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            make = stack.enter_context(_STARTED[engine](directory, text, repeat + 1))
            make(0)  # what an engine does once
            idle = idle_rate(model_server)
            times, used = [], []
            for number in range(1, repeat + 1):
                began = time.perf_counter()
                before = cpu_of_descendants(without=model_server)
                make(number)
                elapsed = time.perf_counter() - began
                times.append(elapsed)
                used.append(
                    cpu_of_descendants(without=model_server) - before - idle * elapsed
                )
        found = (min(times), min(used))
        bare = bare or found
        columns = [
            f"{one:6.1f} {one / least:5.1f}x (+{one - least:.1f})"
            for one, least in zip(found, bare, strict=True)
        ]
        print(f"{engine:8}  {'   '.join(columns)}", flush=True)


def idle_rate(model_server: int, *, windows: int = 4, seconds: float = 4.0) -> float:
    """CPU seconds a second of an engine that has nothing to do: the least of some windows, because it may still be starting."""
    rates = []
    for _ in range(windows):
        before = cpu_of_descendants(without=model_server)
        time.sleep(seconds)
        rates.append((cpu_of_descendants(without=model_server) - before) / seconds)
    return min(rates)


def cpu_of_descendants(*, without: int) -> float:
    """User and system seconds of the processes that descend from this one, and of those that have ended; one is left out.

    This process adopts those whose parent has ended, so daemons count as well.
    """
    parents, ticks = {}, {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = (
                place.read_text(encoding="utf-8", errors="replace")
                .rpartition(")")[2]
                .split()
            )
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid = int(place.parent.name)
        parents[pid] = int(fields[1])
        ticks[pid] = sum(
            map(int, fields[11:15])
        )  # its own, and those of children that it has waited for
    found = {os.getpid()}
    while (
        more := {
            pid for pid, parent in parents.items() if parent in found and pid != without
        }
        - found
    ):
        found |= more
    counted = sum(ticks[pid] for pid in found - {os.getpid()} if pid in ticks)
    return counted / os.sysconf("SC_CLK_TCK") + cpu_of_children()


def _written(directory: Path, text: str) -> Path:
    file = directory / "shards.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _generate(file: Path, root: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "sdg_core.cli.main",
        "generate",
        str(file),
        "--root",
        str(root),
    ]


@contextmanager
def bare(directory: Path, text: str, slices: int) -> Iterator[Slice]:
    file = _written(directory, text)
    command = _generate(file, directory)

    def make(number: int) -> None:
        subprocess.run(
            [*command, "--shard", f"{number}/{slices}"], check=True, capture_output=True
        )

    yield make


@contextmanager
def slurm(directory: Path, text: str, slices: int) -> Iterator[Slice]:
    from tests.support.sdg import wait_until
    from tests.support.slurm import slurm_cluster

    file = _written(directory, text)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"SDG_ROOT": str(directory), "SDG_SHARDS": str(slices), "PATH": path}
    script = PROJECT / "deploy" / "slurm" / "generate.sbatch"
    with slurm_cluster() as cluster:

        def make(number: int) -> None:
            job = cluster.run(
                "sbatch",
                "--parsable",
                f"--array={number}",
                script,
                file,
                env=env,
                cwd=directory,
            )
            wait_until(
                lambda: cluster.states(job).get(str(number)) == "COMPLETED",
                "the slice is done",
            )

        yield make


@contextmanager
def ray(directory: Path, text: str, slices: int) -> Iterator[Slice]:
    from ray.job_submission import JobStatus, JobSubmissionClient

    from tests.support.ray_cluster import ray_cluster
    from tests.support.sdg import wait_until

    file = _written(directory, text)
    with ray_cluster(nodes=1, dashboard=True) as cluster:
        assert cluster.dashboard is not None
        client = JobSubmissionClient(cluster.dashboard)

        def make(number: int) -> None:
            job = client.submit_job(
                entrypoint=f"sdg generate {file} --root {directory} --shard {number}/{slices}"
            )
            wait_until(
                lambda: client.get_job_status(job) == JobStatus.SUCCEEDED,
                "the slice is done",
            )

        yield make


@contextmanager
def dagster(directory: Path, text: str, slices: int) -> Iterator[Slice]:
    with _dagster_home(
        directory, text, instance=PROJECT / "deploy" / "postgres" / "dagster.yaml"
    ) as home:
        yield from _runs(home)


@contextmanager
def celery(directory: Path, text: str, slices: int) -> Iterator[Slice]:
    from tests.support.celery_workers import Workers, redis_server

    with (
        redis_server(directory) as redis,
        _dagster_home(
            directory,
            text,
            instance=PROJECT / "deploy" / "celery" / "dagster.yaml",
            **redis.env,
        ) as home,
    ):
        workers = Workers(
            home.directory,
            {**home.env, "PYTHONPATH": f"{PROJECT}{os.pathsep}{home.directory}"},
        )
        try:
            workers.start("a")
            yield from _runs(home)
        finally:
            workers.stop()


@contextmanager
def _dagster_home(
    directory: Path, text: str, *, instance: Path, **env: str
) -> "Iterator[DagsterHome]":
    import yaml

    from tests.support.dagster_process import make_home
    from tests.support.location import MODULE, write_dataset, write_project
    from tests.support.postgres import dagster_and_ledger

    with dagster_and_ledger() as (dagster_url, ledger_url):
        more = {"SDG_POSTGRES_URL": dagster_url, "SDG_LEDGER_URL": ledger_url, **env}
        home = make_home(directory, module=MODULE, instance=instance, env=more)
        write_project(home.directory)
        write_dataset(home.directory, yaml.safe_load(text))
        yield home


def _runs(home: "DagsterHome") -> Iterator[Slice]:
    from tests.support.dagster_process import dagster_server

    with dagster_server(home) as server:

        def make(number: int) -> None:
            key = f"{number:05d}"
            status = server.finished(server.launch_range("shards/row_groups", key, key))
            assert status == "SUCCESS", status

        yield make


_STARTED = {
    "bare": bare,
    "dagster": dagster,
    "celery": celery,
    "slurm": slurm,
    "ray": ray,
}


if __name__ == "__main__":
    main()
