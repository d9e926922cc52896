"""What looks like a mistake in a prompt or an expression and may be meant: said, not refused."""

import re
from collections.abc import Collection, Iterator

from sdg_core.config.columns import ChatColumn, ExpressionColumn, ImageColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.plan.checks.select import select_notices
from sdg_core.plan.kinds import templates_of, values_read
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references

_TAGS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_SINGLE = re.compile(r"\{\s*([^\W\d]\w*)(?:[.\[][^{}]*)?\}")


def prompt_notices(config: DatasetConfig, *, names: Collection[str]) -> Iterator[str]:
    """Notices on columns in single braces or without braces, which are not rendered, and on prompts that are the same
    for every record or every candidate.

    names: all columns of the dataset, including seed columns.
    """
    for column in config.columns:
        if isinstance(column, ExpressionColumn) and _lacks_braces(column.expr, names):
            written = column.expr.strip()
            yield f"expr of {column.name!r} has no braces, so every value is the text {written!r}; write {{{{ {written} }}}}"
        if not isinstance(column, ChatColumn | ImageColumn):
            continue
        for path, source in templates_of(column).items():
            single = [
                name for name in _SINGLE.findall(_TAGS.sub("", source)) if name in names
            ]
            for name in dict.fromkeys(single):
                yield (
                    f"{path[0]} of {column.name!r} has {{{name}}}, which is sent literally; write "
                    f"{{{{ {name} }}}} for the column"
                )
        if column.prompt and not values_read(column):
            yield f"the prompt of {column.name!r} reads no column, so every record sends the same prompt"
    yield from select_notices(config)


def _lacks_braces(source: str, names: Collection[str]) -> bool:
    """Whether a text without tags would be an expression over columns, and over nothing else, if it stood in braces."""
    if "{" in source:
        return False
    try:
        read = template_references("{{ " + source + " }}")
    except TemplateSyntaxError:
        return False
    return bool(read) and read <= set(names)
