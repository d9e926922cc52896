"""Work that may take all memory, hang or overflow the stack, done in a process that may do so without harm.

A `BoundedProcess` starts an interpreter that calls one function for each request, within bounds of memory and time. It gets none
of this process's environment, and whatever ends it ends one request: the next one starts another. A `BoundedPool` has several.
Messages are lines of JSON; bytes that a request is about, or that an answer or a result is, follow their line as they are. While
it works on a request, the process may ask back.
"""

import atexit
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

MEMORY = 2**29
"""Bytes of address space that the work may take beyond what the interpreter and its modules take, unless said otherwise."""
_CHUNK = 2**16
_START_SECONDS = 120.0
"""For an interpreter to start and import its modules, which is not the work's time: a busy machine may take many seconds."""
_GRACE = 2.0
"""Seconds that the process outlives a request that its owner would have ended."""
_ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONDONTWRITEBYTECODE": "1",
    # What is bounded is address space, of which these would reserve 128 MiB for each thread, and a gigabyte for Arrow.
    "MALLOC_ARENA_MAX": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
_START = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
from sdg_core.system.bounded_process import serve
serve(getattr(importlib.import_module(sys.argv[2]), sys.argv[3]), seconds=float(sys.argv[4]), memory=int(sys.argv[5]))
"""

Answer = Callable[[Any], Any]
"""What a question that the process asks back is answered with: plain JSON, or bytes."""


def _no_answer(question: Any) -> Any:
    raise ValueError(f"nothing was to be asked, got {question!r}")


class WorkEndedError(Exception):
    """The process ended, or was ended, before it answered; the message says why."""


class BoundedProcess:
    """`function` is a name as in `package.module:function`, called as `function(request, ask)`, with plain JSON. It returns plain
    JSON, or bytes.

    seconds: of one request, without those that answers to its questions take. memory: bytes.
    """

    def __init__(self, function: str, *, seconds: float, memory: int = MEMORY) -> None:
        self._module, _, self._function = function.partition(":")
        self._seconds = seconds
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def call(
        self, request: Any, *, answer: Answer = _no_answer, content: bytes = b""
    ) -> Any:
        """What the function returns. content: what a request that is a dict is about, for the function under that key.
        Raises WorkEndedError."""
        with self._lock:
            try:
                process = self._running()
                deadline = time.monotonic() + self._seconds
                _send(process, {"request": request, "length": len(content)}, content)
                while True:
                    message = _receive(process, deadline)
                    if "result" in message:
                        return message["result"]
                    asked = time.monotonic()
                    _send_answer(process, answer(message["question"]))
                    deadline += time.monotonic() - asked
            except BaseException:
                self._end()
                raise

    def close(self) -> None:
        """End the process; a later call starts another."""
        with self._lock:
            self._end()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._owner != os.getpid():
            self._process = None  # that of a parent process
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            self._owner = os.getpid()
            bounds = (str(self._seconds), str(self._memory))
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _START,
                    json.dumps(sys.path),
                    self._module,
                    self._function,
                    *bounds,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
            _receive(self._process, time.monotonic() + _START_SECONDS)
        return self._process

    def _end(self) -> None:
        process = self._process
        self._process = None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


class BoundedPool:
    """Up to `size` processes of one function; a call waits until one is free, which does not count as its time."""

    def __init__(
        self, function: str, *, size: int, seconds: float, memory: int = MEMORY
    ) -> None:
        self._processes = [
            BoundedProcess(function, seconds=seconds, memory=memory)
            for _ in range(size)
        ]
        self._free: queue.LifoQueue[BoundedProcess] = queue.LifoQueue()
        for process in self._processes:
            self._free.put(process)

    def call(
        self, request: Any, *, answer: Answer = _no_answer, content: bytes = b""
    ) -> Any:
        """As `BoundedProcess.call`."""
        process = self._free.get()
        try:
            return process.call(request, answer=answer, content=content)
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End the processes; a later call starts others."""
        for process in self._processes:
            process.close()


@cache
def shared_pool(
    function: str, *, size: int = 1, seconds: float, memory: int = MEMORY
) -> BoundedPool:
    """The one pool of this function and these bounds; its processes end with the interpreter."""
    pool = BoundedPool(function, size=size, seconds=seconds, memory=memory)
    atexit.register(pool.close)
    return pool


def serve(
    function: Callable[[Any, Answer], Any], *, seconds: float, memory: int
) -> None:
    """The other side: answer requests until there are no more.

    It ends itself soon after it should have been ended, because the process that started it may have been killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _bound_memory(memory)
    reader = sys.stdin.buffer
    writer = sys.stdout.buffer

    def tell(message: dict[str, Any], content: bytes | memoryview = b"") -> None:
        header = json.dumps(message | {"length": len(content)})
        writer.write(header.encode() + b"\n")
        writer.write(content)
        writer.flush()

    def ask(question: Any) -> Any:
        tell({"question": question})
        signal.setitimer(signal.ITIMER_REAL, 0)
        message = json.loads(reader.readline())
        answer = (
            reader.read(message["length"]) if message["is_bytes"] else message["answer"]
        )
        signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
        return answer

    tell({"ready": True})
    while line := reader.readline():
        message = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
        if message["length"]:
            message["request"]["content"] = reader.read(message["length"])
        result = function(message["request"], ask)
        if isinstance(result, bytes | memoryview):
            tell({"result": None, "is_bytes": True}, result)
        else:
            tell({"result": result})
        signal.setitimer(signal.ITIMER_REAL, 0)


def _bound_memory(memory: int) -> None:
    """No system but Linux says how much an interpreter has; there, time alone is bounded."""
    try:
        import resource

        with open("/proc/self/statm", "rb") as statistics:
            used = int(statistics.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


def _send(
    process: "subprocess.Popen[bytes]", message: Any, content: bytes = b""
) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.write(content)
        process.stdin.flush()
    except OSError:
        raise WorkEndedError("the process ended") from None


def _send_answer(process: "subprocess.Popen[bytes]", answer: Any) -> None:
    if isinstance(answer, bytes):
        _send(process, {"is_bytes": True, "length": len(answer)}, answer)
    else:
        _send(process, {"is_bytes": False, "answer": answer})


def _receive(process: "subprocess.Popen[bytes]", deadline: float) -> Any:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    received = bytearray()
    while b"\n" not in received:
        _await_output(descriptor, deadline)
        chunk = os.read(descriptor, _CHUNK)
        if not chunk:
            raise _ended()
        received += chunk
    line, _, start = received.partition(b"\n")
    message = json.loads(line)
    if message.get("is_bytes"):
        message["result"] = _content(descriptor, start, message["length"], deadline)
    return message


def _content(
    descriptor: int, start: bytearray, length: int, deadline: float
) -> bytearray:
    content = bytearray(length)
    content[: len(start)] = start
    place = len(start)
    with memoryview(content) as view:
        while place < length:
            _await_output(descriptor, deadline)
            count = os.readv(descriptor, [view[place:]])
            if not count:
                raise _ended()
            place += count
    return content


def _await_output(descriptor: int, deadline: float) -> None:
    left = max(0.0, deadline - time.monotonic())
    ready, _, _ = select.select([descriptor], [], [], left)
    if not ready:
        raise WorkEndedError("it took too long")


def _ended() -> WorkEndedError:
    return WorkEndedError("it exceeded its memory or stack limit")
