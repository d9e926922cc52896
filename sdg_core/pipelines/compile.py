"""A pipeline file to its plan: stages checked and resolved, with the fingerprint. Reads no source.

Columns are followed from stage to stage as far as they can be known. What a function, `explode` or a table makes is open: then a
name is accepted, and looked up when the task is there.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, assert_never

import pyarrow as pa

from sdg_core.config.load import ParsedPipeline, read_pipeline
from sdg_core.config.pipeline import (
    ColumnsStage,
    ExplodeStage,
    FilterStage,
    FunctionStage,
    RenameStage,
    SelectStage,
    SplitStage,
    Stage,
)
from sdg_core.config.seeds import SqlSeedSource
from sdg_core.config.sources import CustomSources, DatasetSources, SqlSources
from sdg_core.config.yaml_document import Path as YamlPath
from sdg_core.errors import ConfigError, PlanError, Problem
from sdg_core.pipelines.assemble import pipeline_plan
from sdg_core.pipelines.check_output import check_processors_of, check_sink
from sdg_core.pipelines.columns_stage import compile_columns, fingerprint_of_columns
from sdg_core.pipelines.executors.installed import missing_executor
from sdg_core.pipelines.known_columns import KnownColumns
from sdg_core.pipelines.plan import PipelinePlan, StagePlan, config_as_dataset
from sdg_core.pipelines.readers.custom import custom_mark
from sdg_core.pipelines.readers.find import columns_of, missing_extra
from sdg_core.pipelines.split import DEFAULT_SIZES
from sdg_core.pipelines.tokens import open_tokenizer
from sdg_core.pipelines.user_stages import StaticReading, UserCode, resolve_function
from sdg_core.plan.checks.processors import (
    check_rules,
)
from sdg_core.plan.checks.seeds import check_sql
from sdg_core.plan.hashed_fields import digest, hashed_fields
from sdg_core.plan.project import is_own
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references
from sdg_core.plan.usercode.clients import resolve_clients
from sdg_core.plan.usercode.functions import (
    UserFunctionError,
)
from sdg_core.plan.usercode.loader import UserCodeError

Functions = Mapping[str, Callable[..., Any]]


def load_pipeline(
    path: str | Path,
    *,
    env: Mapping[str, str] | None = None,
    functions: Functions | None = None,
    clients: Any = None,
    offline: bool = False,
    untrusted: bool = False,
) -> PipelinePlan:
    """Read and check a pipeline file. Raises ConfigError with every problem found.

    offline: run none of the code that it names; functions and classes are read from their source. untrusted: see `open_pipeline`.
    """
    env = os.environ if env is None else env
    path = Path(path)
    read = read_pipeline(path, env=env)
    own = not untrusted and is_own(path, working_directory=Path.cwd())
    static_reading = StaticReading(own=own) if offline else None
    return compile_pipeline(
        read,
        path.resolve().parent,
        functions=functions,
        clients=clients,
        static_reading=static_reading,
    )


def compile_pipeline(
    read: ParsedPipeline,
    base: Path,
    *,
    functions: Functions | None = None,
    clients: Any = None,
    static_reading: StaticReading | None = None,
) -> PipelinePlan:
    """Check what a file, or Python, says of a pipeline. Raises ConfigError with every problem found."""
    code = UserCode(base, functions or {}, static_reading)
    return _Compiler(read, code, clients or {}).compile()


class _Compiler:
    """Goes through the stages once."""

    def __init__(
        self, read: ParsedPipeline, code: UserCode, clients: Mapping[str, Any]
    ) -> None:
        self._config = read.config
        self._parsed = read.parsed
        self._code = code
        self._given_clients = clients
        self._clients: Mapping[str, Any] = {}
        self._problems: list[Problem] = []
        self._known = columns_of(read.config.sources)
        self._hash = digest({"reader": self._reader()})
        self._hashes: dict[str, str] = {}

    def compile(self) -> PipelinePlan:
        self._resolve_clients()
        absent = missing_executor(self._config.run)
        if absent is not None:
            self._problem(("run", "executor"), absent)
        stages = [
            self._stage(place, stage) for place, stage in enumerate(self._config.stages)
        ]
        self._add_problems(check_sink(self._config, stages, self._known))
        self._add_problems(check_processors_of(self._config, stages, self._known))
        if self._problems:
            by_line = sorted(self._problems, key=lambda problem: problem.line or 0)
            raise ConfigError(self._parsed.source, by_line)
        return pipeline_plan(
            self._config,
            stages,
            stages_hash=self._hash,
            column_hashes=self._hashes,
            clients=self._clients,
            parsed=self._parsed,
            base=self._code.base,
        )

    def _resolve_clients(self) -> None:
        resolved = resolve_clients(
            config_as_dataset(self._config, ()),
            base=self._code.base,
            given=self._given_clients,
            offline=self._code.static_reading is not None,
        )
        self._clients = resolved.clients
        providers = resolved.config.model_providers
        self._config = self._config.model_copy(update={"model_providers": providers})
        self._add_problems(resolved.problems)

    def _add_problems(self, found: Iterable[tuple[YamlPath, str]]) -> None:
        for path, message in found:
            self._problem(path, message)

    def _problem(self, path: YamlPath, message: str) -> None:
        self._problems.append(self._parsed.problem(path, message))

    def _reader(self) -> dict[str, Any]:
        """Check the reader; returns what the fingerprint has of it. Where sources lie is out: they have versions."""
        config = self._config.sources
        found = hashed_fields(config)
        absent = missing_extra(config.reader)
        if absent is not None:
            self._problem(("sources", "reader"), absent)
        match config:
            case SqlSources(url=url, url_env=variable, query=query):
                asked = SqlSeedSource(
                    url=url, url_env=variable, query=query or "SELECT 1 ORDER BY 1"
                )
                for path, message in check_sql(asked):
                    self._problem(("sources", *path[2:]), message)
            case DatasetSources(dataset=name) if name == self._config.name:
                self._problem(
                    ("sources", "dataset"),
                    f"pipeline {name!r} cannot read its own output; name another dataset",
                )
            case CustomSources():
                try:
                    found["source_hash"] = custom_mark(
                        config, base=self._code.base, given=self._code.given
                    )
                except (UserCodeError, UserFunctionError) as error:
                    self._problem(("sources", "reader_class"), str(error))
        return found

    def _stage(self, place: int, stage: Stage) -> StagePlan:
        plan = StagePlan(place, stage)
        own = {
            name: value
            for name, value in hashed_fields(stage).items()
            if name != "checkpoint"
        }
        match stage:
            case SplitStage():
                self._split(place, stage)
                if stage.unit == "tokens":
                    plan, own["tokenizer"] = self._tokenizer(plan, stage)
            case FilterStage():
                self._filter(place, stage)
            case ColumnsStage():
                plan = self._columns(plan, stage)
                own = fingerprint_of_columns(plan.columns)
            case ExplodeStage():
                self._explode(place, stage)
            case FunctionStage():
                plan, mark = self._function(plan, stage)
                own["source_hash"] = mark
                own["checkpoint"] = False  # hashed since a function could have none
                self._known = KnownColumns(None)
            case SelectStage():
                for number, name in enumerate(stage.columns):
                    self._need(name, ("stages", place, "columns", number))
                self._known = self._known.only(frozenset(stage.columns))
            case RenameStage():
                self._rename(place, stage)
            case _:
                assert_never(stage)
        self._hash = digest({"before": self._hash, "stage": own})
        return replace(plan, prefix=self._hash)

    def _need(self, name: str, path: YamlPath) -> None:
        missing = self._known.why_missing(name)
        if missing is not None:
            self._problem(path, missing)

    def _need_text(self, name: str, path: YamlPath) -> None:
        self._need(name, path)
        if not self._known.is_text(name):
            self._problem(path, f"{name} is {self._known.types[name]}, not text")

    def _explode(self, place: int, stage: ExplodeStage) -> None:
        path = ("stages", place, "column")
        self._need(stage.column.partition(".")[0], path)
        try:
            self._known = self._known.exploded(stage.column)
        except ValueError as error:
            self._problem(path, str(error))
            self._known = KnownColumns(None)

    def _split(self, place: int, stage: SplitStage) -> None:
        self._need_text(stage.column, ("stages", place, "column"))
        size = stage.size or DEFAULT_SIZES.get(stage.unit, DEFAULT_SIZES["characters"])
        if stage.overlap >= size:
            message = f"{stage.overlap} is not smaller than the size, {size}; lower it"
            self._problem(("stages", place, "overlap"), message)
        start = f"{stage.column}_start"
        self._known = self._known.adding(frozenset({start}), {start: pa.int64()})

    def _tokenizer(self, plan: StagePlan, stage: SplitStage) -> tuple[StagePlan, str]:
        """The stage with its tokenizer, and what stands for it in the fingerprint: what the file says, not where it lies."""
        path = (
            self._code.base / stage.tokenizer if stage.tokenizer is not None else None
        )
        try:
            tokenize, mark = open_tokenizer(path)
        except PlanError as error:
            key = "tokenizer" if path is not None else "unit"
            self._problem(
                ("stages", plan.place, key), f"{error.message}; {error.remedy}"
            )
            return plan, ""
        return replace(plan, tokenize=tokenize), mark

    def _filter(self, place: int, stage: FilterStage) -> None:
        if stage.keep is None:
            self._need_text(stage.column, ("stages", place, "column"))
            for path, message in check_rules(stage.quality):
                self._problem(("stages", place, *path), message)
            return
        try:
            names = sorted(template_references(stage.keep))
        except TemplateSyntaxError as error:
            self._problem(("stages", place, "keep"), str(error))
            return
        for name in names:
            self._need(name, ("stages", place, "keep"))

    def _rename(self, place: int, stage: RenameStage) -> None:
        for old in stage.columns:
            self._need(old, ("stages", place, "columns", old))
        kept = (self._known.names or frozenset()) - set(stage.columns)
        for old, new in stage.columns.items():
            if new in kept:
                self._problem(
                    ("stages", place, "columns", old),
                    f"the column {new!r} already exists; choose another name",
                )
            kept |= {new}
        self._known = self._known.renamed(stage.columns)

    def _function(
        self, plan: StagePlan, stage: FunctionStage
    ) -> tuple[StagePlan, str | None]:
        try:
            return resolve_function(plan, stage, self._code)
        except UserFunctionError as error:
            self._problem(("stages", plan.place, error.key), str(error))
            return plan, None

    def _columns(self, plan: StagePlan, stage: ColumnsStage) -> StagePlan:
        compiled = compile_columns(
            config_as_dataset(self._config, stage.columns, select=stage.select),
            self._known,
            code=self._code,
            clients=self._clients,
            parsed=self._parsed,
            prefix=self._hash,
        )
        for path, message in compiled.problems:
            if path and path[0] in ("columns", "select"):
                path = ("stages", plan.place, *path)
            self._problem(path, message)
        types: dict[str, pa.DataType] = {}
        names = compiled.made
        if compiled.plan is not None:
            types = {field.name: field.type for field in compiled.plan.schema}
            names |= types.keys()
            hashes = compiled.plan.fingerprint.column_hashes
            for name in compiled.made:
                self._hashes[name] = hashes[name]
        self._known = self._known.adding(names, types)
        return replace(plan, columns=compiled.plan, reads=compiled.reads)
