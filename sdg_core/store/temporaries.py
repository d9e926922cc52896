"""Names of temporary files, and the removal of those whose process is gone."""

import os
import re
import shutil
import socket
import uuid
from pathlib import Path

from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors

_LIFE = uuid.uuid4().hex[:8]


def temporary_name(name: str) -> str:
    """A fresh name for a temporary of this process."""
    return f".tmp-{socket.gethostname()}-{os.getpid()}-{_LIFE}-{uuid.uuid4().hex[:8]}-{name}"


def clean_temporaries(directory: StorePath) -> None:
    """Remove temporaries whose process, on this host, is gone. Another process may be cleaning at the same time."""
    ours = re.compile(rf"\.tmp-{re.escape(socket.gethostname())}-(\d+)-([0-9a-f]{{8}})-[0-9a-f]{{8}}-.+")
    with store_errors("clean", directory):
        for path in directory.iterdir() if directory.is_dir() else ():
            match = ours.fullmatch(path.name)
            if match is None or _is_alive(int(match[1]), life=match[2]):
                continue
            if isinstance(path, Path) and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_alive(pid: int, *, life: str) -> bool:
    if pid == os.getpid():
        return life == _LIFE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
