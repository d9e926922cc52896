"""Templates as Jinja2 writes them, in the words of the engine that renders them.

The engine (minijinja) has no `%` between texts, not every method of a text, not every argument of a filter, and takes JSON text
for text where Data Designer takes it for the object or list that it spells. So `'%05d' % n` becomes a filter, `name.zfill(5)`
another, and in the variant that reads JSON, `column.key`, `column[0]`, `for x in column` and `column|length` go through a filter
that reads it. Nothing else changes, line numbers included; a source that Jinja2 cannot split into tokens stays as it is.
"""

import re
from collections.abc import Collection

from sdg_core.plan.templates.column_names import as_named, identifier, spelled
from sdg_core.plan.templates.tokens import Token, following, preceding, tokens_of

PERCENT = "percent_"
METHOD = "method_"
FROM_JSON = "json_"
FROM_JSON_LIST = "json_list_"
AS_JSON = "as_json_"
"""Filters that only rewritten templates use."""
POSITIONAL = {
    name: f"{name}_"
    for name in (
        "truncate",
        "wordwrap",
        "replace",
        "sort",
        "min",
        "max",
        "unique",
        "dictsort",
    )
}
"""Filters that the engine has, but not with all of Jinja2's arguments, and what stands for them where those are given."""
TEXT_METHODS = frozenset(
    "index rindex zfill center rjust ljust partition rpartition rsplit swapcase casefold expandtabs removeprefix removesuffix "
    "istitle isdecimal isidentifier isprintable".split()
)
"""Methods of Python's text that the engine does not have."""
_ENGINE_METHODS = frozenset(
    "capitalize count endswith find format isalnum isalpha isascii isdigit islower isnumeric isspace isupper join lower lstrip "
    "replace rfind rstrip split splitlines startswith strip title upper encode".split()
)
_OF_COLLECTIONS = frozenset(
    "length count first last join list sort reverse unique min max sum map select reject selectattr rejectattr items random "
    "batch slice dictsort groupby jsonpath".split()
)
_OPEN = {"(": ")", "[": "]", "{": "}"}
_CLOSE = frozenset(")]}")
_KEYWORDS = frozenset(
    "in and or not if else elif is for set recursive true false none True False None".split()
)
_MAY_NEED = re.compile(
    rf"%(?!}})|\|\s*(?:{'|'.join(POSITIONAL)})\s*\(|\.\s*(?:{'|'.join(TEXT_METHODS)})\s*\("
)
_PRINTED = (
    f" ((EXPRESSION)|{AS_JSON}) if ((EXPRESSION) is mapping or (EXPRESSION) is boolean or (EXPRESSION) is sequence "
    "and (EXPRESSION) is not string) else (EXPRESSION) "
)
_INSERTED = re.compile(rf"\(|\|{FROM_JSON}\)|\|{FROM_JSON_LIST}\)")


def for_engine(source: str) -> str:
    """The source with what the engine does not have replaced."""
    source = spelled(source)
    if not _MAY_NEED.search(source):
        return source
    tokens = tokens_of(source)
    if tokens is None:
        return source
    _rewrite_filters(tokens)
    _rewrite_methods(tokens)
    _rewrite_percent(tokens)
    return "".join(token.text for token in tokens)


def reading_json(source: str, names: Collection[str]) -> str | None:
    """The rewritten source in which texts that are JSON objects or lists are read where they are looked into, looped over or
    measured; None if it does nothing of the kind. names: the columns that it reads."""
    tokens = tokens_of(for_engine(source))
    if tokens is None:
        return None
    roots = {*map(identifier, names), *_loop_names(tokens)} - {"loop"}
    result = "".join(token.text for token in _with_json(tokens, roots))
    reads_json = f"|{FROM_JSON}" in result or f"|{FROM_JSON_LIST}" in result
    return result if reads_json else None


def printing_json(source: str) -> str:
    """The source with objects, lists and truth values printed as JSON; text, numbers and null as ever."""
    tokens = tokens_of(spelled(source))
    if tokens is None:
        return source
    made = ""
    place = 0
    while place < len(tokens):
        token = tokens[place]
        made += token.text
        place += 1
        if token.kind == "variable_begin":
            expression = ""
            while tokens[place].kind != "variable_end":
                expression += tokens[place].text
                place += 1
            made += _PRINTED.replace("EXPRESSION", expression.strip())
    return made


