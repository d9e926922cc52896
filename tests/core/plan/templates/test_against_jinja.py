"""Templates give the text that Jinja2 gives: filters with all their arguments, methods of texts, `%` between texts."""

import copy
import re

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.plan.templates.engine import TemplateSyntaxError, condition_fault
from sdg_core.plan.templates.render import RenderError, Template

_JINJA = jinja2.Environment(autoescape=False, keep_trailing_newline=True)

_WORDS = st.lists(
    st.sampled_from(["a", "bb", "some", "words-and", "longerthanothers", "Öl", "x,y"]),
    max_size=6,
)
_TEXTS = _WORDS.map(" ".join)
_NUMBERS = st.integers(-3, 30)
_SIZES = st.integers(1, 20)

_SOURCES = st.one_of(
    st.builds("t|truncate({})".format, st.integers(3, 20)),
    st.builds(
        "t|truncate({}, {}, '..')".format,
        st.integers(3, 20),
        st.sampled_from(["true", "false"]),
    ),
    st.builds("t|truncate({}, true, '-', {})".format, _SIZES, st.integers(0, 5)),
    st.builds("t|wordwrap({})".format, _SIZES),
    st.builds("t|wordwrap({}, false)".format, _SIZES),
    st.builds("t|wordwrap({}, true, '/')".format, _SIZES),
    st.builds(
        "t|replace('{}', '{}', {})".format,
        st.sampled_from("ab ,"),
        st.sampled_from(["", "_"]),
        _NUMBERS,
    ),
    st.builds("t|center({})".format, _NUMBERS),
    st.just("t|wordcount"),
    st.just("t|forceescape"),
    st.builds(
        "'{}' % n".format,
        st.sampled_from(["%05d", "%d!", "%+d", "%x", "%5.1f", "%s", "%-6d|"]),
    ),
    st.just("'%s and %03d' % (t, n)"),
    st.just("'%s' % t|upper"),
    st.builds(
        "t.{}({})".format,
        st.sampled_from(["zfill", "center", "rjust", "ljust"]),
        _NUMBERS,
    ),
    st.builds(
        "t.{}()".format,
        st.sampled_from(["swapcase", "casefold", "isdecimal", "istitle"]),
    ),
    st.builds(
        "t.{}('{}')[0]".format,
        st.sampled_from(["partition", "rpartition", "rsplit"]),
        st.sampled_from("a ,"),
    ),
    st.builds(
        "t.strip().{}('a').upper()".format,
        st.sampled_from(["removeprefix", "removesuffix"]),
    ),
    st.builds("(t ~ n).zfill({})|length".format, _NUMBERS),
    st.builds("d.k.rjust({}).swapcase()".format, _NUMBERS),
    st.builds(
        "(t ~ ' q').split()|{}({})|join('/')".format,
        st.sampled_from(["sort", "unique"]),
        st.just("true"),
    ),
    st.builds(
        "(t ~ ' Q').split()|{}({})".format,
        st.sampled_from(["min", "max"]),
        st.sampled_from(["true", "false"]),
    ),
    st.just("[{'k': t}, {'k': 'm'}]|sort(true, false, 'k')|map(attribute='k')|join"),
    st.just("{'b': 1, 'A': 2, 'a': n}|dictsort(true, 'key', true)"),
    st.builds(
        "t|replace('{}', '_', count={})".format, st.sampled_from("ab ,"), _NUMBERS
    ),
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
def test_the_text_is_the_one_of_jinja(
    frame: str, source: str, text: str, number: int
) -> None:
    template = frame.format(source)
    values = {"t": text, "n": number, "d": {"k": text}}
    assert Template(template).render(values) == _JINJA.from_string(template).render(
        values
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% if a %}{{ a|nosuch }}{% endif %}", "filter nosuch is unknown"),
        ("{{ a|truncat(1) }}", "did you mean 'truncate'"),
        (
            "{{ a|truncate(1, 2, 3, 4, 5) }}",
            "filter truncate: too many positional arguments",
        ),
        ("{{ a|upper(1) }}", "filter upper: too many arguments"),
        ("{{ a|replace('x') }}", "filter replace: missing argument"),
        (
            "{{ a|center(width=3, q=2) }}",
            "filter center: got an unexpected keyword argument 'q'",
        ),
        ("{{ 1 if a is nosuch }}", "test nosuch is unknown"),
        ("{{ a is divisibleby }}", "test divisibleby: missing argument"),
        ("{{ a|jsonpath }}", "filter jsonpath: missing a required argument"),
    ],
)
def test_calls_that_could_never_work_are_refused_wherever_they_stand(
    source: str, message: str
) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        Template(source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "source", ["{{ t.center(10001) }}", "{{ t|center(99999) }}", "{{ '%99999d' % n }}"]
)
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
    values = {
        "j": OBJECT,
        "l": LIST,
        "s": {"m": OBJECT},
        "rows": '[{"k": 1}, {"k": 2}]',
    }
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
def test_what_is_printed_or_is_no_object_or_list_stays_text(
    source: str, value: str, text: str
) -> None:
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
    assert Template(f"{{{{ d|jsonpath({path!r}) }}}}").render({"d": document}) == str(
        found
    )


