"""Column names that Jinja cannot spell, as identifiers that it can.

A template may read any column: one of several words as it is (`{{ Product Name }}`), one that is named like a function of the
template language unless it is called (`{{ range }}`, but `{{ range(3) }}`), and every other one in backticks (``{{ `a-b` }}``),
as in SQL and in pandas' queries. None of these means anything else in Jinja, so each becomes an identifier that says the name
in hexadecimal digits, and nothing else in the source changes.
"""

import re

from sdg_core.plan.templates.tokens import Token, following, preceding, tokens_of

FUNCTIONS = frozenset("cycler dict joiner namespace range self".split())
"""Names that mean something else in templates only where they are called or looked into."""
LITERALS = frozenset("true false none True False None".split())
"""Names that are values of the template language wherever they stand."""

_PREFIX = "column_0x"
_IDENTIFIER = re.compile(rf"\b{_PREFIX}((?:[0-9a-f]{{2}})+)\b")
_KEYWORDS = frozenset(
    "and as context elif else if ignore import in is missing not or recursive required scoped with without".split()
)
_TAGS = {"{{": "}}", "{%": "%}"}
_OPENING = re.compile(r"\{#|\{%[-+]?\s*raw\s*[-+]?%\}|\{\{|\{%")
_END_OF_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_END_OF_COMMENT = re.compile(r"#\}")
_INSIDE = re.compile(
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`([^`\r\n]+)`|\}\}|%\}|[{}]", re.DOTALL
)
_MAY_NEED = re.compile(
    rf"[^\W\d]\w*[ \t]+[^\W\d]\w*|\b(?:{'|'.join(sorted(FUNCTIONS))})\b"
)


def spelled(source: str) -> str:
    """The source with every such name as an identifier."""
    if "`" in source:
        source = _without_backticks(source)
    if _MAY_NEED.search(source) is None:
        return source
    tokens = tokens_of(source)
    return "".join(_joined(tokens)) if tokens is not None else source


def identifier(name: str) -> str:
    """What stands for a column in a source that went through `spelled`."""
    plain = name.isidentifier() and name not in FUNCTIONS
    return name if plain else _PREFIX + name.encode("utf-8", "surrogatepass").hex()


def as_named(text: str) -> str:
    """A text, such as a message of the engine, with identifiers turned back into names."""
    return _IDENTIFIER.sub(
        lambda match: bytes.fromhex(match[1]).decode("utf-8", "surrogatepass"), text
    )


def _without_backticks(source: str) -> str:
    """Backticks mean something inside of tags only, and outside of quotes there."""
    parts: list[str] = []
    place = 0
    while (opening := _OPENING.search(source, place)) is not None:
        parts.append(source[place : opening.end()])
        place = opening.end()
        if opening[0] in _TAGS:
            place = _tag(source, place, closing=_TAGS[opening[0]], parts=parts)
            continue
        end_pattern = _END_OF_COMMENT if opening[0] == "{#" else _END_OF_RAW
        end = end_pattern.search(source, place)
        if end is None:
            break  # it never ends, which parsing will say
        parts.append(source[place : end.end()])
        place = end.end()
    return "".join(parts) + source[place:]


def _tag(source: str, place: int, *, closing: str, parts: list[str]) -> int:
    """Append a tag's inside to `parts`; the place behind its end, or the source's end if it has none."""
    depth = 0
    for found in _INSIDE.finditer(source, place):
        parts.append(source[place : found.start()])
        place = found.end()
        if found[1] is not None:
            parts.append(identifier(found[1]))
            continue
        parts.append(found[0])
        if found[0] == closing and depth <= 0:
            break
        depth += found[0].count("{") - found[0].count("}")
    return place


def _joined(tokens: list[Token]) -> list[str]:
    made: list[str] = []
    place = 0
    while place < len(tokens):
        end = _end_of_name(tokens, place)
        text = "".join(token.text for token in tokens[place:end])
        if end > place + 1 or _names_a_column(tokens, place):
            text = identifier(text)
        made.append(text)
        place = end
    return made


def _end_of_name(tokens: list[Token], place: int) -> int:
    """The place behind the words that begin at a place and are one name together; behind one token if there are no such."""
    end = place + 1
    if not _is_word(tokens, place) or _before(tokens, place) in (
        "is",
        "|",
        ".",
        "is not",
    ):
        return end
    while (
        end + 1 < len(tokens)
        and tokens[end].kind == "whitespace"
        and "\n" not in tokens[end].text
    ):
        if not _is_word(tokens, end + 1):
            break
        end += 2
    return end


def _is_word(tokens: list[Token], place: int) -> bool:
    token = tokens[place]
    starts_statement = _before(tokens, place) == "{%"
    return token.kind == "name" and token.text not in _KEYWORDS and not starts_statement


def _names_a_column(tokens: list[Token], place: int) -> bool:
    """Whether a function's name stands for the column of that name."""
    token = tokens[place]
    if (
        token.kind != "name"
        or token.text not in FUNCTIONS
        or _before(tokens, place) in (".", "|", "{%", "is", "is not")
    ):
        return False
    after = following(tokens, place)
    sign = tokens[after].text if after < len(tokens) else ""
    return sign != "(" and not (token.text == "self" and sign == ".")


def _before(tokens: list[Token], place: int) -> str:
    """What stands before a place: a sign, a word, `is not`, or `{%` for the start of a statement."""
    place = preceding(tokens, place)
    if place < 0:
        return ""
    token = tokens[place]
    if token.kind == "block_begin":
        return "{%"
    if token.text == "not" and tokens[preceding(tokens, place)].text == "is":
        return "is not"
    return token.text
