"""A template reaches a column of any name, and what Jinja already means stays what it means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.plan.templates.column_names import LITERALS, spelled
from sdg_core.plan.templates.engine import nested_references
from sdg_core.plan.templates.render import RenderError, Template
from sdg_core.plan.templates.tokens import tokens_of

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="`\r\n"), min_size=1, max_size=12
).filter(lambda name: name not in LITERALS)


@given(NAMES, st.text(max_size=5))
def test_backticks_reach_every_name(name: str, value: str) -> None:
    template = Template(
        "<{{ `" + name + "` }}{% if `" + name + "` is defined %}>{% endif %}"
    )
    assert template.names == (name,)
    assert template.render({name: value}) == f"<{value}>"


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("Buy {{ Product Name }}!", {"Product Name": "tea"}, "Buy tea!"),
        ("{{ Product Name.city | upper }}", {"Product Name": {"city": "Rome"}}, "ROME"),
        (
            "{% if Product Name == 'tea' and y is defined %}ok{% endif %}",
            {"Product Name": "tea", "y": 1},
            "ok",
        ),
        (
            "{% for a in Item List recursive %}{{ a }}{% endfor %}",
            {"Item List": [1, 2]},
            "12",
        ),
        ("{{ x if y else Z z }}", {"x": 1, "y": 0, "Z z": 9}, "9"),
        ("Range: {{ range }}", {"range": "410 km"}, "Range: 410 km"),
        ("{{ range }} {{ range(3) | list }}", {"range": 4}, "4 [0, 1, 2]"),
        (
            "{{ dict }} {{ self }} {{ namespace }}",
            {"dict": 1, "self": 2, "namespace": 3},
            "1 2 3",
        ),
        ("{{ `a-b` }} {{ a-b }}", {"a-b": 1, "a": 5, "b": 2}, "1 3"),
        ("{{ {'a': {'b': `1st`}}.a.b }}", {"1st": 4}, "4"),
        ("{{ größe }}", {"größe": 3}, "3"),
        ("{{ x is sameas y }}", {"x": 1, "y": 1}, "True"),
        ("{% set range = 3 %}{{ range }}", {}, "3"),
        (
            "{% raw %}{{ `a` }}{% endraw %} `b` {# `c` #}{{ '`' }}",
            {},
            "{{ `a` }} `b` `",
        ),
    ],
)
def test_names_that_jinja_cannot_spell(
    source: str, values: dict[str, Any], text: str
) -> None:
    template = Template(source)
    assert set(template.names) == set(values)
    assert template.render(values) == text


def test_messages_and_references_speak_of_the_column() -> None:
    assert nested_references("{{ Product Name.city }}") == {"Product Name.city"}
    with pytest.raises(RenderError, match=r"undefined value 'Product Name\.zip'"):
        Template("{{ Product Name.zip }}").render({"Product Name": {"city": "Rome"}})


@pytest.mark.parametrize(
    "source",
    [
        "{{ a and not b }}",
        "{% for x in y if x %}{% endfor %}",
        "{{ a ~ 'b c' }}",
        "a b",
    ],
)
def test_plain_jinja_is_left_alone(source: str) -> None:
    assert spelled(source) == source


@given(st.text(st.sampled_from("a \r\n{}%'`|"), max_size=30))
def test_tokens_give_the_source_back(source: str) -> None:
    for text in (source, "{{ a }}" + source, source + "{{ a\r }}\r\n"):
        tokens = tokens_of(text)
        assert tokens is None or "".join(token.text for token in tokens) == text
