"""The page of a report: one file without scripts or references to anything else. What comes from data is escaped by the template.

Charts are plain SVG bars that take their colours from the page, so that they follow its dark mode.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jinja2
import orjson
from markupsafe import Markup

from sdg_core.counts import counted
from sdg_core.dataset.estimates import comparison_text
from sdg_core.ledger.history import RunRecord
from sdg_core.plan.usage import money_text
from sdg_core.profiling import formatting
from sdg_core.profiling.model import Bin, ColumnProfile
from sdg_core.profiling.report import Report

_WIDTH = 400
_HEIGHT = 80
_GAP = 1.5
_BAR = Markup(
    '<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}: {}</title></rect>'
)
_CHART = Markup(
    '<figure class="hist"><svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    "<figcaption><span>{}</span><span>{}</span></figcaption></figure>"
)
_SHORT = 280
_LINES = 8


def page(report: Report) -> str:
    """The report as HTML."""
    return _template().render(report=report, facts=report.facts)


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "histogram": histogram,
        "column_facts": formatting.facts_of,
        "counted": counted,
    }
    environment.globals["comparison"] = comparison_text
    environment.filters |= {
        "number": formatting.number,
        "percent": formatting.percent,
        "with_share": formatting.count_with_share,
        "money": money_text,
        "distinct": formatting.distinct,
        "one_line_summary": formatting.one_line_summary,
        "line": formatting.shown_value,
        "minute": _minute,
        "started": _started,
        "took": _took,
        "written": _written,
        "yaml_like": _yaml_like,
        "beginning": _beginning,
    }
    source = (
        files("sdg_core.profiling")
        .joinpath("report.html.j2")
        .read_text(encoding="utf-8")
    )
    return environment.from_string(source)


def histogram(column: ColumnProfile) -> Markup:
    """Bars from the first bin to the last; each says its range and its count when pointed at. None where values are listed."""
    bins = _bins(column)
    if len(bins) < 2:
        return Markup("")
    most = max(item.count for item in bins) or 1
    step = _WIDTH / len(bins)
    drawn = Markup("")
    for place, item in enumerate(bins):
        if not item.count:
            continue
        low = _edge(item.low)
        high = _edge(item.high)
        reach = low if low == high else f"{low} to {high}"
        height = max(1.0, _HEIGHT * item.count / most)
        count = f"{item.count:,}"
        drawn += _BAR.format(
            place * step, _HEIGHT - height, step - _GAP, height, reach, count
        )
    first = _edge(bins[0].low)
    last = _edge(bins[-1].high)
    return _CHART.format(
        _WIDTH, _HEIGHT, f"histogram of {column.name}", drawn, first, last
    )


def _bins(column: ColumnProfile) -> Sequence[Bin]:
    if column.times is not None:
        return column.times.histogram
    numbers = column.numbers if column.numbers is not None else column.lengths
    if numbers is None or formatting.lists_values(column):
        return ()
    bins = numbers.histogram
    has_whole_edges = all(float(item.high).is_integer() for item in bins)
    if isinstance(numbers.minimum, int) and has_whole_edges:
        # A bin of whole numbers is shown with the last one in it.
        return [replace(item, high=float(item.high) - 1) for item in bins]
    return bins


def _edge(edge: float | str) -> str:
    return edge.replace("T", " ") if isinstance(edge, str) else formatting.number(edge)


def _minute(time: str) -> str:
    """An ISO 8601 time in UTC to the minute."""
    return f"{time[:16].replace('T', ' ')} UTC"


def _started(run: RunRecord) -> str:
    started = datetime.fromtimestamp(run.started_at, UTC)
    return _minute(started.isoformat())


def _took(run: RunRecord) -> str:
    if run.ended_at is None:
        return ""
    minutes, seconds = divmod(run.ended_at - run.started_at, 60)
    return f"{minutes:.0f} min {seconds:.0f} s" if minutes else f"{seconds:.1f} s"


def _written(value: Any) -> str:
    """A value of a record: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    option = orjson.OPT_INDENT_2 if isinstance(value, dict | list) else 0
    return orjson.dumps(value, option=option).decode()


def _yaml_like(value: Any) -> str:
    """Settings on one line, but for those that are empty."""
    if isinstance(value, dict):
        given = {name: item for name, item in value.items() if item not in ({}, [], ())}
        settings = [f"{name}: {_yaml_like(item)}" for name, item in given.items()]
        return ", ".join(settings)
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _beginning(text: str) -> str | None:
    """The beginning of a text that is too long to be shown at once, on one line; None for others."""
    if len(text) <= _SHORT and text.count("\n") <= _LINES:
        return None
    line = " ".join(text[: 2 * _SHORT].split())
    return f"{line[: _SHORT - 1].rstrip()}…"