@pytest.mark.parametrize("path", ["a", "$.a[?(@.b)]", "$.a[", "$x"])
def test_what_is_no_jsonpath_is_an_error(path: str) -> None:
    with pytest.raises(RenderError, match="JSONPath"):
        Template(f"{{{{ d|jsonpath({path!r}) }}}}").render({"d": {"a": []}})


def test_random_chooses_by_the_numbers_given() -> None:
    template = Template(
        "{% for q in range(40) %}{{ ['a', 'b', 'c']|random }}{% endfor %}"
    )
    first = template.render({}, RandomStream(1, "x"))
    assert (
        first
        == template.render({}, RandomStream(1, "x"))
        != template.render({}, RandomStream(2, "x"))
    )
    assert set(first) == {"a", "b", "c"}
    with pytest.raises(RenderError, match="no record is available here"):
        template.render({})
    with pytest.raises(RenderError, match="the list is empty"):
        Template("{{ []|random }}").render({}, RandomStream(1, "x"))


_LAZY = frozenset(
    "batch items map reject rejectattr reverse select selectattr slice unique".split()
)
_LOOSE = frozenset(
    "escape e tojson pprint attr filesizeformat random groupby urlencode".split()
)
"""Filters whose differences the guide names, and `random`."""
_CALLS = {
    "abs": [""],
    "batch": ["2", "2, 'x'"],
    "capitalize": [""],
    "center": ["", "10"],
    "default": ["'q'", "'q', true", "5"],
    "d": ["'q'"],
    "dictsort": ["", "true", "false, 'value'", "by='value'"],
    "first": [""],
    "float": ["", "0.5", "default=1.5"],
    "forceescape": [""],
    "format": ["1", "'a'"],
    "indent": ["", "2", "2, false, true", "'> '", "width='> ', first=true"],
    "int": ["", "7", "default=3", "0, 16", "base=16", "0, 2", "0, 0", "0, 99"],
    "items": [""],
    "join": ["", "','", "', ', 'k'", "attribute='v'"],
    "last": [""],
    "length": [""],
    "count": [""],
    "list": [""],
    "lower": [""],
    "map": ["'upper'", "'int', 0", "'float', 1.5"],
    "max": ["", "true", "attribute='k'"],
    "min": ["", "true", "attribute='k'"],
    "reject": ["'odd'", "'string'"],
    "rejectattr": ["'k'", "'k', 'eq', 1"],
    "replace": ["'a', 'b'", "'', '-'", "'o', 'X', 1", "1, 2"],
    "reverse": [""],
    "round": ["", "1", "-1", "2, 'common'", "1, 'floor'"],
    "safe": [""],
    "select": ["'odd'", "'number'"],
    "selectattr": ["'k'", "'k', 'gt', 1"],
    "slice": ["2", "2, 'x'"],
    "sort": ["true", "reverse=true", "case_sensitive=true", "attribute='k'"],
    "string": [""],
    "striptags": [""],
    "sum": ["", "attribute='k'", "'k', 10", "start=5"],
    "title": [""],
    "trim": ["", "'s'"],
    "truncate": ["9", "9, true", "9, false, '…'", "9, true, '-', 2"],
    "unique": ["", "true", "attribute='k'"],
    "upper": [""],
    "wordcount": [""],
    "wordwrap": ["", "5", "5, false", "7, true, '|'"],
}
_NUMBER_TEXTS = [
    "12",
    "-3",
    "1.50",
    "1e3",
    "1e400",
    "0x1F",
    "1_000",
    " 7 ",
    "nan",
    "inf",
    "٣",
    "9" * 50,
    "+5",
    "1,5",
    "0b1",
    "--1",
    "1e",
]
_ODD_TEXTS = [
    "",
    "  ",
    "abc",
    "some Words, and  more\n x",
    "Öl ß İ ﬁ 😀",
    "<a href='x'>&\"</a>",
    "a\tb\r\nc",
    "o'o",
]
_ODD_LISTS = [
    [],
    [3, 1, 2],
    ["b", "A", "c"],
    [1, "a"],
    [[1, 2], [3]],
    [{"k": 1, "v": "a"}, {"k": 2, "v": "b"}, {"k": 1, "v": "c"}],
]
_ODD_VALUES: list[object] = [
    *_NUMBER_TEXTS,
    *_ODD_TEXTS,
    *_ODD_LISTS,
    *(5, 0, -7, 10**20, 2.5, 0.1, -1.25, True, False),
    *({"b": 1, "A": "x"}, {}),
]
_NOT_THERE = re.compile(
    r"undefined value|value is null|expected a non-empty list or text|is not iterable|is not a number"
)
"""Why we refuse where Jinja goes on with nothing, or with 0."""


