"""A real Ceph object gateway for tests: one monitor, one store in memory, one gateway, all on free ports of the loopback.

Unlike moto it decides conditional puts one after the other, so it can show what races come to.
"""

import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.ports import free_port
from tests.support.requirements import require, require_module
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from tests.support.sdg import wait_until

PROGRAMS = (
    "ceph-mon",
    "ceph-osd",
    "radosgw",
    "ceph",
    "radosgw-admin",
    "ceph-authtool",
    "monmaptool",
)
_CONFIG = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{old_mon}]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {directory}/keyring
run dir = {directory}
log file = {directory}/$name.log
admin socket = {directory}/$name.$pid.asok
pid file = {directory}/$name.$pid.pid
crash dir = {directory}/crash
mon data = {directory}/mon
osd data = {directory}/osd
rgw data = {directory}/rgw
osd objectstore = memstore
memstore device bytes = 4294967296
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 2000
"""


@contextmanager
def ceph_server() -> Iterator[S3Server]:
    """A gateway, up in about ten seconds. Skips where Ceph or a client is missing."""
    require_module("obstore")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    require(
        not missing,
        f"Ceph (apt-get install radosgw ceph-osd ceph-mon): {', '.join(missing)}",
    )
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="sdg-ceph-", dir="/tmp"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = _Cluster(directory, stack)
        cluster.start_monitor()
        cluster.start_store()
        yield S3Server(cluster.start_gateway())


class _Cluster:
    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory, self._stack, self._fsid = directory, stack, str(uuid4())
        self._ports = {"mon": free_port(), "old_mon": free_port()}
        config = _CONFIG.format(directory=directory, fsid=self._fsid, **self._ports)
        (directory / "ceph.conf").write_text(config, encoding="utf-8")
        for name in ("mon", "osd", "rgw", "crash"):
            (directory / name).mkdir()

    def start_monitor(self) -> None:
        keyring = str(self._directory / "keyring")
        self._run(
            "ceph-authtool",
            "--create-keyring",
            "--gen-key",
            keyring,
            "-n",
            "mon.",
            "--cap",
            "mon",
            "allow *",
        )
        caps = [
            word
            for part in ("mon", "osd", "mgr")
            for word in ("--cap", part, "allow *")
        ]
        for name in ("client.admin", "osd.0", "client.rgw"):
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
        address = (
            f"[v2:127.0.0.1:{self._ports['mon']},v1:127.0.0.1:{self._ports['old_mon']}]"
        )
        monmap = str(self._directory / "monmap")
        self._run(
            "monmaptool",
            "--create",
            "--addv",
            "a",
            address,
            "--fsid",
            self._fsid,
            monmap,
        )
        self._run(
            "ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring
        )
        self._start("ceph-mon", "-i", "a", "-f")

    def start_store(self) -> None:
        osd = str(uuid4())
        self._run("ceph", "osd", "new", osd, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._start("ceph-osd", "-i", "0", "-f")

    def start_gateway(self) -> str:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        frontend = f"beast endpoint=127.0.0.1:{port}"
        gateway = self._start(
            "radosgw", "-n", "client.rgw", "-f", "--rgw-frontends", frontend
        )
        wait_until(
            lambda: gateway.poll() is not None or _answers(url), "the gateway answers"
        )
        assert gateway.poll() is None, (self._directory / "client.rgw.log").read_text(
            encoding="utf-8"
        )[-2000:]
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        self._run(
            "radosgw-admin",
            "-n",
            "client.rgw",
            "user",
            "create",
            "--uid",
            "t",
            "--display-name",
            "t",
            *keys,
        )
        return url

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            self._with_config(command), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(self._with_config(command), **quiet)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def _with_config(self, command: Sequence[str]) -> list[str]:
        if command[0] in ("ceph-authtool", "monmaptool"):
            return list(command)
        return [
            command[0],
            "-c",
            os.fspath(self._directory / "ceph.conf"),
            *command[1:],
        ]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
