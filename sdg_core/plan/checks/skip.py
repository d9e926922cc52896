"""Checks of `skip` blocks: a condition over other columns, and a value that the column can hold."""

import re

from sdg_core.config.columns import Column, SkippableColumn
from sdg_core.config.yaml_document import Problems
from sdg_core.plan.kinds import resizes, side_effects_of
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references
from sdg_core.plan.templates.skip import skip_value


def check_skip(column: Column) -> Problems:
    """Problems of a column's `skip`, by path inside the column. Unknown names in it are found with all other references."""
    if not isinstance(column, SkippableColumn) or column.skip is None:
        return
    if resizes(column):
        yield (
            ("skip",),
            "a column that changes the rows (allow_resize) has no cells to skip; remove one of the two",
        )
    if "{{" not in column.skip.when and "{%" not in column.skip.when:
        condition = re.sub(r"(?<![=!<>])=(?!=)", "==", column.skip.when.strip())
        yield (
            ("skip", "when"),
            f"is plain text; write a template, such as {{{{ {condition} }}}}",
        )
        return
    try:
        names = template_references(column.skip.when)
    except TemplateSyntaxError:
        return  # reported with the templates
    if not names:
        yield (
            ("skip", "when"),
            "reads no column, so it is the same for every record; remove the column or the skip",
        )
    for name in side_effects_of(column):
        if name in names:
            yield (
                ("skip", "when"),
                f"{name!r} is produced by this column; use other columns",
            )
    try:
        skip_value(column)
    except ValueError as error:
        yield ("skip", "value"), f"does not fit the column: {error}"
