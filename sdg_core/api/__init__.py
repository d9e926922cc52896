"""The public Python API: everything that the `sdg` command and the Dagster assets do is a call here.

    dataset = api.open_dataset("support_tickets.yaml")
    api.generate(dataset)
    print(api.process(dataset).outputs)

Functions take an open dataset, return frozen values, and raise errors of `sdg_core.errors`. The module also exports
the types they return, the events of a run, and base classes. A name is imported from its module on first use, so a
program loads only what it calls. Type checkers read the imports below; `_MODULES` is the same table for Python, and a
test keeps the two in step.
"""

from importlib import import_module
from inspect import isfunction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdg_core.api import pipelines, projects, stored
    from sdg_core.api.finish import (
        PushPlan,
        export,
        finished_digest,
        process,
        push,
        reopen,
        report,
    )
    from sdg_core.api.pipelines import Pipeline, Stage, open_pipeline
    from sdg_core.api.stored import scan
    from sdg_core.api.verbs import (
        check_evaluation_sets,
        check_models,
        check_tools,
        effects_of_file,
        estimate,
        generate,
        history,
        import_builder_config,
        is_own_file,
        measure_constraints,
        plan,
        preview,
        prune,
        status,
        versions,
    )
    from sdg_core.config.columns import Column, SamplerColumn, SeedColumn
    from sdg_core.config.dataset import DatasetConfig
    from sdg_core.config.json_schema import json_schema
    from sdg_core.config.load import is_pipeline
    from sdg_core.config.models import ModelConfig, ModelProvider
    from sdg_core.config.run import RunSettings
    from sdg_core.config.run_settings import (
        RUN_SETTINGS,
        ExecutorChoice,
        ResumeChoice,
        ResumeMode,
        WhenClaimedChoice,
        resume_mode,
    )
    from sdg_core.config.seeds import DatasetSeedSource, LocalSeedSource
    from sdg_core.dataset.estimates import comparison_text
    from sdg_core.dataset.events import (
        CellStarted,
        Event,
        Notice,
        Observer,
        RecordsSettled,
        RowGroupFinished,
        RowGroupSaved,
        RunStarted,
        SourcesProgress,
    )
    from sdg_core.dataset.handle import (
        ConfigLike,
        Dataset,
        measured_version,
        open_dataset,
        row_group_statuses,
        seal_of,
    )
    from sdg_core.dataset.spending import DatasetSpending
    from sdg_core.dataset.status import DatasetStatus, StoredStatus
    from sdg_core.errors import (
        BudgetReachedError,
        CallbackError,
        CellError,
        ClaimedError,
        ClaimLostError,
        ConfigDriftError,
        ConfigError,
        ConstraintError,
        CorruptFileError,
        FilterError,
        FunctionError,
        HubError,
        IncompleteError,
        LedgerError,
        MetadataCorruptError,
        MetadataError,
        MetadataFieldError,
        MetadataMissingError,
        MetadataVersionError,
        ModelError,
        PermanentModelError,
        PlanError,
        Problem,
        RateLimitedError,
        RefusedError,
        ReplyDeferredError,
        RowGroupSizeError,
        RunAbortedError,
        SdgError,
        SealedError,
        SeedError,
        SeedNotReadError,
        ShrinkError,
        StoreError,
        TransientModelError,
        UnrecognizedFileError,
    )
    from sdg_core.execution.context import OnRowGroup
    from sdg_core.execution.dry_run import ColumnPlan, RunPlan
    from sdg_core.execution.estimate import Estimate
    from sdg_core.execution.generate import agenerate
    from sdg_core.execution.open_row_group import HEAD_ROWS
    from sdg_core.execution.preview import Preview
    from sdg_core.execution.summary import RunSummary
    from sdg_core.generators.samplers.group_sampler import Acceptance
    from sdg_core.ledger.history import RunRecord
    from sdg_core.models.health import ModelHealth
    from sdg_core.models.mcp.toolbox import ToolHealth
    from sdg_core.models.types import (
        AudioPart,
        ChatClient,
        ChatRequest,
        ChatResponse,
        EmbeddingRequest,
        EmbeddingResponse,
        Image,
        ImagePart,
        ImageRequest,
        ImageResponse,
        Message,
        TextPart,
        Tool,
        ToolCall,
        VideoPart,
    )
    from sdg_core.models.usage import Usage
    from sdg_core.plan.checks.prompts import prompt_notices
    from sdg_core.plan.compile import (
        config_fingerprint,
        dropped_columns,
        planned_schema,
    )
    from sdg_core.plan.dataset_plan import DatasetPlan
    from sdg_core.plan.effects import Effects
    from sdg_core.plan.graph import ColumnGraph, build_graph
    from sdg_core.plan.import_builder_config import ImportedConfig
    from sdg_core.plan.kinds import column_type, producers_of
    from sdg_core.plan.load import load_dataset
    from sdg_core.plan.row_groups import (
        RowGroup,
        Shard,
        contiguous_ranges,
        format_ranges,
        parse_row_groups,
        plan_row_groups,
        row_group_count,
        row_group_key,
    )
    from sdg_core.plan.usage import Cost, UsageByModel, costs, money_text, totals
    from sdg_core.processing.export import Exported
    from sdg_core.processing.process import ProcessingResult, check_complete
    from sdg_core.profiling.build import MadeReport, read_report
    from sdg_core.profiling.formatting import distinct, one_line_summary
    from sdg_core.scaffold.project import make_project
    from sdg_core.seeds.base import ItemReader, SeedReader
    from sdg_core.seeds.directory import DirectoryReader
    from sdg_core.store.atomic import write_atomic
    from sdg_core.store.failures import (
        Failure,
        FailureCount,
        count_failures,
        failures_of,
    )
    from sdg_core.store.layout import VersionLayout, part_files, resolve_root
    from sdg_core.store.metadata import to_the_second
    from sdg_core.store.objects import ObjectPath, StorePath
    from sdg_core.store.os_errors import store_errors
    from sdg_core.store.parts import finished_parts, scan_parts
    from sdg_core.store.roots import project_of_data
    from sdg_core.store.row_group_state import (
        RowGroupState,
        RowGroupStatus,
        StoredPartition,
    )
    from sdg_core.store.row_groups import (
        Footer,
        SelectionCounts,
        count_selection,
        read_head,
        read_rows,
    )
    from sdg_core.store.version_list import VersionInfo
    from sdg_core.store.versions import Version

