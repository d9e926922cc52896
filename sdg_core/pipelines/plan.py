"""What `sdg_core.pipelines.compile` makes of a pipeline file: its stages, resolved, and what a run needs to know of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import pyarrow as pa

from sdg_core.config.columns import Column
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.parsed_config import ParsedConfig
from sdg_core.config.pipeline import (
    ColumnsStage,
    ExplodeStage,
    FilterStage,
    FunctionStage,
    PipelineConfig,
    RenameStage,
    SelectStage,
    SplitStage,
    Stage,
)
from sdg_core.config.select import SelectConfig
from sdg_core.custom import Resources
from sdg_core.custom import Stage as UserStage
from sdg_core.pipelines.tokens import Tokenize
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.fingerprint import Fingerprint


@dataclass(frozen=True)
class StagePlan:
    """A stage, resolved. columns: the plan of its columns. call: the user's function. own: an object of the user's class, which
    does what a function would. reads: what its columns read of a task.
    tokenize: of a split into tokens.
    prefix: the fingerprint of the pipeline up to it, which its checkpoints are filed under."""

    place: int
    stage: Stage
    columns: DatasetPlan | None = None
    call: Callable[..., Any] | None = None
    own: UserStage | None = None
    tokenize: Tokenize | None = None
    reads: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def label(self) -> str:
        """What to call the stage in messages and files."""
        return f"stages[{self.place}]"

    @property
    def concurrency(self) -> int | None:
        """Batches at once; None where nothing limits them."""
        stated: int | None = getattr(self.stage, "concurrency", None)
        if stated is None and self.own is not None:
            return self.own.concurrency
        return stated

    @property
    def resources(self) -> Resources:
        """What one worker of the stage takes of a machine."""
        stated = getattr(self.stage, "resources", None)
        if stated is not None:
            return Resources(cpus=stated.cpus, gpus=stated.gpus)
        return self.own.resources if self.own is not None else Resources()

    @property
    def batch_size(self) -> int | None:
        """Records that a function is given at once; None for one that is not given a list."""
        stated: int | None = getattr(self.stage, "batch_size", None)
        if stated is None and self.own is not None:
            return self.own.batch_size
        return stated


@dataclass(frozen=True)
class PipelinePlan:
    """Everything a run needs to know of a pipeline but its sources.

    dropped: columns that are not written. shell: the same as a dataset's plan, for what the two have in common (versions, seal,
    claims); its columns are those of all stages. types: of the columns that stages make.
    """

    config: PipelineConfig
    stages: tuple[StagePlan, ...]
    fingerprint: Fingerprint
    dropped: frozenset[str]
    shell: DatasetPlan
    types: Mapping[str, pa.DataType]
    parsed: ParsedConfig
    base: Path


def config_as_dataset(
    config: PipelineConfig,
    columns: tuple[Column, ...],
    *,
    select: SelectConfig | None = None,
) -> DatasetConfig:
    """A dataset of these columns that has the pipeline's name, models, tools and settings."""
    return DatasetConfig.model_construct(
        name=config.name,
        seed=config.seed,
        model_providers=config.model_providers,
        model_configs=config.model_configs,
        mcp_providers=config.mcp_providers,
        tool_configs=config.tool_configs,
        run=config.run,
        num_records=1,
        row_group_size=1,
        columns=columns,
        select=select,
    )


def columns_made(
    stages: Sequence[StagePlan],
) -> tuple[tuple[Column, ...], dict[str, pa.DataType]]:
    """The columns that stages add, and the types of those that no later stage may put another value in the place of."""
    columns: list[Column] = []
    types: dict[str, pa.DataType] = {}
    for plan in stages:
        match plan.stage:
            case ColumnsStage() if plan.columns is not None:
                columns += plan.columns.config.columns
                for field in plan.columns.schema:
                    types[field.name] = field.type
            case SplitStage(column=name):
                types[f"{name}_start"] = pa.int64()
            case FunctionStage() | ExplodeStage() | RenameStage():
                types = {}
            case ColumnsStage() | FilterStage() | SelectStage():
                pass
            case _:
                assert_never(plan.stage)
    return tuple(columns), types
