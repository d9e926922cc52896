"""Stages that are checked and resolved become the plan of a pipeline, with its fingerprint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sdg_core.config.parsed_config import ParsedConfig
from sdg_core.config.pipeline import PipelineConfig
from sdg_core.config.processors import DropColumnsProcessor
from sdg_core.pipelines.plan import (
    PipelinePlan,
    StagePlan,
    columns_made,
    config_as_dataset,
)
from sdg_core.plan.compile import dropped_columns
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.fingerprint import Fingerprint
from sdg_core.plan.graph import build_graph
from sdg_core.plan.hashed_fields import CONFIG_HASH_VERSION, digest, hashed_fields
from sdg_core.plan.models import used_models, used_tools


def pipeline_plan(
    config: PipelineConfig,
    stages: Sequence[StagePlan],
    *,
    stages_hash: str,
    column_hashes: Mapping[str, str],
    clients: Mapping[str, Any],
    parsed: ParsedConfig,
    base: Path,
) -> PipelinePlan:
    """The plan of stages without problems. stages_hash: the fingerprint of all of them. column_hashes: by column name."""
    columns, _ = columns_made(stages)
    compiled = [plan.columns for plan in stages if plan.columns is not None]
    fields = [field for plan in compiled for field in plan.schema]
    names = [field.name for field in fields]
    dataset = config_as_dataset(config, columns)
    dropped = dropped_columns(dataset, names)
    dataset = dataset.model_copy(update={"processors": config.processors})
    beside = dropped - {column.name for column in columns}
    whole = _config_hash(config, stages_hash, dropped_beside=beside)
    fingerprint = Fingerprint(whole, whole, column_hashes, column_hashes)
    models = used_models(dataset)
    simulated = any(
        provider.provider_type == "simulated" for _, provider in models.values()
    )
    graph = (
        compiled[0].graph if compiled else build_graph(config_as_dataset(config, ()))
    )
    shell = DatasetPlan(
        config=dataset,
        graph=graph,
        fingerprint=fingerprint,
        schema=pa.schema(fields),
        seed_columns=(),
        dropped=dropped,
        row_groups=(),
        models=models,
        simulated=simulated,
        clients=clients,
        tools=used_tools(dataset, base=base),
    )
    types = {field.name: field.type for field in fields}
    return PipelinePlan(
        config, tuple(stages), fingerprint, dropped, shell, types, parsed, base
    )


def _config_hash(
    config: PipelineConfig, stages_hash: str, *, dropped_beside: frozenset[str]
) -> str:
    """The fingerprint of the whole pipeline. Its keys must not change: data lies in directories named by it.

    dropped_beside: columns that go with a dropped one, such as its reasoning.
    """
    drops = [
        hashed_fields(p)
        for p in config.processors
        if isinstance(p, DropColumnsProcessor)
    ]
    hashed: dict[str, Any] = {
        "config_hash_version": CONFIG_HASH_VERSION,
        "kind": "pipeline",
        "stages": stages_hash,
        "sink": hashed_fields(config.sink),
        "processors": drops,
    }
    if drops:
        hashed["are_dropped"] = True  # until 0.3 they were not
    if dropped_beside and config.sink.columns is None:
        hashed["dropped_beside"] = sorted(dropped_beside)  # likewise
    return digest(hashed)
