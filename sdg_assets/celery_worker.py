"""The Celery app of workers that carry out Dagster's runs: `celery -A sdg_assets.celery_worker worker`.

Broker and backend come from SDG_CELERY_BROKER and SDG_CELERY_BACKEND, as in `deploy/celery/dagster.yaml`. A task is acknowledged
when it starts, not when it ends: a broker that has lost sight of a long run must not start it again beside itself. A worker that
is busy takes no task to itself, where it would wait for hours while another worker has nothing to do.
"""

import multiprocessing
import os
from multiprocessing.process import AuthenticationString  # type: ignore[attr-defined]

from celery.signals import worker_process_init
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

app = make_app(  # type: ignore[no-untyped-call]
    {
        "broker": os.environ["SDG_CELERY_BROKER"],
        "backend": os.environ["SDG_CELERY_BACKEND"],
        "task_default_queue": "dagster",
        "config_source": {
            "broker_connection_retry_on_startup": True,
            "worker_cancel_long_running_tasks_on_connection_loss": False,
            "worker_prefetch_multiplier": 1,
            "worker_disable_prefetch": os.environ["SDG_CELERY_BROKER"].startswith(
                "redis"
            ),
        },
    }
)


@worker_process_init.connect
def _may_have_children(**_: object) -> None:
    """Let a task start a process for each step, as Dagster's default executor does. Celery's processes are daemonic, and their
    keys can be handed to its own children only; Celery has no setting for either."""
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    authkey = AuthenticationString(os.urandom(32))
    config.update(daemon=False, authkey=authkey)


create_execute_job_task(app)
create_resume_job_task(app)