@pytest.mark.parametrize("name", sorted(_CALLS))
def test_every_filter_with_odd_values_and_arguments(name: str) -> None:
    for arguments in _CALLS[name]:
        call = f"{name}({arguments})" if arguments else name
        source = f"{{{{ v|{call}{'|list' if name in _LAZY else ''} }}}}"
        template = Template(source)
        for value in _ODD_VALUES:
            try:
                meant = _JINJA.from_string(source).render(v=copy.deepcopy(value))
            except Exception:  # noqa: BLE001 - Jinja has no answer, so none of ours is wrong
                continue
            try:
                made = template.render({"v": value})
            except RenderError as error:
                nothing = _NOT_THERE.search(str(error)) and meant in (
                    "",
                    "None",
                    "[]",
                    "0",
                    "0.0",
                )
                assert nothing or (name, type(value)) in _REFUSED, (
                    source,
                    value,
                    str(error),
                    meant,
                )
            else:
                same = (
                    made == meant
                    or made.lower() == meant.lower() == "nan"
                    or _one_number(made, meant)
                )
                assert same or (name, type(value)) in _DIFFERENT, (
                    source,
                    value,
                    made,
                    meant,
                )


def _one_number(first: str, second: str) -> bool:
    """Whether two texts are one number: `100000000000000000000.0` and `1e+20`, `3` and `3.0`."""
    try:
        return float(first) == float(second)
    except ValueError:
        return False


_REFUSED = {
    **dict.fromkeys([("abs", bool), ("round", bool)], "a truth value is no number"),
    **dict.fromkeys([("last", dict), ("first", dict)], "the last key of a mapping"),
    **dict.fromkeys([("join", int), ("sum", str)], "texts are not summed up"),
}
_DIFFERENT = {
    ("indent", str): "an empty first line",
    ("sort", str): "letters of several scripts",
    **dict.fromkeys(
        [("truncate", list), ("truncate", dict)], "the text of it is cut off"
    ),
}


def test_all_of_jinjas_filters_are_compared() -> None:
    assert {*_JINJA.filters} - {*_CALLS} == {*_LOOSE, "urlize", "xmlattr"}


def test_null_and_undefined_numbers_are_told_apart() -> None:
    template = Template("{{ d.x|int }} {{ d.x|float }}")
    assert (
        template.render({"d": {"x": None}}) == "0 0.0"
        and template.render({"d": {"x": "2.5"}}) == "2 2.5"
    )
    with pytest.raises(RenderError, match="undefined value 'int'"):
        template.render({"d": {}})


@pytest.mark.parametrize(
    "condition",
    ["x|int > 3", "x|center(3) == 'a'", "x|sort(true)", "x|jsonpath('$.a')"],
)
def test_a_condition_whose_filter_objects_to_nothing_is_a_condition(
    condition: str,
) -> None:
    assert condition_fault(condition) is None
