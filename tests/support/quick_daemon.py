"""Dagster's daemon, which here looks at backfills every 5 s instead of every 30. A story sees the same, and waits less.

How often it loads definitions again (once a minute) stays as it is: each time costs a process.
"""

from dagster._daemon import controller
from dagster._daemon.cli import main

SECONDS = 5
NAME = "DEFAULT_DAEMON_INTERVAL_SECONDS"

if __name__ == "__main__":
    if not hasattr(controller, NAME):
        raise SystemExit(
            f"this Dagster has no {controller.__name__}.{NAME}; its stories would take minutes longer"
        )
    setattr(controller, NAME, SECONDS)
    main()
