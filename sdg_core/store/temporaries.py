"""Names of temporary files, and the removal of those whose process is gone."""

import re
import shutil
import uuid
from pathlib import Path

from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.system.processes import is_dead, this_process

_LIFE = uuid.uuid4().hex[:8]


def temporary_name(name: str) -> str:
    """A fresh name for a temporary of this process."""
    process = this_process()
    return f".tmp-{process.place}-{process.pid}-{_LIFE}-{uuid.uuid4().hex[:8]}-{name}"


def clean_temporaries(directory: StorePath) -> None:
    """Remove temporaries whose process, on this host and in this container, is gone. Another process may be cleaning at the same
    time. Names of earlier releases hold the host only."""
    process = this_process()
    place = f"(?:{re.escape(process.place)}|{re.escape(process.host)})"
    ours = re.compile(rf"\.tmp-{place}-(\d+)-([0-9a-f]{{8}})-[0-9a-f]{{8}}-.+")
    with store_errors("clean", directory):
        if not directory.is_dir():
            return
        for path in directory.iterdir():
            match = ours.fullmatch(path.name)
            if match is None or _is_alive(int(match[1]), life=match[2]):
                continue
            if isinstance(path, Path) and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_alive(pid: int, *, life: str) -> bool:
    process = this_process()
    if pid == process.pid:
        return life == _LIFE
    return not is_dead(host=process.identity, pid=pid)
