import copy
import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sdg_core.errors import CellError
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references
from sdg_core.plan.templates.render import (
    NestedTemplate,
    RenderError,
    Template,
    plain_value,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


class Colour(StrEnum):
    RED = "red"


def _render(source: str, **values: Any) -> str:
    return Template(source).render(values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<b> & ü", "<b> & ü"),
        (3, "3"),
        (True, "True"),
        (None, "None"),
        (1.5, "1.5"),
        (Decimal("1.10"), "1.10"),
        (datetime.date(2024, 3, 5), "2024-03-05"),
        (datetime.datetime(2024, 3, 5, 1, 2, 3), "2024-03-05T01:02:03"),  # noqa: DTZ001
        (datetime.time(1, 2), "01:02:00"),
        (datetime.timedelta(hours=1), "1:00:00"),
        ("grüß".encode(), "grüß"),
        (b"\xff\x00", "/wA="),
        (Colour.RED, "red"),
        (np.int64(3), "3"),
        (np.array([1, 2]), "[1, 2]"),
        (pl.Series([1, 2]), "[1, 2]"),
        ((1, Decimal("2.0")), "[1, '2.0']"),
        ({1: datetime.date(2024, 3, 5)}, "{'1': '2024-03-05'}"),
    ],
)
def test_values_of_seed_data_read_sensibly(value: Any, text: str) -> None:
    assert _render("{{ x }}", x=value) == text


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("{{ x.a }}", {}, "undefined value 'x.a'"),
        ("one\ntwo {{ x.a }}", {}, "undefined value 'x.a' (line 2 of the template)"),
        ("{{ x }}{{ y }}", 1, "undefined value 'y'"),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            1,
            "engine ran out of fuel",
        ),
        (
            "{{ x + 1 }}",
            "a",
            "invalid operation: tried to use + operator on unsupported types string and number",
        ),
        ("{{ x.index(5) }}", [1], "ValueError: 5 is not in list"),
        (
            "{{ x.items }}",
            {"a": 1},
            "'items' is a method here, not a key; call it, or use ['key']",
        ),
        (
            "{{ x * 10000000000 }}",
            "a",
            "invalid operation: repeated string is too large",
        ),
        (
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            1,
            "invalid operation: recursion limit exceeded",
        ),
    ],
)
def test_a_fault_is_one_line_that_names_the_reason(
    source: str, value: Any, reason: str
) -> None:
    with pytest.raises(RenderError) as caught:
        _render(source, x=value)
    assert isinstance(caught.value, CellError)
    assert caught.value.message == reason


def test_a_template_that_cannot_be_parsed_is_refused_when_compiled() -> None:
    with pytest.raises(TemplateSyntaxError, match="unexpected end"):
        Template("{{ x ")


def test_a_template_works_after_a_fault() -> None:
    template = Template("{{ 10 // x }}")
    with pytest.raises(RenderError):
        template.render({"x": 0})
    assert template.render({"x": 3}) == "3"


@settings(deadline=None)
@given(value=JSON)
def test_templates_cannot_change_what_they_are_given(value: Any) -> None:
    values = {"x": [value, {"inner": [value]}], "y": {"a": value}}
    before = copy.deepcopy(values)
    source = "{{ x.append(1) }}{{ x[1].inner.clear() }}{{ x[1].update(b=2) }}{{ y.clear() }}{{ x.reverse() }}"
    Template(source).render(values)
    assert values == before


NOT_PRINTED = [
    "[see note]", "{1, 2}", "(1, 2)", "{1: 2}", "['a', b'c']", "{'a': 1j}", "[" * 500, "{'a': __import__('os')}"
]  # fmt: skip


@settings(deadline=None)
@given(value=JSON)
def test_what_a_template_printed_can_be_looked_into(value: Any) -> None:
    read = Template("{{ x.inner|tojson }}")
    assume("inf" not in repr(value))  # which no literal has
    printed = Template("{{ x }}").render({"x": {"inner": value}})
    assert read.render({"x": printed}) == read.render({"x": {"inner": value}})


@pytest.mark.parametrize("text", NOT_PRINTED)
def test_text_that_nothing_printed_stays_text(text: str) -> None:
    assert Template("{{ x|length }}").render({"x": text}) == str(len(text))


@settings(deadline=None)
@given(value=JSON)
def test_plain_values_are_kept_and_fresh(value: Any) -> None:
    plain = plain_value(value)
    assert plain == value
    assert plain is not value or not isinstance(value, dict | list)


@pytest.mark.parametrize(
    "name", ["slf", "template_name", "items", "keys", "state", "source", "name"]
)
def test_any_column_name_works(name: str) -> None:
    assert Template(f"<{{{{ {name} }}}}>").render({name: 1}) == "<1>"


def test_names_that_a_template_makes_itself_need_no_value() -> None:
    source = (
        "{% set y = 1 %}{% for x in xs %}{{ loop.index }}{{ x }}{{ y }}{% endfor %}"
        "{% macro m(z) %}{{ z }}{% endmacro %}{{ m(2) }}"
    )
    assert _render(source, xs=["a", "b"]) == "1a12b12"


def test_only_named_values_are_looked_at() -> None:
    template = Template("{{ a }}{{ b }}")
    assert template.names == ("a", "b")
    assert template.render({"a": 1, "b": 2, "c": object()}) == "12"


@settings(deadline=None)
@given(
    text=st.text(
        st.characters(blacklist_categories=["Cs"]).filter(lambda c: c not in "{}%#")
    ),
    value=st.text(),
)
def test_text_and_values_come_through_unchanged(text: str, value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    assert Template(text + "{{ x }}" + text).render({"x": value}) == text + value + text


def test_several_threads_may_render_one_template() -> None:
    template = Template("{% for x in xs %}{{ x.a }}{% endfor %}{{ n }}")
    stop = threading.Event()

    def check_others() -> None:
        number = 0
        while not stop.is_set():
            template_references(f"{{{{ x{number} }}}}")
            number += 1

    def work(n: int) -> bool:
        return all(
            template.render({"xs": [{"a": i} for i in range(5)], "n": n}) == f"01234{n}"
            for _ in range(500)
        )

    other = threading.Thread(target=check_others)
    other.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, range(8), timeout=60))
    finally:
        stop.set()
        other.join()


def test_nested_templates_keep_their_shape() -> None:
    template = {
        "a": ["{{ x }}", 3, None, {"{{ k }}": "{{ y|upper }}!"}],
        "b": 1.5,
        "c": ("{{ x }}",),
    }
    nested = NestedTemplate(template)
    expected = {"a": ["1.10", 3, None, {"{{ k }}": "Q!"}], "b": 1.5, "c": ["1.10"]}
    assert nested.render({"x": "1.10", "y": "q"}) == expected
    nested.render({"x": "1", "y": "q"})["a"].append("changed")
    assert nested.render({"x": "1.10", "y": "q"}) == expected


def test_a_nested_fault_is_a_render_error() -> None:
    with pytest.raises(RenderError, match="undefined value 'x'"):
        NestedTemplate(["{{ x }}"]).render({})


@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, 2.5, 1e16, 1e-7])
def test_a_number_prints_alike_wherever_it_stands(number: float) -> None:
    alone = Template("{{ x }}").render({"x": number})
    assert Template("{{ s.x }}").render({"s": {"x": number}}) == alone
    assert Template("{{ s[0] }}").render({"s": [number]}) == alone
