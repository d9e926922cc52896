"""Runs commands of `sdg`, separated by `--then`, under an audit hook that notes every process, every connection, files written
elsewhere than beside the log, what user code runs, and how each command ends."""

import json
import os
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

_PROCESSES = {
    "os.system",
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "pty.spawn",
}
_NETWORK = {"socket.connect", "socket.sendto", "socket.getaddrinfo"}
_CHANGES = {
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "shutil.rmtree",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """The audit hook. Files beside the log may be written."""

    def __init__(self, log: str, foreign: str) -> None:
        self._log = open(log, "a", encoding="utf-8")
        self._foreign = foreign
        self._allowed = str(Path(log).parent)

    def note(self, event: str, what: object) -> None:
        """Add a line to the log."""
        self._log.write(json.dumps([event, what]) + "\n")
        self._log.flush()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hear of an event of the interpreter."""
        if event in _PROCESSES or event in _NETWORK:
            self.note(event, repr(arguments)[:300])
        elif event == "exec" and getattr(arguments[0], "co_filename", "").startswith(
            self._foreign
        ):
            self.note(event, arguments[0].co_filename)
        elif event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITING):
            if self._is_elsewhere(arguments[0]):
                self.note(event, str(arguments[0]))

    def _is_elsewhere(self, path: object) -> bool:
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        is_own = (
            text == os.devnull
            or "__pycache__" in text
            or text.startswith(self._allowed)
        )
        return os.path.isabs(text) and not is_own


def main() -> None:
    watch = Watch(sys.argv[1], sys.argv[2])
    import sdg_core.cli.main  # noqa: F401 - adds the commands
    from sdg_core.cli.app import run

    sys.addaudithook(watch)
    commands = [
        list(words)
        for divides, words in groupby(sys.argv[3:], lambda word: word == "--then")
        if not divides
    ]
    for command in commands:
        try:
            run(command)
        except SystemExit as end:
            watch.note("end", end.code)
            if command == commands[-1]:
                raise


if __name__ == "__main__":
    main()
