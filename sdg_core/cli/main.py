"""The entry point of the `sdg` command."""

import signal
import sys
from types import FrameType

from sdg_core.cli import (  # noqa: F401 - importing them adds their commands
    inspect_commands,
    pipeline_commands,
    publish_commands,
    run_commands,
)
from sdg_core.cli.app import run


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Carry out the command line of this process; SIGTERM ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    run(sys.argv[1:])


if __name__ == "__main__":
    main()
