"""Templates give the text that Jinja2 gives: filters with all their arguments, methods of texts, `%` between texts."""

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.models.simulated.random_stream import DrawStream
from sdg_core.plan.templates.engine import TemplateSyntaxError
from sdg_core.plan.templates.render import RenderError, Template

_JINJA = jinja2.Environment(autoescape=False, keep_trailing_newline=True)

_WORDS = st.lists(st.sampled_from(["a", "bb", "some", "words-and", "longerthanothers", "Öl", "x,y"]), max_size=6)
_TEXTS = _WORDS.map(" ".join)
_NUMBERS = st.integers(-3, 30)
_SIZES = st.integers(1, 20)

_SOURCES = st.one_of(
    st.builds("t|truncate({})".format, st.integers(3, 20)),
    st.builds("t|truncate({}, {}, '..')".format, st.integers(3, 20), st.sampled_from(["true", "false"])),
    st.builds("t|truncate({}, true, '-', {})".format, _SIZES, st.integers(0, 5)),
    st.builds("t|wordwrap({})".format, _SIZES),
    st.builds("t|wordwrap({}, false)".format, _SIZES),
    st.builds("t|wordwrap({}, true, '/')".format, _SIZES),
    st.builds("t|replace('{}', '{}', {})".format, st.sampled_from("ab ,"), st.sampled_from(["", "_"]), _NUMBERS),
    st.builds("t|center({})".format, _NUMBERS),
    st.just("t|wordcount"),
    st.just("t|forceescape"),
    st.builds("'{}' % n".format, st.sampled_from(["%05d", "%d!", "%+d", "%x", "%5.1f", "%s", "%-6d|"])),
    st.just("'%s and %03d' % (t, n)"),
    st.just("'%s' % t|upper"),
    st.builds("t.{}({})".format, st.sampled_from(["zfill", "center", "rjust", "ljust"]), _NUMBERS),
    st.builds("t.{}()".format, st.sampled_from(["swapcase", "casefold", "isdecimal", "istitle"])),
    st.builds("t.{}('{}')[0]".format, st.sampled_from(["partition", "rpartition", "rsplit"]), st.sampled_from("a ,")),
    st.builds("t.strip().{}('a').upper()".format, st.sampled_from(["removeprefix", "removesuffix"])),
    st.builds("(t ~ n).zfill({})|length".format, _NUMBERS),
    st.builds("d.k.rjust({}).swapcase()".format, _NUMBERS),
    st.builds("(t ~ ' q').split()|{}({})|join('/')".format, st.sampled_from(["sort", "unique"]), st.just("true")),
    st.builds("(t ~ ' Q').split()|{}({})".format, st.sampled_from(["min", "max"]), st.sampled_from(["true", "false"])),
    st.just("[{'k': t}, {'k': 'm'}]|sort(true, false, 'k')|map(attribute='k')|join"),
    st.just("{'b': 1, 'A': 2, 'a': n}|dictsort(true, 'key', true)"),
    st.builds("t|replace('{}', '_', count={})".format, st.sampled_from("ab ,"), _NUMBERS),
    st.just("(t ~ 'z').index('z')"),
)
_FRAMES = st.sampled_from(
    [
        "{{{{ {} }}}}",
        "<{{{{- {} -}}}}>",
        "{{% if n > 3 %}}{{{{ {} }}}}{{% else %}}100 % sure{{% endif %}}",
        "{{% set v = {} %}}{{{{ v }}}}\n",
        "{{% for q in [1, 2] %}}{{{{ q }}}}{{{{ {} }}}}{{% endfor %}}",
        "{{# '%d' % n #}}{{% raw %}}{{{{ '%d' % n }}}}{{% endraw %}}{{{{ {} }}}}",
    ]
)


