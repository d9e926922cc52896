"""Checks of `select`: its templates can be read, and a record can be drawn again without its neighbours."""

from collections.abc import Set

from sdg_core.config.columns import CustomColumn, ExpressionColumn, SeedColumn, ValidationColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.yaml_document import Problems
from sdg_core.plan.checks.processors import as_template, check_condition
from sdg_core.plan.kinds import is_whole_column, resizes, templates_of
from sdg_core.plan.templates.engine import chooses


def check_select(config: DatasetConfig, known: Set[str] | None) -> Problems:
    """Problems of `select`. known: the columns there are, None while seed columns are not known."""
    select = config.select
    if select is None:
        return
    templates = {"keep": select.keep, "best": as_template(select.best) if select.best is not None else None}
    for field, source in templates.items():
        for path, message in check_condition(source, field, known) if source is not None else ():
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


def _varies(column: object) -> bool:
    """Whether a column's cell may be another one in the next candidate by the column's own doing."""
    if isinstance(column, ExpressionColumn):
        return any(map(chooses, templates_of(column).values()))
    if isinstance(column, CustomColumn):
        return True
    return not isinstance(column, SeedColumn | ValidationColumn)
