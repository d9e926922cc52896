"""Runs the `sdg` command under an audit hook that notes every process, connection and written file, and what user code runs."""

import json
import sys

_PROCESSES = {"os.system", "subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "pty.spawn"}
_NETWORK = {"socket.connect", "socket.sendto", "socket.getaddrinfo"}


def main() -> None:
    log = open(sys.argv[1], "a", encoding="utf-8")
    foreign = sys.argv[2]

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        what: object = None
        if event in _PROCESSES or event in _NETWORK:
            what = repr(arguments)[:300]
        elif event == "exec" and getattr(arguments[0], "co_filename", "").startswith(foreign):
            what = arguments[0].co_filename  # type: ignore[attr-defined]
        if what is not None:
            log.write(json.dumps([event, what]) + "\n")
            log.flush()

    import sdg_core.cli.main  # noqa: F401 - adds the commands
    from sdg_core.cli.app import run

    sys.addaudithook(watch)
    run(sys.argv[3:])


if __name__ == "__main__":
    main()