@settings(max_examples=600, deadline=None)
@given(frame=_FRAMES, source=_SOURCES, text=_TEXTS, number=_NUMBERS)
def test_the_text_is_the_one_of_jinja(frame: str, source: str, text: str, number: int) -> None:
    template = frame.format(source)
    values = {"t": text, "n": number, "d": {"k": text}}
    assert Template(template).render(values) == _JINJA.from_string(template).render(values)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% if a %}{{ a|nosuch }}{% endif %}", "filter nosuch is unknown"),
        ("{{ a|truncat(1) }}", "did you mean 'truncate'"),
        ("{{ a|truncate(1, 2, 3, 4, 5) }}", "filter truncate: too many positional arguments"),
        ("{{ a|upper(1) }}", "filter upper: too many arguments"),
        ("{{ a|replace('x') }}", "filter replace: missing argument"),
        ("{{ a|center(width=3, q=2) }}", "filter center: got an unexpected keyword argument 'q'"),
        ("{{ 1 if a is nosuch }}", "test nosuch is unknown"),
        ("{{ a is divisibleby }}", "test divisibleby: missing argument"),
        ("{{ a|jsonpath }}", "filter jsonpath: missing a required argument"),
    ],
)
def test_calls_that_could_never_work_are_refused_wherever_they_stand(source: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        Template(source)
    assert message in str(caught.value)


@pytest.mark.parametrize("source", ["{{ t.center(10001) }}", "{{ t|center(99999) }}", "{{ '%99999d' % n }}"])
def test_sizes_are_bounded(source: str) -> None:
    with pytest.raises((RenderError, TemplateSyntaxError), match=r"above 10,000"):
        Template(source).render({"t": "x", "n": 1})


OBJECT, LIST = '{"a": {"b": 5}, "items": 1}', '["x", "y"]'


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ j.a.b }}", "5"),
        ("{{ j['a']['b'] + 1 }}", "6"),
        ("{{ j['a'].b if j.a }}", "5"),
        ("{% for x in l %}{{ loop.index }}{{ x }};{% endfor %}", "1x;2y;"),
        ("{{ l[0] }}{{ l[-1] }}", "xy"),
        ("{{ l|length }}{{ l | first }}{{ l|join('-') }}", "2xx-y"),
        ("{{ l[:1] }}", "['x']"),
        ("{{ s.m.a.b }}", "5"),
        ("{% for row in rows %}{{ row.k }}{% endfor %}", "12"),
        ("{{ j|jsonpath('$.a.b') }}", "[5]"),
    ],
)
def test_json_text_is_read_where_it_is_looked_into(source: str, text: str) -> None:
    values = {"j": OBJECT, "l": LIST, "s": {"m": OBJECT}, "rows": '[{"k": 1}, {"k": 2}]'}
    assert Template(source).render(values) == text


@pytest.mark.parametrize(
    ("source", "value", "text"),
    [
        ("{{ x }}", OBJECT, OBJECT),
        ("{{ x }} {{ x|length }}", LIST, f"{LIST} 2"),
        ("{{ x|upper }}", '["a"]', '["A"]'),
        ("{{ x.strip() }}", ' ["a"]', '["a"]'),
        ("{{ x[:2] }}", '{"a": 1}', '{"'),
        ("{{ x|length }}", "1.10", "4"),
        ("{{ x|length }}", "[no json", "8"),
        ("{{ x[0] }}", "true", "t"),
    ],
)
def test_what_is_printed_or_is_no_object_or_list_stays_text(source: str, value: str, text: str) -> None:
    assert Template(source).render({"x": value}) == text


def test_what_is_undefined_is_named() -> None:
    with pytest.raises(RenderError, match=r"undefined value 'j\.a\.nope\.b'"):
        Template("{{ j.a.nope.b }}").render({"j": OBJECT})
    with pytest.raises(RenderError, match=r"undefined value \"s\['q'\]\""):
        Template("{{ s['q'] }}").render({"s": {}})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [{"a": [{"b": 1}, {"b": 2}], "c d": 3}]),
        ("$.a[*].b", [1, 2]),
        ("$..b", [1, 2]),
        ("$['c d']", [3]),
        ("$.a[-1].b", [2]),
        ("$.a[0:1]", [{"b": 1}]),
        ("$.a[0,1].b", [1, 2]),
        ("$.*", [[{"b": 1}, {"b": 2}], 3]),
        ("$.nope.x", []),
    ],
)
def test_jsonpath(path: str, found: list[object]) -> None:
    document = {"a": [{"b": 1}, {"b": 2}], "c d": 3}
    assert Template(f"{{{{ d|jsonpath({path!r}) }}}}").render({"d": document}) == str(found)


@pytest.mark.parametrize("path", ["a", "$.a[?(@.b)]", "$.a[", "$x"])
def test_what_is_no_jsonpath_is_an_error(path: str) -> None:
    with pytest.raises(RenderError, match="JSONPath"):
        Template(f"{{{{ d|jsonpath({path!r}) }}}}").render({"d": {"a": []}})


def test_random_chooses_by_the_numbers_given() -> None:
    template = Template("{% for q in range(40) %}{{ ['a', 'b', 'c']|random }}{% endfor %}")
    first = template.render({}, DrawStream(1, "x"))
    assert first == template.render({}, DrawStream(1, "x")) != template.render({}, DrawStream(2, "x"))
    assert set(first) == {"a", "b", "c"}
    with pytest.raises(RenderError, match="no record here"):
        template.render({})
    with pytest.raises(RenderError, match="nothing to choose from"):
        Template("{{ []|random }}").render({}, DrawStream(1, "x"))
