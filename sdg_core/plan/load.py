"""Loading a dataset file: parse, validate, resolve user code, check."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.load import AS_IT_IS, Reading, interpret, read_config
from sdg_core.config.parsed_config import ParsedConfig
from sdg_core.config.yaml_document import Document, Problems
from sdg_core.errors import ConfigError, Problem
from sdg_core.plan.checks.config import check_before_graph
from sdg_core.plan.checks.constraints import check_samplers_in_graph
from sdg_core.plan.graph import ColumnGraph, build_graph
from sdg_core.plan.in_memory import SOURCE, take_apart
from sdg_core.plan.project import is_own
from sdg_core.plan.usercode.clients import resolve_clients
from sdg_core.plan.usercode.functions import UserFunction, resolve_functions
from sdg_core.plan.variables import check_variables

Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class LoadedDataset:
    """A checked dataset file. `base` is the directory that relative paths in it start from.

    functions: the user's functions that the config names, by the column that calls them. clients: the user's client classes
    or objects, by the provider that stands for them. frame: the seed data, if it was passed in Python. graph: of the columns, as
    far as it was needed to check them.
    """

    config: DatasetConfig
    parsed: ParsedConfig
    base: FilePath
    functions: Mapping[str, UserFunction] = field(default_factory=dict)
    clients: Mapping[str, Any] = field(default_factory=dict)
    frame: Any = field(default=None, repr=False)
    graph: ColumnGraph | None = field(default=None, repr=False)

    @property
    def source(self) -> str:
        """The file's path, for messages."""
        return self.parsed.source

    def check_variables(self, env: Mapping[str, str]) -> None:
        """Raise ConfigError if the file would send a variable of `env` to a host where it does not belong."""
        problems = [
            self.parsed.problem(where, message)
            for where, message in check_variables(self.config, env=env)
        ]
        if problems:
            raise ConfigError(self.source, _by_line(problems))


def load_dataset(
    path: str | FilePath,
    *,
    env: Mapping[str, str] | None = None,
    functions: Functions | None = None,
    clients: Mapping[str, Any] | None = None,
    reading: Reading = AS_IT_IS,
    offline: bool = False,
    untrusted: bool = False,
) -> LoadedDataset:
    """Read and check a dataset file without touching seed data. Raises ConfigError with every problem found.

    functions: functions by name, for columns whose function is passed in Python instead of `module:function`.
    clients: client objects or classes by the name of their custom provider.
    offline: run none of the code that the file names; functions and classes are read from their source. Code whose
    declarations cannot be read statically runs only if the file is in the project of the working directory, and never
    if `untrusted`.
    """
    path = FilePath(path)
    parsed = read_config(path, env=os.environ if env is None else env, reading=reading)
    own = not untrusted and is_own(path, working_directory=FilePath.cwd())
    return _check(
        parsed,
        base=path.resolve().parent,
        functions=functions or {},
        clients=clients or {},
        offline=offline,
        own=own,
    )


def load_in_memory(
    config: object,
    *,
    base: FilePath,
    env: Mapping[str, str] | None = None,
    functions: Functions | None = None,
    clients: Mapping[str, Any] | None = None,
    reading: Reading = AS_IT_IS,
    offline: bool = False,
) -> LoadedDataset:
    """The same for a config that is given in Python (`sdg_core.plan.in_memory`); `base` is where relative paths in it start."""
    given = take_apart(config)
    parsed = interpret(
        Document(given.data, {}),
        source=SOURCE,
        default_name="dataset",
        env=os.environ if env is None else env,
        reading=reading,
    )
    loaded = _check(
        parsed,
        base=base.resolve(),
        functions={**given.functions, **(functions or {})},
        clients={**given.clients, **(clients or {})},
        offline=offline,
        own=True,
    )
    return replace(loaded, frame=given.frame)


def _check(
    parsed: ParsedConfig,
    *,
    base: FilePath,
    functions: Functions,
    clients: Mapping[str, Any],
    offline: bool,
    own: bool,
) -> LoadedDataset:
    if parsed.config is None:
        raise ConfigError(parsed.source, _by_line(parsed.problems))
    asked = resolve_clients(parsed.config, base=base, given=clients, offline=offline)
    resolved = resolve_functions(
        asked.config, base=base, given=functions, offline=offline, own=own
    )
    found = [
        *asked.problems,
        *resolved.problems,
        *check_before_graph(resolved.config, also_known=parsed.dropped_columns),
        *_check_executor(resolved.config),
    ]
    problems = [*parsed.problems]
    problems += [parsed.problem(where, message) for where, message in found]
    if problems:
        raise ConfigError(parsed.source, _by_line(problems))
    graph = build_graph(resolved.config)
    found_in_graph = check_samplers_in_graph(resolved.config, graph)
    problems = [parsed.problem(where, message) for where, message in found_in_graph]
    if problems:
        raise ConfigError(parsed.source, _by_line(problems))
    return LoadedDataset(
        resolved.config, parsed, base, resolved.functions, asked.clients, graph=graph
    )


def _check_executor(config: DatasetConfig) -> Problems:
    if config.run.executor != "local":
        yield (
            ("run", "executor"),
            f"{config.run.executor} runs pipeline stages, which a dataset does not have; remove it, and "
            f"distribute the dataset with `sdg generate --shard I/N` or with Dagster's run launcher for "
            f"Ray (docs/guide/deploy.md)",
        )


def _by_line(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.line or 0)
