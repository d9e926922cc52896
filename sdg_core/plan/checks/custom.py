"""Checks of custom columns that need no look at the function itself; that is done where functions are loaded."""

from typing import Any

from sdg_core.config.columns import Column, CustomColumn
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.types.arrow import declared_type


def check_custom(column: Column) -> Problems:
    """Problems of a column if it is a custom one, by path inside the column."""
    if not isinstance(column, CustomColumn):
        return
    if column.allow_resize and column.generation_strategy != "full_column":
        yield (
            ("allow_resize",),
            "is valid only with generation_strategy: full_column; a per-record function returns one value",
        )
    types: list[tuple[Path, Any]] = []
    if column.output_type is not None:
        types.append((("output_type",), column.output_type))
    side_effects = column.side_effect_columns or ()
    for name, declared in (column.side_effect_types or {}).items():
        path: Path = ("side_effect_types", name)
        types.append((path, declared))
        if name not in side_effects:
            yield (
                path,
                f"{name!r} is not among side_effect_columns{did_you_mean(name, side_effects)}",
            )
    for path, declared in types:
        try:
            declared_type(declared)
        except ValueError as error:
            yield path, str(error)
