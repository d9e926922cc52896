"""Templates: which names they read, and which of them are refused before anything runs."""

import minijinja
import pytest

from sdg_core.plan.templates.column_names import FUNCTIONS
from sdg_core.plan.templates.engine import (
    RESERVED,
    TemplateSyntaxError,
    environment,
    new_environment,
    template_references,
)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("plain", set()),
        ("{{ a }} {{ b.c.d }} {{ e['f'] }}", {"a", "b", "e"}),
        (
            "{% for x in items %}{{ loop.index }}{{ x }}{{ y }}{% endfor %}",
            {"items", "y"},
        ),
        ("{% for k, v in d|items %}{{ k }}{{ v }}{% endfor %}", {"d"}),
        ("{% set a = b %}{{ a }}", {"b"}),
        ("{% macro m(q) %}{{ q }}{% endmacro %}{{ m(z) }}", {"z"}),
        ("{% if a is defined and b %}x{% endif %}", {"a", "b"}),
        ("{{ a|default('x')|upper }} {{ a|join(sep) }}", {"a", "sep"}),
        ("{{ range(n) }} {{ dict(a=1) }}", {"n"}),
        (
            "{% raw %}{{ a }}{% include 'x' %}{% endraw %}{# {{ b }} {% import 'x' as y %} #}",
            set(),
        ),
        ("{{ debug }}", {"debug"}),
        ("{{ 'a' ~ 'b' }}{{ true }}{{ none }}", set()),
        ("{{ a.strip() }} {{ b.items() }}", {"a", "b"}),
    ],
)
def test_names_that_a_template_reads(source: str, names: set[str]) -> None:
    assert template_references(source) == names


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ a", "unexpected end of input"),
        ("{% if a %}", "unexpected end of input"),
        ("{{ a 3 }}", "unexpected integer"),
        ("{% nonsense %}", "unknown statement nonsense"),
        ("{{ a|nosuch }}", "unknown filter: filter nosuch is unknown"),
        ("{{ a is nosuch }}", "unknown test: test nosuch is unknown"),
        ("{% include 'x' %}", "{% include %} is not available"),
        ("{%- extends 'x' %}", "{% extends %} is not available"),
        ("{% import 'x' as y %}", "{% import %} is not available"),
        ("{% from 'x' import y %}", "{% from %} is not available"),
    ],
)
def test_templates_that_could_never_be_rendered(source: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        template_references(source)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_what_only_fails_on_some_values_is_not_refused() -> None:
    assert template_references("{{ 1 / a }}{{ a.method() }}{{ a[3].b }}") == {"a"}


def test_checking_leaves_nothing_behind() -> None:
    template_references("left behind {{ a }}")
    with pytest.raises(minijinja.TemplateError):
        environment().render_template("<string>", a=1)


def test_every_global_of_the_environment_is_reserved() -> None:
    assert {*environment().globals} <= RESERVED | FUNCTIONS


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10 ** 9 }}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{{ missing }}",
    ],
)
def test_rendering_is_bounded_and_strict(source: str) -> None:
    with pytest.raises(minijinja.TemplateError):
        environment().render_str(source)


def test_python_internals_are_out_of_reach() -> None:
    with pytest.raises(minijinja.TemplateError):
        environment().render_str("{{ a.__class__.__mro__ }}", a="x")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ a|indent(99999999999) }}", "filter indent: 1e+11 is above 10,000"),
        ("{{ a|indent(width=99999999999) }}", "filter indent"),
        ("{{ '%99999999999d'|format(1) }}", "filter format: a width"),
        ("{{ '%*d'|format(99999999999, 1) }}", "filter format: a width"),
        ("{{ '%.99999999999f'|format(1) }}", "filter format: a width"),
        ("{{ [1]|batch(99999999999, 1)|list }}", "filter batch"),
        ("{{ [1]|slice(99999999999)|list|length }}", "filter slice"),
        ("{{ [1]|tojson(indent=99999999999) }}", "filter tojson"),
        ("{{ '{:>99999999999}'.format(1) }}", "format(): a width"),
        ("{{ '{:{w}}'.format(1, w=9) }}", "format(): a width"),
        (
            "{{ a.format(1) }}",
            "format() works only on text written in the template",
        ),
        (
            "{% if a.format(1) %}{% endif %}",
            "format() works only on text written in the template",
        ),
    ],
)
def test_sizes_that_would_end_the_process_are_refused(
    source: str, message: str
) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        template_references(source)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_sizes_that_come_from_a_record_are_looked_at_when_it_is_rendered() -> None:
    assert template_references("{{ a|indent(b) }}") == {"a", "b"}
    with pytest.raises(ValueError, match="filter indent: 1e\\+11 is above 10,000"):
        new_environment().render_str("{{ a|indent(b) }}", a="x", b=99999999999)
    with pytest.raises(ValueError, match="filter format"):
        new_environment().render_str("{{ a|format(1) }}", a="%99999999d")


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("{{ a|indent(3) }}", {"a": "x\ny"}),
        ("{{ a|indent(width=2, first=true, blank=true) }}", {"a": "x\n\ny"}),
        ("{{ '%05.2f %s'|format(a, 'z') }}", {"a": 3}),
        ("{{ a|batch(2, '-')|list }}{{ a|slice(2)|list }}", {"a": [1, 2, 3]}),
        ("{{ a|tojson }}{{ a|tojson(indent=2) }}", {"a": {"b": ["<é>", 1.5, None]}}),
        ("{{ '{:.2f} {}'.format(a, 1) }}", {"a": 2.345}),
    ],
)
def test_bounded_filters_do_what_the_engine_does(
    source: str, values: dict[str, object]
) -> None:
    plain = minijinja.Environment()
    plain.pycompat = True
    assert new_environment().render_str(source, **values) == plain.render_str(
        source, **values
    )


def test_looking_for_names_computes_nothing() -> None:
    assert template_references(
        "{{ a }}{{ ('x' ~ 'y')|wordcount if a }}{{ [1, 2]|sum }}"
    ) == {"a"}
