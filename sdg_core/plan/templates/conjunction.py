"""The parts of a condition `{{ a and b and c }}`, each a condition of its own: where one of them is false, the whole is."""

from sdg_core.plan.templates.column_names import spelled
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references
from sdg_core.plan.templates.skip import truth_template
from sdg_core.plan.templates.tokens import Token, tokens_of

_TRUTH = "{% if EXPRESSION %}1{% endif %}"
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_LOOSER_THAN_AND = frozenset({"or", "if", "else", ","})


def _source_of(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


def conjuncts(when: str) -> tuple[str, ...]:
    """Templates, in the order of the source, whose text is true (see `skip.is_true`) where the parts of a condition hold; one
    for the whole where it has no parts.

    The whole is the value of its last part, so that one counts as a condition does; the others count as `and` counts them.
    """
    whole = (truth_template(when),)
    tokens = tokens_of(spelled(when.strip()))
    if tokens is None or len(tokens) < 2:
        return whole
    if tokens[0].kind != "variable_begin" or tokens[-1].kind != "variable_end":
        return whole
    inside = tokens[1:-1]
    if any(token.kind.endswith(("_begin", "_end")) for token in inside):
        return whole
    parts = _split_at_and(inside)
    if len(parts) < 2:
        return whole
    *others, last = map(_source_of, parts)
    found = [_TRUTH.replace("EXPRESSION", part) for part in others]
    found.append(truth_template(f"{{{{{last}}}}}"))
    if not all(map(_is_template, found)):
        return whole
    return tuple(found)


def _split_at_and(tokens: list[Token]) -> list[list[Token]]:
    """The operands of `and` outside of brackets; the whole as one where something there binds less than `and` does."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if (
            depth == 0
            and token.kind in ("name", "operator")
            and token.text in _LOOSER_THAN_AND
        ):
            return [tokens]
        if depth == 0 and token.kind == "name" and token.text == "and":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _is_template(source: str) -> bool:
    try:
        template_references(source)
    except TemplateSyntaxError:
        return False
    return True
