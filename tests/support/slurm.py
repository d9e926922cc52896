"""Slurm's own daemons on one machine: munged, slurmctld and slurmd in a directory of their own, on free ports of the loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.ports import free_port
from tests.support.requirements import PATIENCE, require
from tests.support.sdg import wait_until

_CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket,cred_expire=20
CredType=cred/munge
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=600
MessageTimeout=100
MinJobAge=86400
SchedulerParameters=bf_interval=1,requeue_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
"""


@dataclass(frozen=True)
class Slurm:
    """A cluster of one node."""

    directory: Path
    daemons: dict[str, subprocess.Popen[bytes]]

    @property
    def env(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.directory / "slurm.conf")}

    def run(
        self,
        *command: str | Path,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """One of Slurm's commands; what it prints."""
        done = subprocess.run(
            [*map(str, command)],
            env={**os.environ, **self.env, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def stop_controller(self) -> None:
        """End slurmctld in order: a job that it has just started is not on disk before, and would be forgotten with it."""
        self.daemons["slurmctld"].terminate()
        self.daemons["slurmctld"].wait()

    def start_controller(self) -> None:
        """Start slurmctld, which goes on from its state on disk."""
        _start(self.daemons, self.directory, "slurmctld", "-D")
        ping = partial(
            subprocess.run,
            ["scontrol", "ping"],
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: ping(check=False).returncode == 0, "the controller answers")

    def states(self, job: str) -> dict[str, str]:
        """The state of every task of an array job, by its number."""
        lines = self.run(
            "squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%K %T"
        ).splitlines()
        return dict(line.split() for line in lines)

    def logs(self) -> str:
        """The end of what the daemons say."""
        return "\n".join(
            f"{path.name}:\n{path.read_text(encoding='utf-8', errors='replace')[-2000:]}"
            for path in sorted(self.directory.glob("*.log"))
        )


@contextmanager
def slurm_cluster() -> Iterator[Slurm]:
    """A running cluster. Skips where Slurm is not installed, or its daemons may not run."""
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
        require(
            _program(program) is not None,
            f"{program} (apt-get install slurmctld slurmd slurm-client munge)",
        )
    require(os.getuid() == 0, "root, which slurmd runs as")
    directory = Path(tempfile.mkdtemp(prefix="sdg-slurm-", dir="/tmp"))
    directory.chmod(0o755)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    cluster = Slurm(directory, processes)
    try:
        _configure(directory)
        munge = [
            "--foreground",
            "--force",
            f"--key-file={directory}/munge.key",
            f"--socket={directory}/munge.socket",
        ]
        munge += [
            f"--{name}-file={directory}/munge.{name}" for name in ("pid", "log", "seed")
        ]
        _start(processes, directory, "munged", *munge)
        wait_until((directory / "munge.socket").exists, "munged listens")
        _start(processes, directory, "slurmctld", "-D")
        _start(
            processes,
            directory,
            "slurmd",
            "-D",
            "-N",
            socket.gethostname().partition(".")[0],
        )
        wait_until(lambda: _is_idle(cluster, [*processes.values()]), "the node is idle")
        yield cluster
        cluster.run("scancel", "--user=root")
        wait_until(lambda: cluster.run("squeue", "-h") == "", "no job is left")
    finally:
        for process in reversed(processes.values()):
            process.terminate()
        for process in processes.values():
            process.wait()
        shutil.rmtree(directory)


def _configure(directory: Path) -> None:
    for name in ("state", "spool"):
        (directory / name).mkdir()
    key = directory / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    text = _CONFIG.format(
        host=host, directory=directory, controller=free_port(), node=free_port()
    )
    (directory / "slurm.conf").write_text(text, encoding="utf-8")
    (directory / "cgroup.conf").write_text(
        "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n", encoding="utf-8"
    )


def _start(
    processes: dict[str, subprocess.Popen[bytes]],
    directory: Path,
    name: str,
    *options: str,
) -> None:
    program = _program(name)
    assert program is not None
    with (directory / f"{name}.out.log").open("ab") as log:
        env = {**os.environ, "SLURM_CONF": str(directory / "slurm.conf")}
        command = [program, *options]
        processes[name] = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _is_idle(cluster: Slurm, processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    ended = [process.args for process in processes if process.poll() is not None]
    assert not ended, f"{ended} ended:\n{cluster.logs()}"
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%T"],
        env={**os.environ, **cluster.env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() == "idle"


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
