"""What a dataset file does beside asking models: code that runs, processes that start, variables that leave, files outside.

For the question that a person is asked before a stranger's file does it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdg_core.config.columns import Column, CustomColumn, LlmStructuredColumn, ValidationColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.pipeline import ColumnsStage, FunctionStage, PipelineConfig
from sdg_core.config.processors import DecontaminateProcessor
from sdg_core.config.seeds import (
    CustomSeedSource,
    DirectorySeedSource,
    FileContentsSeedSource,
    HuggingFaceSeedSource,
    LocalSeedSource,
    SqlSeedSource,
)
from sdg_core.config.sources import (
    CustomSources,
    DocumentSources,
    FileSources,
    HtmlSources,
    HubSources,
    SqlSources,
)
from sdg_core.config.tools import StdioMcpProvider
from sdg_core.config.validators import LocalCallableParams
from sdg_core.plan.project import project_of
from sdg_core.plan.usercode.loader import UserCodeError, find_definition
from sdg_core.plan.variables import host_of, sent_variables

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Effects:
    """lines: a sentence each, for people. digest: of the file and of all code that it names, so that a change asks again.

    processing: those of the lines that post-generation does.
    """

    lines: tuple[str, ...]
    digest: str
    processing: tuple[str, ...] = ()

    @property
    def of_processing(self) -> "Effects":
        """What post-generation does: it reads evaluation sets."""
        return replace(self, lines=self.processing)


def effects_of(config: DatasetConfig | PipelineConfig, path: Path) -> Effects:
    """What running the dataset or pipeline file at `path` does; nothing is run for the answer."""
    base = path.resolve().parent
    state = hashlib.sha256(path.read_bytes())
    code = _lines_of_code(_code(config), base, state)
    sets = _evaluation_sources(config)
    processing = _lines_of_code([source.reader for source in sets if isinstance(source, CustomSeedSource)], base, state)
    processing += [line for source in sets for line in _outside(source, base)]
    lines = [*code, *processing]
    for server in config.mcp_providers:
        if isinstance(server, StdioMcpProvider):
            lines.append(f"starts the process {' '.join((server.command, *server.args))}")
            lines += [f"gives it the variable {variable}" for variable in server.env.values()]
    for provider in config.model_providers:
        if provider.serve is not None:
            lines.append(f"starts the process {' '.join(provider.serve.command)}")
            lines += [f"gives it the variable {variable}" for variable in provider.serve.env.values()]
    sent = [
        (where, f"sends the variable {variable} to {host_of(url)}") for where, variable, url in sent_variables(config)
    ]
    lines += [line for _, line in sent]
    processing += [line for where, line in sent if where[0] == "processors"]
    lines += [line for source in _sources(config) for line in _outside(source, base)]
    return Effects(tuple(dict.fromkeys(lines)), state.hexdigest(), tuple(dict.fromkeys(processing)))


def _lines_of_code(references: Sequence[str], base: Path, state: Any) -> list[str]:
    """What code runs; its files are added to the digest."""
    lines: list[str] = []
    for reference in references:
        try:
            found = find_definition(reference, base=base, what="function")
        except UserCodeError:  # loading reports it
            lines.append(f"runs {reference}")
        else:
            lines.append(f"runs {reference} ({found.path})")
            state.update(found.path.read_bytes())
    return lines


def _columns(config: DatasetConfig | PipelineConfig) -> list[Column]:
    if isinstance(config, DatasetConfig):
        return [*config.columns]
    return [column for stage in config.stages if isinstance(stage, ColumnsStage) for column in stage.columns]


def _sources(config: DatasetConfig | PipelineConfig) -> list[Any]:
    """Where the data of a run comes from."""
    if isinstance(config, PipelineConfig):
        return [config.sources]
    return [config.seed_config.source] if config.seed_config is not None else []


def _evaluation_sources(config: DatasetConfig | PipelineConfig) -> list[Any]:
    """What post-generation reads beside the rows."""
    processors = [processor for processor in config.processors if isinstance(processor, DecontaminateProcessor)]
    return [each.source for processor in processors for each in processor.evaluation_sets]


def _code(config: DatasetConfig | PipelineConfig) -> list[str]:
    found: list[str] = []
    if isinstance(config, PipelineConfig):
        found += [stage.function for stage in config.stages if isinstance(stage, FunctionStage)]
    for column in _columns(config):
        match column:
            case CustomColumn(generator_function=reference):
                found.append(reference)
            case LlmStructuredColumn(output_format=str(reference)):
                found.append(reference)
            case ValidationColumn(validator_params=LocalCallableParams(validation_function=reference)):
                found.append(reference)
    found += [provider.client for provider in config.model_providers if provider.client is not None]
    for source in _sources(config):
        match source:
            case CustomSeedSource(reader=reference) | CustomSources(reader_class=reference):
                found.append(reference)
    return [reference for reference in dict.fromkeys(found) if ":" in reference]


def _outside(source: Any, base: Path) -> list[str]:
    """Data from outside the directory of the file and its project."""
    match source:
        case LocalSeedSource() as local:
            paths = [local.path] if isinstance(local.path, str) else [*local.path]
        case DirectorySeedSource() | FileContentsSeedSource() | FileSources() | HtmlSources() | DocumentSources():
            paths = [source.path]
        case SqlSeedSource(url=url, url_env=variable) | SqlSources(url=url, url_env=variable):
            return [f"reads the database {f'that {variable} names' if variable is not None else host_of(url or '')}"]
        case HuggingFaceSeedSource(endpoint=endpoint) | HubSources(endpoint=endpoint):
            return [f"downloads from {host_of(endpoint)}"]
        case _:  # data of the storage root, of Python, or of a class, whose code is named
            return []
    own = (base, project_of(base))
    urls = [path for path in paths if _URL.match(path)]
    outside = [path for path in paths if not path.startswith("{root}") and path not in urls]
    outside = [path for path in outside if not any((base / path).resolve().is_relative_to(place) for place in own)]
    return [f"reads {path}" for path in urls] + [f"reads {(base / path).resolve()}" for path in outside]
