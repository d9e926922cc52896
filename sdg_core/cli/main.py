"""The entry point of the `sdg` command."""

import gc
import os
import signal
import sys
from types import FrameType

from sdg_core.cli import (
    inspect_commands,
    pipeline_commands,
    project_commands,
    publish_commands,
    run_commands,
)
from sdg_core.cli.app import app, run

COMMANDS = {
    "init": project_commands.init,
    "validate": inspect_commands.validate,
    "preview": inspect_commands.preview,
    "estimate": inspect_commands.estimate,
    "plan": inspect_commands.plan,
    "check-models": inspect_commands.check_models,
    "generate": run_commands.generate,
    "status": inspect_commands.status,
    "process": run_commands.process,
    "retry": pipeline_commands.retry,
    "reopen": run_commands.reopen,
    "report": publish_commands.report,
    "export": publish_commands.export,
    "push": publish_commands.push,
    "prune": run_commands.prune,
    "import": run_commands.import_,
    "schema": project_commands.schema,
}
"""The commands in the order of work, which is that of `sdg --help`."""
_NEW_OBJECTS = 200_000
"""Between two looks for cyclic garbage. Imports make none, and looking at the 120,000 objects of a start is a tenth of it."""
_FRAME = 33_000
"""Values that the frame of `main` has room for. Python keeps frames in chunks of 16 KB, and unmaps a chunk when its last frame
returns, so a loop of calls at the end of one maps and unmaps memory every time: 3,000 times in a start. A larger frame gets a
chunk of its own, rounded up to a power of two, whose rest takes the frames of the whole run. Later releases of Python 3.13
and 3.14 keep a chunk for the next call instead (https://github.com/python/cpython/pull/145789)."""

for name, command in COMMANDS.items():
    app.command(name)(command)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Carry out the command line of this process; SIGTERM ends it as Ctrl-C does."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        run(sys.argv[1:])
    except SystemExit as end:
        # not there: none was called
        user_calls = sys.modules.get("sdg_core.system.user_calls")
        if user_calls is not None and user_calls.calls_under_way():
            sys.stdout.flush()
            sys.stderr.flush()
            status = end.code if isinstance(end.code, int) else 0
            # the interpreter would wait for functions that do not return
            os._exit(status)
        raise
    finally:
        # else the interpreter looks for garbage among all modules as it takes them apart: a fifth of a small run
        gc.freeze()


main.__code__ = main.__code__.replace(co_stacksize=_FRAME)

if __name__ == "__main__":
    main()