_MODULES = {
    "sdg_core.plan.effects": "Effects",
    "sdg_core.config.json_schema": "json_schema",
    "sdg_core.config.load": "is_pipeline",
    "sdg_core.plan.checks.prompts": "prompt_notices",
    "sdg_core.api": "pipelines projects stored",
    "sdg_core.api.finish": "PushPlan export finished_digest process push reopen report",
    "sdg_core.api.pipelines": "Pipeline Stage open_pipeline",
    "sdg_core.api.stored": "scan",
    "sdg_core.api.verbs": (
        "check_evaluation_sets check_models check_tools effects_of_file estimate generate history import_builder_config "
        "is_own_file measure_constraints plan preview prune status versions"
    ),
    "sdg_core.config.columns": "Column SamplerColumn SeedColumn",
    "sdg_core.config.dataset": "DatasetConfig",
    "sdg_core.config.models": "ModelConfig ModelProvider",
    "sdg_core.config.run": "RunSettings",
    "sdg_core.config.run_settings": "RUN_SETTINGS ExecutorChoice ResumeChoice ResumeMode WhenClaimedChoice resume_mode",
    "sdg_core.config.seeds": "DatasetSeedSource LocalSeedSource",
    "sdg_core.dataset.estimates": "comparison_text",
    "sdg_core.dataset.events": (
        "CellStarted Event Notice Observer RecordsSettled RowGroupFinished RowGroupSaved RunStarted SourcesProgress"
    ),
    "sdg_core.dataset.handle": "ConfigLike Dataset measured_version open_dataset row_group_statuses seal_of",
    "sdg_core.dataset.spending": "DatasetSpending",
    "sdg_core.dataset.status": "DatasetStatus StoredStatus",
    "sdg_core.errors": (
        "BudgetReachedError CallbackError CellError ClaimLostError ClaimedError ConfigDriftError ConfigError "
        "ConstraintError CorruptFileError FilterError FunctionError HubError IncompleteError LedgerError MetadataCorruptError "
        "MetadataError MetadataFieldError MetadataMissingError MetadataVersionError ModelError "
        "PermanentModelError PlanError Problem RateLimitedError RefusedError ReplyDeferredError RowGroupSizeError "
        "RunAbortedError SdgError SealedError SeedError SeedNotReadError ShrinkError StoreError TransientModelError "
        "UnrecognizedFileError"
    ),
    "sdg_core.execution.context": "OnRowGroup",
    "sdg_core.execution.dry_run": "ColumnPlan RunPlan",
    "sdg_core.execution.estimate": "Estimate",
    "sdg_core.execution.generate": "agenerate",
    "sdg_core.execution.open_row_group": "HEAD_ROWS",
    "sdg_core.execution.preview": "Preview",
    "sdg_core.execution.summary": "RunSummary",
    "sdg_core.generators.samplers.group_sampler": "Acceptance",
    "sdg_core.ledger.history": "RunRecord",
    "sdg_core.models.health": "ModelHealth",
    "sdg_core.models.mcp.toolbox": "ToolHealth",
    "sdg_core.models.types": (
        "AudioPart ChatClient ChatRequest ChatResponse EmbeddingRequest EmbeddingResponse Image "
        "ImagePart ImageRequest ImageResponse Message TextPart Tool ToolCall VideoPart"
    ),
    "sdg_core.models.usage": "Usage",
    "sdg_core.plan.compile": "config_fingerprint dropped_columns planned_schema",
    "sdg_core.plan.dataset_plan": "DatasetPlan",
    "sdg_core.plan.graph": "ColumnGraph build_graph",
    "sdg_core.plan.import_builder_config": "ImportedConfig",
    "sdg_core.plan.kinds": "column_type producers_of",
    "sdg_core.plan.load": "load_dataset",
    "sdg_core.plan.row_groups": (
        "RowGroup Shard contiguous_ranges format_ranges parse_row_groups plan_row_groups row_group_count row_group_key"
    ),
    "sdg_core.plan.usage": "Cost UsageByModel costs money_text totals",
    "sdg_core.processing.export": "Exported",
    "sdg_core.processing.process": "ProcessingResult check_complete",
    "sdg_core.profiling.build": "MadeReport read_report",
    "sdg_core.profiling.formatting": "distinct one_line_summary",
    "sdg_core.scaffold.project": "make_project",
    "sdg_core.seeds.base": "ItemReader SeedReader",
    "sdg_core.seeds.directory": "DirectoryReader",
    "sdg_core.store.atomic": "write_atomic",
    "sdg_core.store.failures": "Failure FailureCount count_failures failures_of",
    "sdg_core.store.layout": "VersionLayout part_files resolve_root",
    "sdg_core.store.metadata": "to_the_second",
    "sdg_core.store.objects": "ObjectPath StorePath",
    "sdg_core.store.os_errors": "store_errors",
    "sdg_core.store.parts": "finished_parts scan_parts",
    "sdg_core.store.roots": "project_of_data",
    "sdg_core.store.row_group_state": "RowGroupState RowGroupStatus StoredPartition",
    "sdg_core.store.row_groups": "Footer SelectionCounts count_selection read_head read_rows",
    "sdg_core.store.version_list": "VersionInfo",
    "sdg_core.store.versions": "Version",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "Acceptance",
    "AudioPart",
    "BudgetReachedError",
    "CallbackError",
    "CellError",
    "CellStarted",
    "ChatClient",
    "ChatRequest",
    "ChatResponse",
    "ClaimLostError",
    "ClaimedError",
    "Column",
    "ColumnGraph",
    "ColumnPlan",
    "ConfigDriftError",
    "ConfigError",
    "ConfigLike",
    "ConstraintError",
    "CorruptFileError",
    "Cost",
    "Dataset",
    "DatasetConfig",
    "DatasetPlan",
    "DatasetSeedSource",
    "DatasetSpending",
    "DatasetStatus",
    "DirectoryReader",
    "Effects",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "Estimate",
    "Event",
    "ExecutorChoice",
    "Exported",
    "Failure",
    "FailureCount",
    "FilterError",
    "Footer",
    "FunctionError",
    "HEAD_ROWS",
    "HubError",
    "Image",
    "ImagePart",
    "ImageRequest",
    "ImageResponse",
    "ImportedConfig",
    "IncompleteError",
    "ItemReader",
    "LedgerError",
    "LocalSeedSource",
    "MadeReport",
    "Message",
    "MetadataCorruptError",
    "MetadataError",
    "MetadataFieldError",
    "MetadataMissingError",
    "MetadataVersionError",
    "ModelConfig",
    "ModelError",
    "ModelHealth",
    "ModelProvider",
    "Notice",
    "ObjectPath",
    "Observer",
    "OnRowGroup",
    "PermanentModelError",
    "Pipeline",
    "PlanError",
    "Preview",
    "Problem",
    "ProcessingResult",
    "PushPlan",
    "RUN_SETTINGS",
    "RateLimitedError",
    "RecordsSettled",
    "RefusedError",
    "ReplyDeferredError",
    "ResumeChoice",
    "ResumeMode",
    "RowGroup",
    "RowGroupFinished",
    "RowGroupSaved",
    "RowGroupSizeError",
    "RowGroupState",
    "RowGroupStatus",
    "RunAbortedError",
    "RunPlan",
    "RunRecord",
    "RunSettings",
    "RunStarted",
    "RunSummary",
    "SamplerColumn",
    "SdgError",
    "SealedError",
    "SeedColumn",
    "SeedError",
    "SeedNotReadError",
    "SeedReader",
    "SelectionCounts",
    "Shard",
    "ShrinkError",
    "SourcesProgress",
    "Stage",
    "StoreError",
    "StorePath",
    "StoredPartition",
    "StoredStatus",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolHealth",
    "TransientModelError",
    "UnrecognizedFileError",
    "Usage",
    "UsageByModel",
    "Version",
    "VersionInfo",
    "VersionLayout",
    "VideoPart",
    "WhenClaimedChoice",
    "agenerate",
    "build_graph",
    "check_complete",
    "check_evaluation_sets",
    "check_models",
    "check_tools",
    "column_type",
    "comparison_text",
    "config_fingerprint",
    "contiguous_ranges",
    "costs",
    "count_failures",
    "count_selection",
    "distinct",
    "dropped_columns",
    "effects_of_file",
    "estimate",
    "export",
    "failures_of",
    "finished_digest",
    "finished_parts",
    "format_ranges",
    "generate",
    "history",
    "import_builder_config",
    "is_own_file",
    "is_pipeline",
    "json_schema",
    "load_dataset",
    "make_project",
    "measure_constraints",
    "measured_version",
    "money_text",
    "one_line_summary",
    "open_dataset",
    "open_pipeline",
    "parse_row_groups",
    "part_files",
    "pipelines",
    "plan",
    "plan_row_groups",
    "planned_schema",
    "preview",
    "process",
    "producers_of",
    "project_of_data",
    "projects",
    "prompt_notices",
    "prune",
    "push",
    "read_head",
    "read_report",
    "read_rows",
    "reopen",
    "report",
    "resolve_root",
    "resume_mode",
    "row_group_count",
    "row_group_key",
    "row_group_statuses",
    "scan",
    "scan_parts",
    "seal_of",
    "status",
    "store_errors",
    "stored",
    "to_the_second",
    "totals",
    "versions",
    "write_atomic",
]

_FORMER_NAMES = {"config_part": "config_fingerprint"}
"""Of functions, until 0.3; those of classes stand beside them."""


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for. Raises AttributeError for a name that is not public."""
    name = _FORMER_NAMES.get(name, name)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    value = (
        import_module(f"{home}.{name}")
        if home == __name__
        else getattr(import_module(home), name)
    )
    if isfunction(value):
        value = import_module("sdg_core.api.arguments").checked(value, name=name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals() | _HOMES)
