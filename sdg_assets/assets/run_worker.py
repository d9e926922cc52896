"""A step whose run worker is gone: nobody waits for it, and its run is marked as failed, but Dagster lets it work on."""

import multiprocessing
import os
import signal
import threading

import dagster as dg


def exit_with_run_worker(context: dg.AssetExecutionContext) -> None:
    """End this process in order, as by SIGTERM, once the run worker that started it for this step is gone.

    Does nothing where the step runs in the run worker itself.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid != _run_worker(context):
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="sdg-run-worker-watch", daemon=True).start()


def _run_worker(context: dg.AssetExecutionContext) -> int | None:
    records = context.instance.get_records_for_run(
        context.run.run_id, of_type=dg.DagsterEventType.RUN_START
    ).records
    event = records[-1].event_log_entry.dagster_event if records else None
    return event.pid if event is not None else None
