"""What a dataset file does beside asking models: code that runs, processes that start, variables that leave, files outside.

For the question that a person is asked before a stranger's file does it.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdg_core.config.columns import (
    Column,
    CustomColumn,
    LlmStructuredColumn,
    ValidationColumn,
)
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.pipeline import ColumnsStage, FunctionStage, PipelineConfig
from sdg_core.config.processors import DecontaminateProcessor
from sdg_core.config.seeds import CustomSeedSource
from sdg_core.config.sources import CustomSources
from sdg_core.config.tools import StdioMcpProvider
from sdg_core.config.validators import LocalCallableParams
from sdg_core.plan.outside import outside
from sdg_core.plan.usercode.loader import INSTALLED, UserCodeError, find_definition
from sdg_core.plan.variables import host_of, sent_variables

_MAX_FILES = 2_000
"""Python files, and directories, that are looked through for what code may import."""


@dataclass(frozen=True)
class Effects:
    """What running a file does besides calling models.

    lines: one sentence each, for people. digest: covers the file, all code it names and all link targets, so that any
    change asks for trust again.

    processing: the lines that apply to post-generation processing.
    """

    lines: tuple[str, ...]
    digest: str
    processing: tuple[str, ...] = ()

    @property
    def of_processing(self) -> "Effects":
        """The effects of post-generation processing: it reads evaluation sets."""
        return replace(self, lines=self.processing)


def effects_of(
    config: DatasetConfig | PipelineConfig, path: Path, *, root: str
) -> Effects:
    """What running the dataset or pipeline file at `path` with a storage root does; nothing is run for the answer."""
    base = path.resolve().parent
    state = hashlib.sha256(path.read_bytes())
    code = _lines_of_code(_code(config), base, state)
    evaluation_sources = _evaluation_sources(config)
    readers = [
        source.reader
        for source in evaluation_sources
        if isinstance(source, CustomSeedSource)
    ]
    processing = _lines_of_code(readers, base, state)
    for source in evaluation_sources:
        processing += outside(source, base, root=root)
    lines = [*code, *processing]
    for server in config.mcp_providers:
        if isinstance(server, StdioMcpProvider):
            command = " ".join((server.command, *server.args))
            lines.append(f"starts the process {command}")
            lines += [
                f"passes it the variable {variable}" for variable in server.env.values()
            ]
    for provider in config.model_providers:
        serve = provider.serve
        if serve is not None:
            lines.append(f"starts the process {' '.join(serve.command)}")
            lines += [
                f"passes it the variable {variable}" for variable in serve.env.values()
            ]
    if any(line.startswith("starts") for line in lines):
        _add_code(base, state)
    for where, variable, url in sent_variables(config):
        line = f"sends the variable {variable} to {host_of(url)}"
        lines.append(line)
        if where[0] == "processors":
            processing.append(line)
    for source in _sources(config):
        lines += outside(source, base, root=root)
    lines = list(dict.fromkeys(lines))
    state.update("\n".join(lines).encode("utf-8", "surrogateescape"))
    return Effects(tuple(lines), state.hexdigest(), tuple(dict.fromkeys(processing)))


def _lines_of_code(references: Sequence[str], base: Path, state: Any) -> list[str]:
    """What code runs. Its files are added to the digest, and those beside it, which it may import."""
    lines: list[str] = []
    directories: set[Path] = set()
    for reference in references:
        try:
            found = find_definition(reference, base=base, what="function")
        except UserCodeError:  # loading reports it
            lines.append(f"runs {reference}")
        else:
            lines.append(f"runs {reference} ({found.path})")
            directories |= {base, found.path.parent}
    for directory in sorted(directories):
        _add_code(directory, state)
    return lines


def _add_code(directory: Path, state: Any) -> None:
    """Add the Python files below a directory to the digest. Of a huge one none is remembered, so every run asks."""
    found: list[str] = []
    for walked, (place, directories, names) in enumerate(os.walk(directory)):
        own = [
            name
            for name in directories
            if not name.startswith(".") and name not in INSTALLED
        ]
        directories[:] = sorted(own)
        for name in sorted(names):
            path = os.path.join(place, name)
            if name.endswith(".py") and os.path.isfile(path):
                found.append(path)
        if max(len(found), walked) > _MAX_FILES:
            state.update(os.urandom(16))
            return
    for path in found:
        content = Path(path).read_bytes()
        heading = f"{path} {len(content)} ".encode("utf-8", "surrogateescape")
        state.update(heading + content)


def _columns(config: DatasetConfig | PipelineConfig) -> list[Column]:
    if isinstance(config, DatasetConfig):
        return [*config.columns]
    columns: list[Column] = []
    for stage in config.stages:
        if isinstance(stage, ColumnsStage):
            columns += stage.columns
    return columns


def _sources(config: DatasetConfig | PipelineConfig) -> list[Any]:
    """Where the data of a run comes from."""
    if isinstance(config, PipelineConfig):
        return [config.sources]
    return [config.seed_config.source] if config.seed_config is not None else []


def _evaluation_sources(config: DatasetConfig | PipelineConfig) -> list[Any]:
    """What post-generation reads beside the rows."""
    processors = [
        processor
        for processor in config.processors
        if isinstance(processor, DecontaminateProcessor)
    ]
    return [
        each.source for processor in processors for each in processor.evaluation_sets
    ]


def _code(config: DatasetConfig | PipelineConfig) -> list[str]:
    found: list[str] = []
    if isinstance(config, PipelineConfig):
        found += [
            stage.function
            for stage in config.stages
            if isinstance(stage, FunctionStage)
        ]
    for column in _columns(config):
        match column:
            case CustomColumn(generator_function=reference):
                found.append(reference)
            case LlmStructuredColumn(output_format=str(reference)):
                found.append(reference)
            case ValidationColumn(
                validator_params=LocalCallableParams(validation_function=reference)
            ):
                found.append(reference)
    found += [
        provider.client
        for provider in config.model_providers
        if provider.client is not None
    ]
    for source in _sources(config):
        match source:
            case (
                CustomSeedSource(reader=reference)
                | CustomSources(reader_class=reference)
            ):
                found.append(reference)
    return [reference for reference in dict.fromkeys(found) if ":" in reference]
