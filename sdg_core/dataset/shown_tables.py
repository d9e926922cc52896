"""Tables as notebooks show them: the records of a preview, the columns of a dataset."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

MAX_LENGTH = 300
"""Characters of a value that are shown."""


def shown_value(value: Any, *, longest: int | None = MAX_LENGTH) -> str:
    """A value for people: text as it is, structs and lists as JSON; cut off at `longest` characters."""
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest].rstrip()} … ({len(text):,} characters)"


def as_html(
    columns: Sequence[str],
    records: Iterable[tuple[int, Sequence[Any]]],
    remarks: Iterable[str],
) -> str:
    """A table of numbered records, and remarks below it. Everything that comes from data is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = []
    for number, values in records:
        cells = "".join(_cell(value) for value in values)
        rows.append(f"<tr><th>{number}</th>{cells}</tr>")
    below = "".join(f"<p>{escape(remark)}</p>" for remark in remarks)
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{below}"


def _cell(value: Any) -> str:
    return f'<td style="text-align:left;white-space:pre-wrap">{escape(shown_value(value))}</td>'
