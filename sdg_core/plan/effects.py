"""What a dataset file does beside asking models: code that runs, processes that start, variables that leave, files outside.

For the question that a person is asked before a stranger's file does it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from sdg_core.config.columns import Column, CustomColumn, LlmStructuredColumn, ValidationColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.pipeline import ColumnsStage, FunctionStage, PipelineConfig
from sdg_core.config.seeds import (
    CustomSeedSource,
    DataFrameSeedSource,
    DatasetSeedSource,
    DirectorySeedSource,
    FileContentsSeedSource,
    HuggingFaceSeedSource,
    LocalSeedSource,
    SqlSeedSource,
)
from sdg_core.config.sources import CustomSources
from sdg_core.config.tools import StdioMcpProvider
from sdg_core.config.validators import LocalCallableParams
from sdg_core.plan.project import project_of
from sdg_core.plan.usercode.loader import UserCodeError, find_definition
from sdg_core.plan.variables import host_of, sent_variables


@dataclass(frozen=True)
class Effects:
    """lines: a sentence each, for people. digest: of the file and of all code that it names, so that a change asks again."""

    lines: tuple[str, ...]
    digest: str


def effects_of_pipeline(config: PipelineConfig, path: Path) -> Effects:
    """What loading and running the pipeline file at `path` does; nothing is run for the answer."""
    columns: list[Column] = []
    code: list[str] = []
    for stage in config.stages:
        if isinstance(stage, ColumnsStage):
            columns += stage.columns
        elif isinstance(stage, FunctionStage):
            code.append(stage.function)
    if isinstance(config.sources, CustomSources):
        code.append(config.sources.reader_class)
    shared = {name: getattr(config, name) for name in ("name", "model_providers", "model_configs", "mcp_providers")}
    return effects_of(DatasetConfig.model_construct(**shared, columns=tuple(columns)), path, code=code)


def effects_of(config: DatasetConfig, path: Path, *, code: Sequence[str] = ()) -> Effects:
    """What running the dataset file at `path` does; nothing is run for the answer. code: references beside those of columns."""
    base = path.resolve().parent
    lines: list[str] = []
    state = hashlib.sha256(path.read_bytes())
    for reference in (*code, *_code(config)):
        try:
            found = find_definition(reference, base=base, what="function")
        except UserCodeError:  # loading reports it
            lines.append(f"runs {reference}")
        else:
            lines.append(f"runs {reference} ({found.path})")
            state.update(found.path.read_bytes())
    for server in config.mcp_providers:
        if isinstance(server, StdioMcpProvider):
            lines.append(f"starts the process {' '.join((server.command, *server.args))}")
            lines += [f"gives it the variable {variable}" for variable in server.env.values()]
    for provider in config.model_providers:
        if provider.serve is not None:
            lines.append(f"starts the process {' '.join(provider.serve.command)}")
            lines += [f"gives it the variable {variable}" for variable in provider.serve.env.values()]
    lines += [f"sends the variable {variable} to {host_of(url)}" for _, variable, url in sent_variables(config)]
    lines += _outside(config, base)
    return Effects(tuple(dict.fromkeys(lines)), state.hexdigest())


def _code(config: DatasetConfig) -> list[str]:
    found: list[str] = []
    for column in config.columns:
        match column:
            case CustomColumn(generator_function=reference):
                found.append(reference)
            case LlmStructuredColumn(output_format=str(reference)):
                found.append(reference)
            case ValidationColumn(validator_params=LocalCallableParams(validation_function=reference)):
                found.append(reference)
    found += [provider.client for provider in config.model_providers if provider.client is not None]
    if config.seed_config is not None and isinstance(config.seed_config.source, CustomSeedSource):
        found.append(config.seed_config.source.reader)
    return [reference for reference in dict.fromkeys(found) if ":" in reference]


def _outside(config: DatasetConfig, base: Path) -> list[str]:
    """Seed data from outside the directory of the file and its project."""
    if config.seed_config is None:
        return []
    match config.seed_config.source:
        case LocalSeedSource() as local:
            paths = [local.path] if isinstance(local.path, str) else [*local.path]
        case DirectorySeedSource() | FileContentsSeedSource() as source:
            paths = [source.path]
        case SqlSeedSource(url=url, url_env=variable):
            return [f"reads the database {f'that {variable} names' if variable is not None else host_of(url or '')}"]
        case HuggingFaceSeedSource(endpoint=endpoint):
            return [f"downloads from {host_of(endpoint)}"]
        case DatasetSeedSource() | DataFrameSeedSource() | CustomSeedSource():
            return []
        case other:
            assert_never(other)
    own = (base, project_of(base))
    outside = [path for path in paths if not path.startswith("{root}")]
    outside = [path for path in outside if not any((base / path).resolve().is_relative_to(place) for place in own)]
    return [f"reads {(base / path).resolve()}" for path in outside]
