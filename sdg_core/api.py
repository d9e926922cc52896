"""The one door for Python users: everything the `sdg` command and the Dagster assets do is a call here.

    dataset = api.open_dataset("support_tickets.yaml")
    api.generate(dataset)
    print(api.process(dataset).outputs)

Functions take an open dataset, return frozen values, and raise errors of `sdg_core.errors`.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sdg_core.config.run import ResumeMode, RunSettings
from sdg_core.errors import PlanError
from sdg_core.execution.dataset import (
    Dataset,
    existing_version,
    measured_version,
    open_dataset,
    row_group_statuses,
    scan_version,
    seal_of,
)
from sdg_core.execution.estimate import Estimate, make_estimate
from sdg_core.execution.events import Observer
from sdg_core.execution.generate import agenerate
from sdg_core.execution.interrupt import run_interruptible
from sdg_core.execution.preview import Preview, make_preview
from sdg_core.execution.summary import RunSummary
from sdg_core.generators.drawing import Acceptance, measure_acceptance
from sdg_core.models.health import ModelHealth
from sdg_core.models.pool import ModelPool, open_models
from sdg_core.plan.importing import ImportedConfig, import_config
from sdg_core.processing import run as processing
from sdg_core.processing.run import ProcessingResult
from sdg_core.store.leftovers import clean_leftovers
from sdg_core.store.state import scan_row_groups
from sdg_core.store.status import DatasetStatus, describe
from sdg_core.store.versions import (
    check_not_shrunk,
    check_row_group_size,
)

__all__ = [
    "Dataset",
    "agenerate",
    "check_models",
    "estimate",
    "generate",
    "import_builder_config",
    "measure_constraints",
    "open_dataset",
    "preview",
    "process",
    "reopen",
    "row_group_statuses",
    "seal_of",
    "status",
]

Result = TypeVar("Result")


def preview(
    path: str | Path,
    *,
    num_records: int = 10,
    root: str | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Preview:
    """The first records, made in memory; nothing is stored. Asks models for them if columns need models."""
    dataset = open_dataset(path, root=root, num_records=num_records, functions=functions)
    plan, seeds = dataset.plan, dataset.seeds
    return _ask(dataset, lambda models: make_preview(plan, num_records=num_records, seeds=seeds, models=models))


def import_builder_config(path: str | Path, *, env: Mapping[str, str] = os.environ) -> ImportedConfig:
    """A builder config of Data Designer as a dataset file of this project. Raises ConfigError."""
    return import_config(Path(path), env=env)


def estimate(dataset: Dataset, *, sample: int = 5) -> Estimate:
    """What making the lacking records will take, judged by a sample of them. Asks models for the sample, and keeps none of it."""
    if sample < 1:
        raise PlanError(f"sample is {sample}", remedy="ask for at least 1 record")
    lacking = [record for status in row_group_statuses(dataset) for record in status.lacking]
    plan, seeds = dataset.plan, dataset.seeds
    return _ask(dataset, lambda models: make_estimate(plan, lacking, sample=sample, seeds=seeds, models=models))


def check_models(dataset: Dataset) -> tuple[ModelHealth, ...]:
    """Ask each model that the dataset uses once. A model that cannot be used is a row of the answer, not an error."""
    return _ask(dataset, ModelPool.check_models, checked=False)


def measure_constraints(dataset: Dataset) -> tuple[Acceptance, ...]:
    """How often draws satisfy the constraints, from the first few thousand records. Raises ConstraintError if none does."""
    return measure_acceptance(dataset.plan, dataset.seeds)


def _ask(dataset: Dataset, work: Callable[[ModelPool], Awaitable[Result]], *, checked: bool = True) -> Result:
    """Work that asks models and touches no file."""

    async def main() -> Result:
        async with open_models(dataset.plan.models, settings=dataset.plan.config.run, env=dataset.env) as models:
            if checked:
                await models.check()
            return await work(models)

    return run_interruptible(main)


def generate(
    dataset: Dataset,
    *,
    row_groups: Sequence[int] | None = None,
    resume: ResumeMode | None = None,
    settings: RunSettings | None = None,
    on_event: Observer = lambda event: None,
    run_id: str | None = None,
) -> RunSummary:
    """Bring row groups (default: all) to completion. See `agenerate`; SIGINT and SIGTERM stop it in order and raise
    KeyboardInterrupt."""
    return run_interruptible(
        lambda: agenerate(
            dataset, row_groups=row_groups, resume=resume, settings=settings, on_event=on_event, run_id=run_id
        )
    )


def status(dataset: Dataset) -> DatasetStatus:
    """What is on disk of a dataset, measured against its plan. Raises a MetadataError if that cannot be told."""
    layout, metadata = measured_version(dataset)
    statuses = scan_version(dataset, layout)
    return describe(dataset.layout, layout, plan=dataset.plan, metadata=metadata, statuses=statuses)


def process(
    dataset: Dataset, *, allow_missing: bool = False, on_row_group: Callable[[int], None] = lambda index: None
) -> ProcessingResult:
    """Apply post-generation processing and seal. Raises IncompleteError if row groups or records are lacking.

    allow_missing: leave records out that failed for good. on_row_group: told the index of each row group that is read.
    """
    version = existing_version(dataset)
    assert version.metadata is not None
    check_row_group_size(version, dataset.plan)
    check_not_shrunk(version.layout, dataset.plan)
    if version.metadata.post_generation_state == "complete" and version.layout.processed_dataset.is_dir():
        return processing.existing_result(version.layout, dataset.plan, version.metadata)
    statuses = scan_row_groups(version.layout, dataset.plan)
    processing.check_complete(statuses, dataset.plan, allow_missing=allow_missing)
    clean_leftovers(dataset.layout, version.layout)
    return processing.process(version.layout, dataset.plan, statuses, on_row_group=on_row_group)


def reopen(dataset: Dataset) -> bool:
    """Remove the seal and the processed output; row groups stay. Returns False if the dataset was not sealed."""
    version = existing_version(dataset)
    assert version.metadata is not None
    if not version.metadata.sealed and not version.layout.processed.exists():
        return False
    processing.reopen(version.layout)
    return True
