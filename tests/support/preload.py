"""What warm processes have imported before they are forked (`tests.support.warm`): libraries, and what most commands import."""

import gc
from importlib import import_module

MODULES = (
    "aiohttp.web",  # the model server
    "alembic.command",
    "dagster._cli",  # `dagster asset materialize` and its kin
    "dagster._core.storage.sqlite_storage",
    "dagster._daemon.controller",
    "dagster.components",
    "dagster_webserver.app",
    "numpy.random",
    "pyarrow.compute",
    "pyarrow.parquet",
    "rich.progress",
    "rich.table",
    "sdg_assets",
    "sdg_core.cli.inspect_commands",
    "sdg_core.cli.pipeline_commands",
    "sdg_core.cli.progress",
    "sdg_core.cli.project_commands",
    "sdg_core.cli.publish_commands",
    "sdg_core.cli.run_commands",
    "sdg_core.cli.show_plan",
    "sdg_core.cli.show_report",
    "sdg_core.cli.show_results",
    "sdg_core.cli.show_run",
    "sdg_core.dataset.status",
    "sdg_core.execution.dry_run",
    "sdg_core.execution.generate",
    "sdg_core.execution.preview",
    "sdg_core.generators.models.dispatch",
    "sdg_core.models.open_pool",
    "sdg_core.models.providers.client",
    "sdg_core.models.simulated.client",
    "sdg_core.processing.hub",
    "sdg_core.processing.process",
    "sdg_core.profiling.build",
    "sdg_core.system.signals",
    "sdg_core.testing",
    "sqlalchemy.dialects.sqlite",
)

for module in MODULES:
    import_module(module)
gc.freeze()