def as_written(expression: str) -> str:
    """An expression of a rewritten source as its author wrote it, for messages."""
    if f"|{FROM_JSON}" in expression or f"|{FROM_JSON_LIST}" in expression:
        expression = _INSERTED.sub("", expression)
    return as_named(expression)


def _rewrite_filters(tokens: list[Token]) -> None:
    """`|truncate(8)` to `|truncate_(8)`: the engine takes the length by name only, and no count for `replace`."""
    for place, token in enumerate(tokens):
        call = following(tokens, place)
        if token.text not in POSITIONAL:
            continue
        if not _is(tokens, preceding(tokens, place), "|") or not _is(tokens, call, "("):
            continue
        given = tokens[call + 1 : _closing(tokens, call)]
        if all(other.kind == "whitespace" for other in given):
            continue
        if token.text == "replace":
            is_positional = _count_at_top(given, ",") > 1
        else:
            first = following(tokens, call)
            is_positional = not _is(tokens, following(tokens, first), "=")
        if is_positional:
            tokens[place] = _name(POSITIONAL[token.text])


def _rewrite_methods(tokens: list[Token]) -> None:
    """`left.zfill(5)` to `(left|method_('zfill', 5))`."""
    place = 0
    while place < len(tokens):
        name = following(tokens, place)
        call = following(tokens, name)
        if (
            _is(tokens, place, ".")
            and _is(tokens, call, "(")
            and tokens[name].text in TEXT_METHODS
        ):
            end = _closing(tokens, call)
            start = _expression_start(tokens, preceding(tokens, place))
            arguments = f"('{tokens[name].text}'"
            if following(tokens, call) != end:
                arguments += ", "
            tokens[place : call + 1] = [_op("|"), _name(METHOD), _op(arguments)]
            end += 3 - (call + 1 - place)
            tokens.insert(end + 1, _op(")"))
            tokens.insert(start, _op("("))
        place += 1


def _rewrite_percent(tokens: list[Token]) -> None:
    """`'%05d' % n` to `('%05d'|percent_(n))`; the values of a tuple are arguments of their own."""
    place = 0
    while place < len(tokens):
        left = preceding(tokens, place)
        if _is(tokens, place, "%") and left >= 0 and tokens[left].kind == "string":
            start = following(tokens, place)
            end = _operand_end(tokens, start)
            operand = tokens[start : end + 1]
            if _is_tuple(operand):
                operand = operand[1:-1]
            wrapped = [
                _op("("),
                tokens[left],
                _op("|"),
                _name(PERCENT),
                _op("("),
                *operand,
                _op(")"),
                _op(")"),
            ]
            tokens[left : end + 1] = wrapped
        place += 1


def _with_json(tokens: list[Token], roots: Collection[str]) -> list[Token]:
    made: list[Token] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        before = preceding(tokens, place)
        is_root = (
            token.kind == "name"
            and token.text in roots
            and not _is(tokens, before, ".", "|")
        )
        if not is_root or _is(tokens, following(tokens, place), "="):
            made.append(token)
            place += 1
            continue
        expression, place = _chain(tokens, place, roots)
        looped = (
            before >= 0
            and tokens[before].text == "in"
            and _statement(tokens, before) == "for"
        )
        made += _read(expression, FROM_JSON) if looped else expression
    return made


def _chain(
    tokens: list[Token], place: int, roots: Collection[str]
) -> tuple[list[Token], int]:
    """A name with everything that is looked up in it, and the place behind it."""
    expression = [tokens[place]]
    place += 1
    while True:
        sign = place
        if place >= len(tokens) or tokens[place].kind == "whitespace":
            sign = following(tokens, place - 1)
        name = following(tokens, sign)
        if _is(tokens, sign, "."):
            is_call = _is(tokens, following(tokens, name), "(")
            if not (is_call and tokens[name].text in _ENGINE_METHODS):
                expression = _read(expression, FROM_JSON)
            expression = [*expression, _op("."), tokens[name]]
            place = name + 1
        elif _is(tokens, sign, "[", "("):
            end = _closing(tokens, sign)
            inside = tokens[sign + 1 : end]
            if tokens[sign].text == "[":
                is_slice = _count_at_top(inside, ":") > 0
                expression = _read(
                    expression, FROM_JSON_LIST if is_slice else FROM_JSON
                )
            expression = [
                *expression,
                tokens[sign],
                *_with_json(inside, roots),
                tokens[end],
            ]
            place = end + 1
        elif (
            _is(tokens, sign, "|")
            and name < len(tokens)
            and tokens[name].text in _OF_COLLECTIONS
        ):
            return _read(expression, FROM_JSON), place
        else:
            return expression, place


