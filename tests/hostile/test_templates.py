"""Templates meet bounds: what would take all memory, or overflow the stack, costs one cell, and checking renders none of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.plan.templates.engine import (
    TemplateSyntaxError,
    condition_fault,
    template_references,
)
from sdg_core.plan.templates.isolated import MAX_TEXT
from sdg_core.plan.templates.render import Template
from sdg_core.plan.templates.variants import RenderError, Variants
from sdg_core.plan.templates.work import _JINJA, _measure, _room, room_of


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ x" + " ~ x" * 20_000 + " }}", "characters; at most"),
        ("{{ x" + "~x" * 5_000 + " }}", "more than 250 operators"),
        ("{{ x" + "|upper" * 5_000 + " }}", "more than 250 operators"),
        ("{{ x" + ".y" * 5_000 + " }}", "more than 250 operators"),
        ("{{ x" + "[0]" * 5_000 + " }}", "more than 250 operators"),
        ("{{ x" + "()" * 5_000 + " }}", "more than 250 operators"),
        ("{{ " + "not " * 5_000 + "x }}", "more than 250 operators"),
        ("{{ " + "-" * 5_000 + "x }}", "more than 250 operators"),
        ("{{ x" + " and x" * 5_000 + " }}", "more than 250 operators"),
        ("{{ x" + " is defined" * 5_000 + " }}", "more than 250 operators"),
        ("{{ x" + " if x else x" * 2_000 + " }}", "more than 250 operators"),
        ("{{ 1" + "**1" * 5_000 + " }}", "more than 250 operators"),
        ("{{ " + "(" * 5_000 + "x" + ")" * 5_000 + " }}", "nested brackets"),
        ("{{ " + "[" * 5_000 + "x" + "]" * 5_000 + " }}", "nested brackets"),
        ("{{ " + "x|replace(" * 200 + ")" * 200 + " }}", "brackets|operators"),
        ("{% if x %}" * 3_000 + "{% endif %}" * 3_000, "nested blocks"),
        ("{% if x %}a" + "{% elif x %}b" * 3_000 + "{% endif %}", "elif tags"),
        ("{{ '" + "{#" * 40_000 + "' }}", "characters; at most"),
        ("{{ 1" + "0" * 5_000 + " }}", "integer"),
        ("`" + "{#" * 100_000, "comment"),
        ("`" + "{% raw %}" * 50_000, "raw"),
        ("`" + "{{ `" * 10_000, "operators|unexpected|characters"),
        ("{{ a " + "is not " * 5_000 + "b }}", "operators"),
        ("{{ " + "a b " * 10_000 + "}}", "unexpected|characters"),
        ("x" * (4 * 2**20 + 1), "characters; at most"),
    ],
)
def test_what_would_overflow_a_stack_is_refused(source: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=message):
        template_references(source)


def test_conditions_have_the_same_bounds() -> None:
    assert "more than 250 operators" in str(condition_fault("x" + " ~ x" * 5_000))
    assert (
        condition_fault("'aaaaaaaaaa'" + "|replace('a', 'aaaaaaaaaa')" * 12 + " == x")
        is None
    )


@pytest.mark.parametrize(
    "source",
    [
        "{% set a = x %}" + "{% set a = a ~ a %}" * 60 + "{{ a|length }}",
        "{{ p.setdefault('z', p)|tojson }}",
    ],
)
def test_what_takes_all_memory_costs_its_cell(source: str) -> None:
    template = Template(source)  # checks without rendering
    with pytest.raises(RenderError, match="the template was stopped"):
        template.render({"x": "abc", "p": {"a": 1}})


def test_a_text_without_end_is_refused() -> None:
    source = "{{ 'a' * 90000000 }}"
    with pytest.raises(RenderError, match=f"at most {MAX_TEXT:,} are possible"):
        Template(source).render({})


class Given:
    def below(self, bound: int) -> int:
        return bound - 1


def test_templates_render_the_same_there(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "{% set a = x %}"
        + "{% set a = a ~ a %}" * 21
        + "{{ a[:6] }} {{ rows|random }} {{ n }} {{ p.k }} {{ none }}"
    )
    values = {"x": "é\ud83d", "rows": [1, 2.5], "n": 2**70, "p": {"k": float("inf")}}
    assert room_of(source).size < 0
    text = Template(source).render(values, Given())
    assert text == Template(
        source.replace("{% set a = a ~ a %}" * 21, "{% set a = a ~ a ~ a %}")
    ).render(values, Given())
    with pytest.raises(RenderError, match="undefined value 'p.nothing'"):
        Template(source + "{{ p.nothing }}").render(values, Given())


@pytest.mark.parametrize(
    "source",
    [
        "You are {{ who }}. {{ text[:200]|truncate(80) }} {{ person.city|default('-')|upper }}",
        "{% for m in messages %}{{ m.role }}: {{ m.content|indent(2) }}\n{% endfor %}",
        "{% for k, v in d.items() if v %}{{ loop.index }}. {{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}",
        "{{ items|map(attribute='name')|join(', ') }} {{ items|tojson(indent=2) }} {{ items|length }}",
        "{% macro m(t) %}<{{ t }}>{% endmacro %}{{ m(a) }}{{ m(b) }} {{ '%05d' % n }} {{ '{:.2f}'.format(x) }}",
        "{{ a|replace('x', 'y') }} {{ (a|float / 3)|round(2) }} {{ '-' * 40 }} {{ [a, b, c]|random }}",
    ],
)
def test_what_people_write_is_not_even_measured(source: str) -> None:
    assert room_of(source).is_free


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "rows", "'xy'", "3", "n", "rows[0]", "t", "ns.s"]),
    lambda inner: st.one_of(
        st.builds("({} ~ {})".format, inner, inner),
        st.builds("{}|replace('x', {})".format, inner, inner),
        st.builds("{}|join({})".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds(
            "{}|{}".format,
            inner,
            st.sampled_from(
                [
                    "upper",
                    "tojson",
                    "list",
                    "indent(3)",
                    "center(30)",
                    "string",
                    "escape",
                    "first",
                    "length",
                ]
            ),
        ),
    ),
    max_leaves=5,
)
STATEMENTS = st.recursive(
    st.one_of(
        st.builds("{{{{ {} }}}}".format, EXPRESSIONS),
        st.builds("{{% set t = {} %}}".format, EXPRESSIONS),
        st.builds("{{% set ns.s = {} %}}".format, EXPRESSIONS),
    ),
    lambda inner: st.one_of(
        st.builds(
            "{{% for a in {} %}}{}{}{{% endfor %}}".format, EXPRESSIONS, inner, inner
        ),
        st.builds(
            "{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format,
            EXPRESSIONS,
            inner,
            inner,
        ),
    ),
    max_leaves=5,
)
VALUES = st.fixed_dictionaries(
    {
        "a": st.text("xy<\x00", max_size=12),
        "b": st.integers(0, 99),
        "n": st.integers(0, 9),
        "rows": st.lists(st.text("xé", max_size=6), min_size=1, max_size=6),
    }
)


@settings(max_examples=60, deadline=None)
@given(body=st.lists(STATEMENTS, min_size=1, max_size=5), values=VALUES)
def test_no_rendering_is_larger_than_its_bound(
    body: list[str], values: dict[str, Any]
) -> None:
    source = "{% set ns = namespace(s='x') %}{% set t = '' %}" + "".join(body)
    sizes = [_measure(value) for value in values.values()]
    tree = _JINJA.parse(source).body
    size, count = (max(parts) for parts in zip(*sizes, strict=True))
    for most in (10.0**exponent for exponent in range(1, 8)):
        room = _room(tree, size, count, most=most)
        if room is not None and room.takes(values):
            try:
                text = Variants(source, tuple(sorted(values))).text(values, nested=True)
            except RenderError:
                return
            assert len(text) <= most
            return
