"""A pipeline file to its plan: stages checked and resolved, with the fingerprint. Reads no source.

Columns are followed from stage to stage as far as they can be known. What a function, `explode` or a table makes is open: then a
name is accepted, and looked up when the task is there.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from sdg_core.config.dataset import DatasetConfig
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
from sdg_core.config.processors import DropColumnsProcessor
from sdg_core.config.seeds import SqlSeedSource
from sdg_core.config.select import SelectConfig
from sdg_core.config.sources import CustomSources, DatasetSources, SqlSources
from sdg_core.config.yaml_document import Path as YamlPath
from sdg_core.custom import Stage as UserStage
from sdg_core.errors import ConfigError, PlanError, Problem
from sdg_core.pipelines.executors.installed import missing_executor
from sdg_core.pipelines.known_columns import KnownColumns
from sdg_core.pipelines.plan import PipelinePlan, StagePlan, columns_made
from sdg_core.pipelines.readers.custom import custom_mark
from sdg_core.pipelines.readers.find import columns_of, missing_extra
from sdg_core.pipelines.split import DEFAULT_SIZES
from sdg_core.pipelines.tokens import open_tokenizer
from sdg_core.pipelines.user_stages import Looking, made_stage, read_mark
from sdg_core.plan.checks.config import check_config
from sdg_core.plan.checks.processors import (
    check_processor_types,
    check_processors,
    check_rule_libraries,
)
from sdg_core.plan.checks.seeds import check_sql
from sdg_core.plan.checks.select import names_in_select
from sdg_core.plan.compile import columns_dropped_by, compile_plan, dropped_columns
from sdg_core.plan.dataset_plan import DatasetPlan, SeedInfo
from sdg_core.plan.fingerprint import CONFIG_HASH_VERSION, Fingerprint, digest, hashed_fields
from sdg_core.plan.graph import build_graph
from sdg_core.plan.kinds import is_whole_column, producers_of, references_of
from sdg_core.plan.load import LoadedDataset
from sdg_core.plan.models import used_models, used_tools
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.project import is_own
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references
from sdg_core.plan.usercode.clients import resolve_clients
from sdg_core.plan.usercode.functions import (
    UserFunctionError,
    find_callable,
    read_definition,
    resolve_functions,
    source_hash_of,
    unloaded,
)
from sdg_core.plan.usercode.loader import UserCodeError

LINEAGE = ("_source", "_task")
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
    looking = Looking(own=own) if offline else None
    return compile_pipeline(
        read, path.resolve().parent, functions=functions, clients=clients, looking=looking
    )


def compile_pipeline(
    read: ParsedPipeline,
    base: Path,
    *,
    functions: Functions | None = None,
    clients: Any = None,
    looking: Looking | None = None,
) -> PipelinePlan:
    """Check what a file, or Python, says of a pipeline. Raises ConfigError with every problem found."""
    return _Compiler(read, base, functions or {}, clients or {}, looking).compile()


class _Compiler:
    """Goes through the stages once."""

    def __init__(
        self,
        read: ParsedPipeline,
        base: Path,
        functions: Functions,
        clients: Mapping[str, Any],
        looking: Looking | None,
    ) -> None:
        self._config = read.config
        self._parsed = read.parsed
        self._base = base
        self._functions = functions
        self._given_clients = clients
        self._looking = looking
        self._problems: list[Problem] = []
        self._known = columns_of(read.config.sources)
        self._clients: Mapping[str, Any] = {}
        self._hash = digest({"reader": self._reader()})
        self._hashes: dict[str, str] = {}

    def compile(self) -> PipelinePlan:
        offline = self._looking is not None
        asked = resolve_clients(
            self._as_dataset(()), base=self._base, given=self._given_clients, offline=offline
        )
        self._clients = asked.clients
        self._config = self._config.model_copy(
            update={"model_providers": asked.config.model_providers}
        )
        for path, message in asked.problems:
            self._problem(path, message)
        absent = missing_executor(self._config.run)
        if absent is not None:
            self._problem(("run", "executor"), absent)
        stages = tuple(self._stage(place, stage) for place, stage in enumerate(self._config.stages))
        self._check_sink(stages)
        self._check_processors(stages)
        if self._problems:
            raise ConfigError(
                self._parsed.source, sorted(self._problems, key=lambda problem: problem.line or 0)
            )
        return self._plan(stages)

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
                    f"pipeline {name!r} cannot read itself; name another dataset",
                )
            case CustomSources():
                try:
                    found["source_hash"] = custom_mark(
                        config, base=self._base, given=self._functions
                    )
                except (UserCodeError, UserFunctionError) as error:
                    self._problem(("sources", "reader_class"), str(error))
        return found

    def _as_dataset(
        self, columns: tuple[Any, ...], *, select: SelectConfig | None = None
    ) -> DatasetConfig:
        config = self._config
        shared = (
            "name",
            "seed",
            "model_providers",
            "model_configs",
            "mcp_providers",
            "tool_configs",
            "run",
        )
        values = {name: getattr(config, name) for name in shared}
        return DatasetConfig.model_construct(
            **values, num_records=1, row_group_size=1, columns=columns, select=select
        )

    def _stage(self, place: int, stage: Stage) -> StagePlan:
        plan = StagePlan(place, stage)
        own = {name: value for name, value in hashed_fields(stage).items() if name != "checkpoint"}
        match stage:
            case SplitStage():
                self._split(place, stage)
                if stage.unit == "tokens":
                    plan, own["tokenizer"] = self._tokenizer(plan, stage)
            case FilterStage():
                self._filter(place, stage)
            case ColumnsStage():
                plan = self._columns(plan, stage)
                own = self._column_marks(plan, stage)
            case ExplodeStage():
                self._explode(place, stage)
            case FunctionStage():
                plan, mark = self._function(plan, stage)
                own |= {
                    "source_hash": mark,
                    "checkpoint": False,
                }  # which it had when it could not be true
                self._known = KnownColumns(None)
            case SelectStage():
                for number, name in enumerate(stage.columns):
                    self._need(name, ("stages", place, "columns", number))
                self._known = self._known.only(frozenset(stage.columns))
            case RenameStage():
                self._rename(place, stage)
        self._hash = digest({"before": self._hash, "stage": own})
        return replace(plan, prefix=self._hash)

    def _need(self, name: str, path: YamlPath) -> None:
        known = self._known.names
        if known is not None and name not in known:
            self._problem(
                path, f"no stage before makes a column {name!r}{did_you_mean(name, known)}"
            )

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
        path = self._base / stage.tokenizer if stage.tokenizer is not None else None
        try:
            tokenize, mark = open_tokenizer(path)
        except PlanError as error:
            key = "tokenizer" if path is not None else "unit"
            self._problem(("stages", plan.place, key), f"{error.message}; {error.remedy}")
            return plan, ""
        return replace(plan, tokenize=tokenize), mark

    def _filter(self, place: int, stage: FilterStage) -> None:
        if stage.keep is None:
            self._need_text(stage.column, ("stages", place, "column"))
            for path, message in check_rule_libraries(stage.quality):
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
                    f"there is a column {new!r} already; choose another name",
                )
            kept |= {new}
        self._known = self._known.renamed(stage.columns)

    def _function(self, plan: StagePlan, stage: FunctionStage) -> tuple[StagePlan, str | None]:
        try:
            given = self._functions.get(stage.function)
            if isinstance(given, UserStage):
                return replace(plan, own=given), source_hash_of(
                    type(given), "function", version=stage.version
                )
            if given is None and self._looking is not None:
                found = read_definition(
                    stage.function, "function", base=self._base, own=self._looking.own
                )
                if found is not None:
                    return replace(plan, call=unloaded(stage.function)), read_mark(
                        found, stage.params
                    )
            call = find_callable(stage.function, "function", base=self._base, given=self._functions)
            mark = source_hash_of(call, "function", version=stage.version)
            if inspect.isclass(call) and issubclass(call, UserStage):
                return replace(plan, own=made_stage(call, stage.params)), mark
            return replace(plan, call=call), mark
        except UserFunctionError as error:
            self._problem(("stages", plan.place, error.key), str(error))
            return plan, None

    def _columns(self, plan: StagePlan, stage: ColumnsStage) -> StagePlan:
        resolved = resolve_functions(
            self._as_dataset(stage.columns, select=stage.select),
            base=self._base,
            given=self._functions,
            offline=self._looking is not None,
            own=self._looking is None or self._looking.own,
        )
        config = resolved.config
        made = {column.name for column in config.columns} | {*producers_of(config.columns)}
        try:
            references = [name for column in config.columns for name in references_of(column)]
            references += names_in_select(stage.select) if stage.select is not None else ()
        except TemplateSyntaxError:
            references = []  # checking the columns says what is wrong with it
        read = {name: None for name in references if name not in made}
        seeds = sorted(read if self._known.names is None else self._known.names)
        found = [*resolved.problems, *check_config(config, seed_columns=seeds)]
        found += [
            (
                ("columns", number),
                "a function of a whole column has no row group to see here; use a `function` stage",
            )
            for number, column in enumerate(config.columns)
            if is_whole_column(column)
        ]
        for path, message in found:
            inside = path and path[0] in ("columns", "select")
            self._problem(
                ("stages", plan.place, *path) if inside else path,
                message.replace("the seed data", "the tasks"),
            )
        self._known = self._known.adding(frozenset(made), {})
        if found:
            return plan
        loaded = LoadedDataset(config, self._parsed, self._base, resolved.functions, self._clients)
        schema = pa.schema([(name, pa.string()) for name in read])
        compiled = compile_plan(loaded, SeedInfo(schema, 1, self._hash))
        own = pa.schema([field for field in compiled.schema if field.name not in read])
        self._known = self._known.adding(
            frozenset(own.names), {part.name: part.type for part in own}
        )
        self._hashes |= {name: compiled.fingerprint.column_hashes[name] for name in made}
        return replace(plan, columns=replace(compiled, schema=own), reads=tuple(read))

    def _column_marks(self, plan: StagePlan, stage: ColumnsStage) -> dict[str, Any]:
        if plan.columns is None:
            return {"columns": []}
        hashes = plan.columns.fingerprint.column_hashes
        marks = [
            [c.name, hashes[c.name], getattr(c, "drop", False)] for c in plan.columns.config.columns
        ]
        return {
            "columns": marks,
            **({"select": hashed_fields(stage.select)} if stage.select is not None else {}),
        }

    def _check_sink(self, stages: tuple[StagePlan, ...]) -> None:
        sink = self._config.sink
        for number, name in enumerate(sink.columns or ()):
            self._need(name, ("sink", "columns", number))
            self._check_lineage(name, ("sink", "columns", number))
        seen: set[str] = set()
        for plan in stages:
            if isinstance(plan.stage, RenameStage):
                for old, new in plan.stage.columns.items():
                    self._check_lineage(new, ("stages", plan.place, "columns", old))
            if isinstance(plan.stage, ColumnsStage):
                for number, column in enumerate(plan.stage.columns):
                    self._check_lineage(
                        column.name, ("stages", plan.place, "columns", number, "name")
                    )
                    if column.name in seen and self._known.names is None:
                        path = ("stages", plan.place, "columns", number, "name")
                        self._problem(
                            path, f"an earlier stage makes a column {column.name!r}; rename one"
                        )
                    seen.add(column.name)

    def _check_lineage(self, name: str, path: YamlPath) -> None:
        """A column of the user's that the sink would put another one in the place of."""
        if self._config.sink.lineage and name in LINEAGE:
            self._problem(
                path,
                f"{name!r} is a column of the lineage; rename yours, or set sink.lineage: false",
            )

    def _check_processors(self, stages: tuple[StagePlan, ...]) -> None:
        """Check processors against the columns that are written, as far as those are known."""
        columns, types = columns_made(stages)
        config = self._as_dataset(columns).model_copy(
            update={"processors": self._config.processors}
        )
        sink = self._config.sink
        there = frozenset(sink.columns) if sink.columns is not None else self._known.names
        if there is None:
            problems = [*check_processors(config, None)]
        else:
            if sink.columns is None:
                there -= dropped_columns(self._as_dataset(columns), sorted(there))
            lineage = LINEAGE if sink.lineage else ()
            written = (there - columns_dropped_by(config.processors, sorted(there))).union(lineage)
            if there and not written:
                self._problem(("processors",), "every column is dropped; keep at least one")
            problems = [
                *check_processors(config, written, droppable=there),
                *check_processor_types(config, types),
            ]
        for path, message in problems:
            self._problem(path, message)

    def _plan(self, stages: tuple[StagePlan, ...]) -> PipelinePlan:
        config = self._config
        drops = [hashed_fields(p) for p in config.processors if isinstance(p, DropColumnsProcessor)]
        columns, _ = columns_made(stages)
        fields = [
            field for plan in stages if plan.columns is not None for field in plan.columns.schema
        ]
        dropped = dropped_columns(self._as_dataset(columns), [field.name for field in fields])
        beside = dropped - {column.name for column in columns}
        whole = digest(
            {
                "config_hash_version": CONFIG_HASH_VERSION,
                "kind": "pipeline",
                "stages": self._hash,
                "sink": hashed_fields(config.sink),
                "processors": drops,
                **({"are_dropped": True} if drops else {}),  # which until 0.3 they were not
                **(
                    {"dropped_beside": sorted(beside)}
                    if beside and config.sink.columns is None
                    else {}
                ),  # as above
            }
        )
        fingerprint = Fingerprint(whole, whole, self._hashes, self._hashes)
        dataset = self._as_dataset(columns).model_copy(update={"processors": config.processors})
        graphs = [plan.columns for plan in stages if plan.columns is not None]
        models = used_models(dataset)
        shell = DatasetPlan(
            config=dataset,
            graph=graphs[0].graph if graphs else build_graph(self._as_dataset(())),
            fingerprint=fingerprint,
            schema=pa.schema(fields),
            seed_columns=(),
            dropped=dropped,
            row_groups=(),
            models=models,
            simulated=any(provider.provider_type == "simulated" for _, provider in models.values()),
            clients=self._clients,
            tools=used_tools(dataset, base=self._base),
        )
        types = {field.name: field.type for field in fields}
        return PipelinePlan(
            config, stages, fingerprint, dropped, shell, types, self._parsed, self._base
        )