def _read(expression: list[Token], filter_name: str) -> list[Token]:
    return [_op("("), *expression, _op("|"), _name(filter_name), _op(")")]


def _loop_names(tokens: list[Token]) -> set[str]:
    """Names that loops give to their items."""
    found: set[str] = set()
    inside = False
    for place, token in enumerate(tokens):
        if (
            token.kind == "name"
            and token.text == "for"
            and tokens[preceding(tokens, place)].kind == "block_begin"
        ):
            inside = True
        elif token.text == "in":
            inside = False
        elif inside and token.kind == "name":
            found.add(token.text)
    return found


def _statement(tokens: list[Token], place: int) -> str:
    """The first word of the tag that a place is in."""
    while place >= 0 and tokens[place].kind != "block_begin":
        place -= 1
    first = following(tokens, place)
    return tokens[first].text if place >= 0 and first < len(tokens) else ""


def _expression_start(tokens: list[Token], place: int) -> int:
    """Where the operand begins that ends at a place: a name or literal with its lookups and calls."""
    while True:
        if tokens[place].text in _CLOSE and tokens[place].kind == "operator":
            place = _opening(tokens, place)
            before = preceding(tokens, place)
            callee = before >= 0 and (
                tokens[before].kind in ("name", "string")
                or _is(tokens, before, ")", "]")
            )
            if not callee or tokens[before].text in _KEYWORDS:
                return place
            place = before
            continue
        before = preceding(tokens, place)
        if not _is(tokens, before, "."):
            return place
        place = preceding(tokens, before)


def _operand_end(tokens: list[Token], place: int) -> int:
    """Where the operand ends that begins at a place, filters included."""
    if _is(tokens, place, "-", "+"):
        place = following(tokens, place)
    end = _closing(tokens, place) if _is(tokens, place, *_OPEN) else place
    while True:
        after = following(tokens, end)
        if _is(tokens, after, ".", "|"):
            end = following(tokens, after)
        elif _is(tokens, after, "(", "["):
            end = _closing(tokens, after)
        else:
            return end


def _is_tuple(operand: list[Token]) -> bool:
    return (
        operand[0].text == "("
        and _closing(operand, 0) == len(operand) - 1
        and _count_at_top(operand[1:-1], ",") > 0
    )


def _count_at_top(tokens: list[Token], sign: str) -> int:
    depth = count = 0
    for token in tokens:
        if token.kind == "operator":
            depth += (token.text in _OPEN) - (token.text in _CLOSE)
            count += token.text == sign and depth == 0
    return count


def _closing(tokens: list[Token], place: int) -> int:
    """The bracket that closes the one at a place; the last token if it never closes."""
    depth = 0
    for end in range(place, len(tokens)):
        if tokens[end].kind == "operator":
            depth += _depth_change(tokens[end])
            if depth <= 0:
                return end
    return len(tokens) - 1


def _opening(tokens: list[Token], place: int) -> int:
    depth = 0
    for start in range(place, -1, -1):
        if tokens[start].kind == "operator":
            depth -= _depth_change(tokens[start])
            if depth <= 0:
                return start
    return 0


def _depth_change(operator: Token) -> int:
    """How many more brackets are open after an operator."""
    change = 0
    for sign in operator.text:
        if sign in "([{":
            change += 1
        elif sign in ")]}":
            change -= 1
    return change


def _is(tokens: list[Token], place: int, *signs: str) -> bool:
    return (
        0 <= place < len(tokens)
        and tokens[place].kind == "operator"
        and tokens[place].text in signs
    )


def _op(text: str) -> Token:
    return Token("operator", text)


def _name(text: str) -> Token:
    return Token("name", text)
