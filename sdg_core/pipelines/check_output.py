"""Checks of what a pipeline writes: the sink's columns, its lineage, and the processors that come after it."""

from collections.abc import Sequence

from sdg_core.config.pipeline import ColumnsStage, PipelineConfig, RenameStage
from sdg_core.config.yaml_document import Path as YamlPath
from sdg_core.config.yaml_document import Problems
from sdg_core.pipelines.known_columns import KnownColumns
from sdg_core.pipelines.plan import StagePlan, columns_made, config_as_dataset
from sdg_core.plan.checks.processors import check_processor_types, check_processors
from sdg_core.plan.compile import columns_dropped_by, dropped_columns

LINEAGE = ("_source", "_task")


def check_sink(
    config: PipelineConfig, stages: Sequence[StagePlan], known: KnownColumns
) -> Problems:
    """The columns that are written exist, and none is made twice or has a name that the lineage needs.

    known: the columns behind the last stage.
    """
    for number, name in enumerate(config.sink.columns or ()):
        path: YamlPath = ("sink", "columns", number)
        missing = known.why_missing(name)
        if missing is not None:
            yield path, missing
        yield from _check_lineage(config, name, path)
    made: set[str] = set()
    for plan in stages:
        match plan.stage:
            case RenameStage(columns=new_names):
                for old, new in new_names.items():
                    yield from _check_lineage(
                        config, new, ("stages", plan.place, "columns", old)
                    )
            case ColumnsStage(columns=columns):
                for number, column in enumerate(columns):
                    path = ("stages", plan.place, "columns", number, "name")
                    yield from _check_lineage(config, column.name, path)
                    if column.name in made and known.names is None:
                        yield (
                            path,
                            f"an earlier stage already creates a column {column.name!r}; rename one",
                        )
                    made.add(column.name)


def _check_lineage(config: PipelineConfig, name: str, path: YamlPath) -> Problems:
    """A column of the user's must not have the name of one that the sink adds."""
    if config.sink.lineage and name in LINEAGE:
        yield (
            path,
            f"{name!r} is a lineage column; rename yours, or set sink.lineage: false",
        )


def check_processors_of(
    config: PipelineConfig, stages: Sequence[StagePlan], known: KnownColumns
) -> Problems:
    """Processors fit the columns that are written, as far as those are known."""
    columns, types = columns_made(stages)
    dataset = config_as_dataset(config, columns)
    with_processors = dataset.model_copy(update={"processors": config.processors})
    if config.sink.columns is not None:
        there = frozenset(config.sink.columns)
    elif known.names is not None:
        there = known.names - dropped_columns(dataset, sorted(known.names))
    else:
        yield from check_processors(with_processors, None)
        return
    lineage = LINEAGE if config.sink.lineage else ()
    dropped = columns_dropped_by(config.processors, sorted(there))
    written = (there - dropped).union(lineage)
    if there and not written:
        yield ("processors",), "every column is dropped; keep at least one"
    yield from check_processors(with_processors, written, droppable=there)
    yield from check_processor_types(with_processors, types)
