"""What a code location has beside its datasets: sensors, jobs, the store."""

import dagster as dg

from sdg_assets.assets.catalog import datasets_in
from sdg_assets.assets.pipeline import pipelines_in
from sdg_assets.automation.discover_sources import build_discovery_job, build_discovery_sensor
from sdg_assets.automation.resume_sensor import resume_row_groups
from sdg_assets.automation.sensors import reconcile_events_with_files, reject_post_processed
from sdg_assets.automation.stale_or_missing import automation_sensor
from sdg_assets.reconcile.jobs import build_reconcile_job, build_reopen_job
from sdg_assets.resources import StoreResource


def with_operations(definitions: dg.Definitions, *, store: StoreResource | None = None) -> dg.Definitions:
    """Definitions with datasets among them, and the sensors and jobs over these datasets."""
    datasets = datasets_in(definitions)
    common = dg.Definitions(
        sensors=[reject_post_processed, resume_row_groups, reconcile_events_with_files, automation_sensor()],
        jobs=[build_reopen_job(datasets), build_reconcile_job(datasets)],
        resources={"store": store or StoreResource()},
    )
    found = pipelines_in(definitions)
    discovery = dg.Definitions(
        sensors=[build_discovery_sensor(found)] if found else [],
        jobs=[build_discovery_job(found)] if found else [],
    )
    return dg.Definitions.merge(definitions, common, discovery)
