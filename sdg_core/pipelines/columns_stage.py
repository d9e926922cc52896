"""The columns of a `columns` stage: checked and compiled as a dataset's, with tasks in the place of seed data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.parsed_config import ParsedConfig
from sdg_core.config.yaml_document import Path as YamlPath
from sdg_core.pipelines.known_columns import KnownColumns
from sdg_core.pipelines.user_stages import UserCode
from sdg_core.plan.checks.config import check_config
from sdg_core.plan.checks.select import names_in_select
from sdg_core.plan.compile import compile_plan
from sdg_core.plan.dataset_plan import DatasetPlan, SeedInfo
from sdg_core.plan.hashed_fields import hashed_fields
from sdg_core.plan.kinds import is_whole_column, producers_of, references_of
from sdg_core.plan.load import LoadedDataset
from sdg_core.plan.templates.engine import TemplateSyntaxError
from sdg_core.plan.usercode.functions import resolve_functions

_WHOLE_COLUMN = "whole-column functions need row groups, which a pipeline does not have; use a `function` stage"


@dataclass(frozen=True)
class CompiledColumns:
    """What became of a stage's columns. plan: None where there are problems. made: what it adds to a task. reads: what it reads
    of one."""

    plan: DatasetPlan | None
    made: frozenset[str]
    reads: tuple[str, ...]
    problems: tuple[tuple[YamlPath, str], ...] = ()


def compile_columns(
    config: DatasetConfig,
    known: KnownColumns,
    *,
    code: UserCode,
    clients: Mapping[str, Any],
    parsed: ParsedConfig,
    prefix: str,
) -> CompiledColumns:
    """Check the columns of a stage and compile them. config: the stage as a dataset. known: the columns of the tasks that it
    gets. prefix: the fingerprint of the stages before."""
    resolved = resolve_functions(
        config,
        base=code.base,
        given=code.given,
        offline=code.static_reading is not None,
        own=code.static_reading is None or code.static_reading.own,
    )
    config = resolved.config
    made = (
        frozenset(column.name for column in config.columns)
        | producers_of(config.columns).keys()
    )
    from_tasks = [name for name in _references(config) if name not in made]
    reads = tuple(dict.fromkeys(from_tasks))
    tasks = known.names if known.names is not None else reads
    problems = [*resolved.problems, *check_config(config, seed_columns=sorted(tasks))]
    for number, column in enumerate(config.columns):
        if is_whole_column(column):
            problems.append((("columns", number), _WHOLE_COLUMN))
    if problems:
        of_tasks = [
            (path, text.replace("the seed data", "the tasks"))
            for path, text in problems
        ]
        return CompiledColumns(None, made, reads, tuple(of_tasks))
    loaded = LoadedDataset(config, parsed, code.base, resolved.functions, clients)
    seed_schema = pa.schema([(name, pa.string()) for name in reads])
    plan = compile_plan(loaded, SeedInfo(seed_schema, 1, prefix))
    own_fields = [field for field in plan.schema if field.name not in reads]
    own = pa.schema(own_fields)
    return CompiledColumns(replace(plan, schema=own), made, reads)


def fingerprint_of_columns(plan: DatasetPlan | None) -> dict[str, Any]:
    """What the pipeline's fingerprint has of a stage's columns."""
    if plan is None:
        return {"columns": []}
    hashes = plan.fingerprint.column_hashes
    marks = [
        [column.name, hashes[column.name], getattr(column, "drop", False)]
        for column in plan.config.columns
    ]
    if plan.config.select is None:
        return {"columns": marks}
    return {"columns": marks, "select": hashed_fields(plan.config.select)}


def _references(config: DatasetConfig) -> list[str]:
    """The names that columns and `select` read, in the order of the file."""
    try:
        names: list[str] = []
        for column in config.columns:
            names += references_of(column)
        if config.select is not None:
            names += names_in_select(config.select)
    except TemplateSyntaxError:
        return []  # checking the columns says what is wrong with it
    return names
