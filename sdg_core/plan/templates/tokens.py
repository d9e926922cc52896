"""A template's source as Jinja2's tokens, which give the source back when they are joined."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

_LEXER = jinja2.Environment(autoescape=False, keep_trailing_newline=True)
_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Token:
    """kind: Jinja2's, such as `name`, `operator`, `whitespace` or `block_begin`."""

    kind: str
    text: str


def following(tokens: Sequence[Token], place: int) -> int:
    """The place of the next token that is not white space; the end if there is none."""
    place += 1
    while place < len(tokens) and tokens[place].kind == "whitespace":
        place += 1
    return place


def preceding(tokens: Sequence[Token], place: int) -> int:
    """The place of the last token before that is not white space; -1 if there is none."""
    place -= 1
    while place >= 0 and tokens[place].kind == "whitespace":
        place -= 1
    return place


def tokens_of(source: str) -> list[Token] | None:
    """The tokens in order; None if Jinja2 cannot split the source."""
    try:
        return split(source)
    except (
        jinja2.TemplateSyntaxError,
        ValueError,
    ):  # a ValueError for an integer of thousands of digits
        return None


def split(source: str) -> list[Token]:
    """The tokens in order; lines end as they do in the source, not all by a newline.

    Raises jinja2.TemplateSyntaxError, and ValueError for an integer of thousands of digits.
    """
    tokens = [Token(kind, text) for _, kind, text in _LEXER.lex(source)]
    if "\r" not in source:
        return tokens
    newlines = iter(_NEWLINE.findall(source))
    restored = []
    for token in tokens:
        text = re.sub("\n", lambda _: next(newlines), token.text)
        restored.append(Token(token.kind, text))
    return restored
