"""Templates: which names they read, and which of them are refused before anything runs."""

import minijinja
import pytest

from sdg_core.plan.templates import RESERVED, TemplateSyntaxError, environment, template_references


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("plain", set()),
        ("{{ a }} {{ b.c.d }} {{ e['f'] }}", {"a", "b", "e"}),
        ("{% for x in items %}{{ loop.index }}{{ x }}{{ y }}{% endfor %}", {"items", "y"}),
        ("{% for k, v in d|items %}{{ k }}{{ v }}{% endfor %}", {"d"}),
        ("{% set a = b %}{{ a }}", {"b"}),
        ("{% macro m(q) %}{{ q }}{% endmacro %}{{ m(z) }}", {"z"}),
        ("{% if a is defined and b %}x{% endif %}", {"a", "b"}),
        ("{{ a|default('x')|upper }} {{ a|join(sep) }}", {"a", "sep"}),
        ("{{ range(n) }} {{ dict(a=1) }}", {"n"}),
        ("{% raw %}{{ a }}{% include 'x' %}{% endraw %}{# {{ b }} {% import 'x' as y %} #}", set()),
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
        ("{{ a b }}", "unexpected identifier"),
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
    assert {*environment().globals} <= RESERVED


@pytest.mark.parametrize(
    "source", ["{{ 'x' * 10 ** 9 }}", "{% for i in range(10 ** 9) %}{% endfor %}", "{{ missing }}"]
)
def test_rendering_is_bounded_and_strict(source: str) -> None:
    with pytest.raises(minijinja.TemplateError):
        environment().render_str(source)


def test_python_internals_are_out_of_reach() -> None:
    with pytest.raises(minijinja.TemplateError):
        environment().render_str("{{ a.__class__.__mro__ }}", a="x")
