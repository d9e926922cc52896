"""Batches of a parquet file, decoded in a process whose memory and time are bounded.

What a file says of itself does not tell what it decodes to: 300 bytes may refer to one text from each of a million rows, share
the beginnings of values, repeat an item of a list, or claim nulls of any width. So the decoder may try, where that costs one
file. The batches come back through a pipe: decoding a large file
this way takes nearly twice the CPU, some of it while this process works on the batch before.
"""

import atexit
import io
import os
import queue
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

from sdg_core.system.bounded_process import BoundedProcess, WorkEndedError

MEMORY = 2 * 2**30
SECONDS = 60.0
"""For one batch, without the time that reading the file takes."""
MAX_ROWS = 4096
"""Of one batch, so that long values that are repeated in every row fit."""
_FUNCTION = "sdg_core.seeds.parquet_process:serve_batches"
_MAX_IDLE = 2


class TooMuchError(ValueError):
    """A batch took more than the memory or the time that it may."""


class _Processes:
    """Processes for files, kept for the next one: each takes as long to start as it takes to decode some megabytes.

    One may be put back while garbage is collected, anywhere: so there is no lock that could be held just then, and none is
    garbage itself.
    """

    def __init__(self) -> None:
        self._all: set[BoundedProcess] = set()
        self._idle: queue.SimpleQueue[BoundedProcess] = queue.SimpleQueue()

    def take(self) -> BoundedProcess:
        """One for a single file."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            process = BoundedProcess(_FUNCTION, seconds=SECONDS, memory=MEMORY)
            self._all.add(process)
            return process

    def put_back(self, process: BoundedProcess) -> None:
        """Keep it, or end it if there are enough."""
        if self._idle.qsize() < _MAX_IDLE:
            self._idle.put(process)
        else:
            process.close()
            self._all.discard(process)

    def close(self) -> None:
        """End all of them; a later call starts others."""
        for process in [*self._all]:
            process.close()


processes = _Processes()
atexit.register(processes.close)


def decoded(
    file: IO[bytes],
    *,
    rows: int,
    row_groups: list[int] | None = None,
    columns: list[str] | None = None,
) -> Iterator[pa.Table]:
    """Tables of up to `rows` rows each (and up to MAX_ROWS), in order, with dictionaries written out; `file` stays open.

    Raises TooMuchError, ValueError for what is wrong with the file, and OSError.
    """
    process = processes.take()
    try:
        request: dict[str, Any] = {
            "path": _path(file),
            "size": file.seek(0, io.SEEK_END),
            "rows": min(rows, MAX_ROWS),
            "row_groups": row_groups,
            "columns": columns,
        }
        _asked(process, {"open": request}, file)
        while isinstance(content := _asked(process, {}, file), bytearray):
            yield pa.ipc.open_stream(content).read_all()
    finally:
        processes.put_back(process)


def _path(file: IO[bytes]) -> str | None:
    """Of a file of this machine, which the process can open itself."""
    is_local = isinstance(file, io.BufferedReader) and isinstance(file.raw, io.FileIO)
    if not is_local or not isinstance(file.name, str):
        return None
    return os.path.abspath(file.name)


def _asked(process: BoundedProcess, request: dict[str, Any], file: IO[bytes]) -> Any:
    def read(question: dict[str, int]) -> bytes:
        file.seek(question["at"])
        return file.read(question["length"])

    try:
        found = process.call(request, answer=read)
    except WorkEndedError as error:
        bounds = f"{SECONDS:g} s and {MEMORY // 2**20:,} MiB for {MAX_ROWS:,} rows"
        raise TooMuchError(f"decoding it was stopped: {error} ({bounds})") from error
    if isinstance(found, dict) and "error" in found:
        raise ValueError(found["error"])
    return found
