"""How long and how deep a template may be, decided before the engine sees it.

The engine's parser and compiler recurse over chains (`a ~ b ~ ...`, `a|f|g...`, `elif` after `elif`), and a stack that overflows
ends the process: no exception, no message. The bounds are far above what people write and far below where that happens
(1,000 operators on the smallest stack of a thread). Counting is linear in the source.
"""

from functools import lru_cache

import jinja2

from sdg_core.plan.templates.column_names import spelled
from sdg_core.plan.templates.tokens import Token, split

MAX_SOURCE = 4 * 2**20
"""Characters of a template, text between its tags included."""
MAX_CODE = 2**16
"""Characters inside its tags."""
MAX_CHAIN = 250
"""Operators that act on each other's results, those of the brackets around them included."""
MAX_NESTING = 100
"""Brackets or blocks inside each other."""
MAX_BRANCHES = 500
"""Tags `elif` of a template."""

_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_OPERATOR_WORDS = frozenset("and or not in is if else".split())
_BLOCKS = frozenset("for if macro call filter set block with autoescape".split())


class TemplateSyntaxError(ValueError):
    """A template that cannot be parsed; the message says where."""


@lru_cache(maxsize=512)
def checked_tokens(source: str) -> tuple[Token, ...]:
    """The tokens of a template, every column name as an identifier.

    Raises TemplateSyntaxError for what has none, and for what is too long or too deep.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateSyntaxError(
            f"the template has {len(source):,} characters; at most {MAX_SOURCE:,} are possible"
        )
    try:
        tokens = tuple(split(spelled(source)))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateSyntaxError(
            f"syntax error: {error.message} (line {error.lineno} of the template)"
        ) from None
    except ValueError as error:  # an integer of thousands of digits
        raise TemplateSyntaxError(f"syntax error: {error}") from None
    _check_code(tokens)
    _check_expressions(tokens)
    _check_blocks(tokens)
    return tokens


def _check_code(tokens: tuple[Token, ...]) -> None:
    code = [token.text for token in tokens if token.kind not in ("data", "comment")]
    length = sum(map(len, code))
    if length > MAX_CODE:
        raise TemplateSyntaxError(
            f"the tags of the template hold {length:,} characters; at most {MAX_CODE:,} are possible"
        )


def _check_expressions(tokens: tuple[Token, ...]) -> None:
    chains = [0]
    """Operators since the last comma, for each bracket that is open."""
    total = 0
    for token in tokens:
        text = token.text
        if token.kind in ("variable_begin", "block_begin"):
            chains = [0]
            total = 0
        elif token.kind == "operator":
            total += _step(chains, text)
        elif token.kind == "name" and text in _OPERATOR_WORDS:
            chains[-1] += 1
            total += 1
        if total > MAX_CHAIN:
            raise TemplateSyntaxError(
                f"more than {MAX_CHAIN} operators in one expression; use a list and join, or a loop"
            )
        if len(chains) > MAX_NESTING:
            raise TemplateSyntaxError(f"more than {MAX_NESTING} nested brackets")


def _step(chains: list[int], sign: str) -> int:
    """Follow one operator; by how much the operators that act on each other have become more."""
    if sign in _OPENING:
        chains[-1] += 1  # a call or a look-up acts on what is before it
        chains.append(0)
        return 1
    if sign in _CLOSING:
        return -chains.pop() if len(chains) > 1 else 0
    if sign in (",", ":"):
        ended = chains[-1]
        chains[-1] = 0
        return -ended
    chains[-1] += 1
    return 1


def _check_blocks(tokens: tuple[Token, ...]) -> None:
    depth = branches = 0
    for word in statements(tokens):
        branches += word == "elif"
        if word.startswith("end"):
            depth -= 1
        elif word in _BLOCKS:
            depth += 1
        if depth > MAX_NESTING:
            raise TemplateSyntaxError(f"more than {MAX_NESTING} nested blocks")
        if branches > MAX_BRANCHES:
            raise TemplateSyntaxError(
                f"more than {MAX_BRANCHES} elif tags; use a mapping"
            )


def statements(tokens: tuple[Token, ...]) -> list[str]:
    """The first word of each `{% ... %}`."""
    words = []
    waiting = False
    for token in tokens:
        if token.kind == "block_begin":
            waiting = True
        elif waiting and token.kind != "whitespace":
            words.append(token.text)
            waiting = False
    return words
