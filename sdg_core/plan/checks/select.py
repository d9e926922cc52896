"""Checks of `select`: its templates can be read, and a record can be drawn again without its neighbours."""

from collections.abc import Iterator, Set
from contextlib import suppress

from sdg_core.config.columns import (
    EmbeddingColumn,
    ExpressionColumn,
    LlmJudgeColumn,
    ModelColumn,
    SeedColumn,
    ValidationColumn,
)
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.select import SelectConfig
from sdg_core.config.yaml_document import Problems
from sdg_core.plan.checks.processors import as_template, check_condition
from sdg_core.plan.graph import build_graph
from sdg_core.plan.kinds import is_whole_column, resizes, templates_of
from sdg_core.plan.templates.engine import (
    TemplateSyntaxError,
    chooses,
    template_references,
)


def check_select(config: DatasetConfig, known: Set[str] | None) -> Problems:
    """Problems of `select`. known: the columns there are, None while seed columns are not known."""
    select = config.select
    if select is None:
        return
    templates = {"keep": select.keep}
    if select.best is not None:
        templates["best"] = as_template(select.best)
    for field, source in templates.items():
        if source is None:
            continue
        for path, message in check_condition(source, field, known):
            yield ("select", *path), message
    for index, column in enumerate(config.columns):
        if is_whole_column(column) or resizes(column):
            yield (
                ("columns", index),
                f"{column.name!r} is computed for a whole row group, so `select` cannot draw a single record again; make its "
                "function work on one record, or use a processor `filter` instead",
            )
    if select.candidates > 1 and not any(map(_varies, config.columns)):
        yield (
            ("select", "candidates"),
            "every candidate of a record would be the same, because no column is drawn, asked of a model or made by a function; "
            "use a processor `filter` instead",
        )


def names_in_select(select: SelectConfig) -> list[str]:
    """The columns that the templates of `select` read; none of a template that cannot be read."""
    sources = []
    if select.keep is not None:
        sources.append(select.keep)
    if select.best is not None:
        sources.append(as_template(select.best))
    names = set[str]()
    for source in sources:
        with suppress(TemplateSyntaxError):
            names |= template_references(source)
    return sorted(names)


def select_notices(config: DatasetConfig) -> Iterator[str]:
    """Columns whose model gives every candidate of a record the same reply, because nothing in the request differs."""
    if config.select is None or config.select.candidates == 1:
        return
    graph = build_graph(config)
    varying = set[str]()
    columns = {column.name: column for column in config.columns}
    for name in graph.order:
        column = columns[name]
        differs = (
            _is_drawn(column, config)
            if isinstance(column, ModelColumn)
            else _varies(column)
        )
        if differs or graph.ancestors(name) & varying:
            varying.add(name)
        elif isinstance(column, ModelColumn) and not isinstance(
            column, LlmJudgeColumn | EmbeddingColumn
        ):
            yield (
                f"every candidate of a record may get the same reply in {name!r}: it reads nothing that differs between "
                "them, and its model is asked with temperature 0 or a fixed seed"
            )


def _is_drawn(column: ModelColumn, config: DatasetConfig) -> bool:
    """Whether a model may reply differently to the same request."""
    models = {model.alias: model for model in config.model_configs}
    providers = {provider.name: provider for provider in config.model_providers}
    model = models[column.model_alias]
    provider = providers[model.provider]
    if provider.provider_type == "simulated":
        return True
    parameters = model.inference_parameters
    fixed = dict(provider.extra_body or {})
    fixed.update(getattr(parameters, "extra_body", None) or {})
    if "seed" in fixed:
        return False
    return getattr(parameters, "temperature", None) != 0


def _varies(column: object) -> bool:
    """Whether a column's cell may be another one in the next candidate by the column's own doing."""
    if isinstance(column, ExpressionColumn):
        templates = templates_of(column).values()
        return any(map(chooses, templates))
    return not isinstance(column, SeedColumn | ValidationColumn)
