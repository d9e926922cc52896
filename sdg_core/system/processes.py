"""Which process this is, and whether another one is known to be gone."""

import hashlib
import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Process:
    """identity: the host name, and what tells apart hosts and containers of one name, which number their processes alike."""

    host: str
    identity: str
    pid: int

    @property
    def place(self) -> str:
        """The identity in a form that fits into file names."""
        return f"{self.host}.{hashlib.sha256(self.identity.encode()).hexdigest()[:8]}"


def this_process() -> Process:
    """The process that asks."""
    host, identity = _this_host()
    return Process(host, identity, os.getpid())


@lru_cache(maxsize=1)
def _this_host() -> tuple[str, str]:
    """The host name, and the identity; a process keeps both, and so do those that it forks."""
    host = socket.gethostname()
    try:
        identity = f"{host} {_BOOT.read_bytes().decode().strip()[:13]} {os.readlink(_NAMESPACE)}"
    except OSError:  # not Linux
        identity = host
    return host, identity[-200:]


def is_dead(*, host: str, pid: int) -> bool:
    """Whether a process is known to be gone; one of another host or container never is. `host` is an identity."""
    if host != this_process().identity:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Whether a process has ended and only its parent has not looked yet."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
            == b"Z"
        )
    except (OSError, IndexError):  # gone meanwhile, or not Linux: the next look tells
        return False
