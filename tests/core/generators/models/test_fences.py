"""Code in lists, quotes and behind tabs comes out as a CommonMark parser gives it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sdg_core.generators.models.code import extract_code
from sdg_core.generators.models.fences import fenced_blocks

CODE = "total = 0\nfor i in range(3):\n    total += i"


@pytest.mark.parametrize(
    "prefix",
    ["", " ", "   ", "    ", "\t", "      ", "> ", "> > ", ">   ", " \t"],
    ids=repr,
)
@pytest.mark.parametrize("fence", ["```", "~~~", "`````", "~~~~"])
def test_indentation_and_quote_markers_of_the_fence_come_off(
    prefix: str, fence: str
) -> None:
    lines = [f"{fence}python", *CODE.split("\n"), fence]
    text = "10. First:\n\n" + "\n".join(prefix + line for line in lines) + "\n\nDone."
    assert extract_code(text, language="python") == CODE


def test_a_fence_right_behind_a_list_marker() -> None:
    assert fenced_blocks("- ```py\n  x = 1\n    y\n  ```\n1. ~~~js\n   z\n   ~~~") == [
        ("py", "x = 1\n  y"),
        ("js", "z"),
    ]


def test_a_fence_inside_the_code_does_not_end_it() -> None:
    text = '```python\ndef f():\n    """\n    ```\n    example\n    ```\n    """\n```'
    assert extract_code(text, language="python").endswith('"""')
    assert fenced_blocks("````md\n```\nx\n```\n````") == [("md", "```\nx\n```")]
    assert fenced_blocks("~~~\n```\n~~~") == [("", "```")]


def test_a_quote_that_ends_ends_its_block() -> None:
    assert fenced_blocks("> ```py\n> x = 1\nprose\n```py\ny = 2\n```") == [
        ("py", "x = 1"),
        ("py", "y = 2"),
    ]


def test_prompts_of_an_interpreter_are_no_quote() -> None:
    assert fenced_blocks("```py\n>>> x\n> y\n```") == [("py", ">>> x\n> y")]


@pytest.mark.parametrize(
    "info",
    [
        "{python}",
        "{.python}",
        " python title=x",
        "Python {linenos=true}",
        "python,ignore",
    ],
)
def test_languages_as_they_are_written(info: str) -> None:
    assert fenced_blocks(f"```{info}\nx\n```") == [("python", "x")]


def test_blocks_without_a_language_count_only_where_none_has_one() -> None:
    assert extract_code("Here:\n```\n\nx = 1\n\n```", language="python") == "x = 1"
    assert (
        extract_code("```python\nx = 1\n```\noutput:\n```\n1\n```", language="python")
        == "x = 1"
    )


_LINES = st.lists(
    st.sampled_from(
        ["x = 1", "", "  indented", "    deep", "\ttab", "# note", "a | b"]
    ),
    max_size=5,
)
_CONTAINERS = st.lists(st.sampled_from(["> ", "- ", "1. ", "10) ", "* "]), max_size=3)


@settings(deadline=None)
@given(
    lines=_LINES,
    containers=_CONTAINERS,
    indent=st.integers(0, 3),
    fence=st.sampled_from(["```", "~~~", "`````"]),
    closed=st.booleans(),
)
def test_blocks_are_those_of_a_commonmark_parser(
    lines: list[str], containers: list[str], indent: int, fence: str, closed: bool
) -> None:
    first = "".join(containers)
    later = "".join(part if part == "> " else " " * len(part) for part in containers)
    body = [f"{fence}py", *lines, *([fence] if closed else [])]
    text = "\n".join(
        (first if place == 0 else later) + " " * indent + line
        for place, line in enumerate(body)
    )
    expected = [
        (token.info.strip(), token.content.rstrip("\n"))
        for token in MarkdownIt().parse(text)
        if token.type == "fence"
    ]
    assert [(tag, code.rstrip("\n")) for tag, code in fenced_blocks(text)] == expected
