"""Fenced code blocks in Markdown, as models write them: in lists, in quotes, behind tabs.

Follows CommonMark 0.31 (https://spec.commonmark.org/0.31.2/#fenced-code-blocks): the indentation of the opening fence is taken
off every line, a closing fence is of the same character and at least as long, and a block in a quote ends with the quote.
It is laxer in one thing: a fence may be indented deeper than three spaces without a list around it, because models do that.
"""

import re
from dataclasses import dataclass, field

_TAB = 4
_CONTAINER = r"(?:[ \t]|>|[-*+](?=[ \t])|[0-9]{1,9}[.)](?=[ \t]))*"
_OPENING = re.compile(rf"({_CONTAINER})(`{{3,}}|~{{3,}})([^\n]*)")
_CLOSING = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*")
_QUOTE = re.compile(r"[ \t]*>")
_TAG = re.compile(r"\{?\.?([^\s`{},]*)")
_MAX_CLOSING_INDENT = 3


@dataclass
class _Block:
    """An open block. indent: columns that come off each line. quotes: markers that each line begins with."""

    fence: str
    tag: str
    indent: int
    quotes: int
    lines: list[str] = field(default_factory=list)

    def ends_with(self, line: str) -> bool:
        closing = _CLOSING.fullmatch(line)
        if (
            closing is None
            or closing[2][0] != self.fence[0]
            or len(closing[2]) < len(self.fence)
        ):
            return False
        return _width(closing[1]) <= self.indent + _MAX_CLOSING_INDENT

    def result(self) -> tuple[str, str]:
        return self.tag, "\n".join(self.lines)


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """The language (lower case, empty if none is given) and the code of each fenced block; one that is not closed ends with
    the text."""
    blocks: list[tuple[str, str]] = []
    block: _Block | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        if block is not None:
            inner = _without_quotes(line, block.quotes)
            if inner is not None and not block.ends_with(inner):
                block.lines.append(_without_indent(inner, block.indent))
                continue
            blocks.append(block.result())
            block = None
            if inner is not None:
                continue
        block = _opened(line)
    return [*blocks, block.result()] if block is not None else blocks


def _opened(line: str) -> _Block | None:
    """The block that a line opens. What follows backticks has no backtick in it, or the line is code within a sentence."""
    opening = _OPENING.fullmatch(line)
    if opening is None or (opening[2][0] == "`" and "`" in opening[3]):
        return None
    container = opening[1]
    depth = container.count(">")
    inner = _without_quotes(container, depth) or ""
    found = _TAG.match(opening[3].strip())
    tag = found[1].lower() if found else ""
    return _Block(opening[2], tag, _width(inner), depth)


def _without_quotes(line: str, depth: int) -> str | None:
    """A line behind its quote markers, each with the space that belongs to it; None if it has fewer."""
    for _ in range(depth):
        marker = _QUOTE.search(line) if ">" in line else None
        if marker is None or (line[: marker.start()].strip(" \t-*+.)0123456789")):
            return None
        line = line[marker.end() :].removeprefix(" ")
    return line


def _width(text: str) -> int:
    """Columns that a line's beginning takes."""
    return len(text.expandtabs(_TAB))


def _without_indent(line: str, columns: int) -> str:
    """A line without up to so many columns of white space; a tab that is only partly taken off leaves spaces."""
    taken = 0
    for place, character in enumerate(line):
        if taken >= columns or character not in " \t":
            return " " * (taken - columns) + line[place:]
        taken += _TAB - taken % _TAB if character == "\t" else 1
    return " " * max(0, taken - columns)
