"""Small grammars of text (a street name, a phone number), drawn for many records at once.

A grammar is fixed when it is built, and so is the slot - the place among the record's own random words - that each of its
choices reads. The text of a record therefore does not depend on which records it is drawn with. Alternatives share slots,
because a record takes only one of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import assert_never

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.generators.samplers.inverse_cdf import InverseCdf
from sdg_core.generators.samplers.people.word_stream import SelectedWords, WordStream
from sdg_core.plan.types.arrow_values import text_series

Ints = NDArray[np.int64]

_CHARACTERS_PER_WORD = 10
_DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALPHABETS = {"#": _DIGITS, "%": _DIGITS[1:], "$": _DIGITS[2:]}
_OPTIONAL = {"!": "#", "@": "%"}


@dataclass(frozen=True)
class Literal:
    """Fixed text."""

    text: str


@dataclass(frozen=True)
class Mask:
    """Text of fixed width in UTF-8 in which some bytes are drawn, each uniformly from its alphabet."""

    template: bytes
    drawn: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class Join:
    """Parts one after the other, drawn independently."""

    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Choice:
    """One of the options, by weight."""

    options: tuple["Node", ...]
    weights: tuple[float, ...] = field(repr=False)

    @cached_property
    def listed(self) -> pl.Series | None:
        """The options if all of them are fixed text: then a draw is a look-up."""
        texts = [option.text for option in self.options if isinstance(option, Literal)]
        return (
            pl.Series(texts, dtype=pl.String)
            if len(texts) == len(self.options)
            else None
        )

    @cached_property
    def _find(self) -> InverseCdf | None:
        return (
            None
            if min(self.weights) == max(self.weights)
            else InverseCdf(np.cumsum(self.weights) / sum(self.weights))
        )

    def codes(self, draws: WordStream, slot: int) -> Ints:
        """The option that each record takes."""
        return (
            draws.pick(slot, len(self.options))
            if self._find is None
            else self._find(draws.unit(slot))
        )


Node = Literal | Mask | Join | Choice


def choice(options: Iterable[tuple[Node, float]]) -> Node:
    """One of the options; equal ones are counted together, those without weight left out."""
    weights: dict[Node, float] = {}
    for option, weight in options:
        if weight > 0:
            weights[option] = weights.get(option, 0.0) + weight
    if not weights:
        raise ValueError("no option has a weight")
    if len(weights) == 1:
        return next(iter(weights))
    return Choice(tuple(weights), tuple(weights.values()))


def listed(texts: Sequence[str] | Mapping[str, float]) -> Node:
    """One of the texts, by weight if they are a mapping to weights."""
    if isinstance(texts, Mapping):
        return choice((Literal(text), float(weight)) for text, weight in texts.items())
    return choice((Literal(text), 1.0) for text in texts)


def join(parts: Iterable[Node]) -> Node:
    """The parts one after the other."""
    kept = tuple(part for part in parts if part != Literal(""))
    if not kept:
        return Literal("")
    if len(kept) == 1:
        return kept[0]
    return Join(kept)


def mask(text: str, *, letters: bool = True, digits: bool = True) -> Node:
    """Faker's placeholders: # digit, % 1 to 9, $ 2 to 9, ! and @ a digit or nothing, ? a letter."""
    alphabets: dict[str, str] = {}
    if digits:
        alphabets |= _ALPHABETS
    if letters:
        alphabets["?"] = _LETTERS
    parts: list[Node] = []
    template = b""
    drawn = list[tuple[int, bytes]]()
    for character in text:
        if digits and character in _OPTIONAL:
            parts.append(_masked(template, drawn))
            parts.append(choice([(Literal(""), 1), (mask(_OPTIONAL[character]), 1)]))
            template = b""
            drawn = []
            continue
        if character in alphabets:
            drawn.append((len(template), alphabets[character].encode()))
        template += character.encode()
    return join([*parts, _masked(template, drawn)])


def _masked(template: bytes, drawn: list[tuple[int, bytes]]) -> Node:
    return Mask(template, tuple(drawn)) if drawn else Literal(template.decode())


def rewrite(node: Node, change: Callable[[str], Node]) -> Node:
    """The grammar with each fixed text replaced."""
    match node:
        case Literal():
            return change(node.text)
        case Mask():
            return node
        case Join():
            return join(rewrite(part, change) for part in node.parts)
        case Choice():
            options = [rewrite(option, change) for option in node.options]
            return choice(zip(options, node.weights, strict=True))
        case _:
            assert_never(node)


def upper(node: Node) -> Node:
    """The grammar in capitals."""
    match node:
        case Literal():
            return Literal(node.text.upper())
        case Mask():
            template = node.template.decode().upper().encode()
            drawn = [(place, alphabet.upper()) for place, alphabet in node.drawn]
            return Mask(template, tuple(drawn))
        case Join():
            return join(map(upper, node.parts))
        case Choice():
            options = map(upper, node.options)
            return choice(zip(options, node.weights, strict=True))
        case _:
            assert_never(node)


def slots(node: Node) -> int:
    """How many slots a draw may read."""
    match node:
        case Literal():
            return 0
        case Mask():
            return -(-len(node.drawn) // _CHARACTERS_PER_WORD)
        case Join():
            return sum(map(slots, node.parts))
        case Choice():
            return 1 + max(map(slots, node.options))
        case _:
            assert_never(node)


def texts_of(node: Node, *, limit: int) -> dict[str, float] | None:
    """Every text the grammar can give with its probability; None if they are more than `limit`."""
    match node:
        case Literal():
            return {node.text: 1.0}
        case Mask():
            return None
        case Join():
            texts = [texts_of(part, limit=limit) for part in node.parts]
            return _products(texts, limit)
        case Choice():
            return _sums(node, limit)
        case _:
            assert_never(node)


def _products(
    parts: list[dict[str, float] | None], limit: int
) -> dict[str, float] | None:
    found = {"": 1.0}
    for part in parts:
        if part is None or len(found) * len(part) > limit:
            return None
        found = {
            text + more: weight * share
            for text, weight in found.items()
            for more, share in part.items()
        }
    return found


def _sums(node: Choice, limit: int) -> dict[str, float] | None:
    total = sum(node.weights)
    found: dict[str, float] = {}
    for option, weight in zip(node.options, node.weights, strict=True):
        texts = texts_of(option, limit=limit)
        if texts is None or len(found) + len(texts) > limit:
            return None
        for text, share in texts.items():
            found[text] = found.get(text, 0.0) + share * weight / total
    return found


def tidy(text: str) -> str:
    """The text without white space at its ends, and with single spaces inside: some of Faker's lists have more."""
    return " ".join(text.split())


def tidied(texts: pl.Series) -> pl.Series:
    """`tidy` of each text."""
    return texts.str.replace_all(r"\s+", " ").str.strip_chars()


def is_untidy(node: Node) -> bool:
    """Whether `tidy` could change a text of the grammar."""
    spaces = _spaces(node)
    return spaces.start or spaces.end or spaces.twice


@dataclass(frozen=True)
class _Spaces:
    """Where the texts of a grammar may have white space: at the start, at the end, twice in a row; or be empty."""

    start: bool
    end: bool
    twice: bool
    empty: bool = False

    def followed_by(self, other: "_Spaces") -> "_Spaces":
        """Those of one text after the other."""
        meet = self.end and other.start
        return _Spaces(
            start=self.start or (self.empty and other.start),
            end=other.end or (other.empty and self.end),
            twice=self.twice or other.twice or meet,
            empty=self.empty and other.empty,
        )

    def or_those_of(self, other: "_Spaces") -> "_Spaces":
        """Those of one of two texts."""
        return _Spaces(
            start=self.start or other.start,
            end=self.end or other.end,
            twice=self.twice or other.twice,
            empty=self.empty or other.empty,
        )


def _spaces(node: Node) -> _Spaces:
    match node:
        case Literal(text=text):
            inside = f".{text}."
            return _Spaces(
                start=text[:1].isspace(),
                end=text[-1:].isspace(),
                twice=tidy(inside) != inside,
                empty=not text,
            )
        case Mask(template=template):
            return _spaces(Literal(template.decode(errors="replace")))
        case Choice(options=options):
            found = _Spaces(start=False, end=False, twice=False, empty=False)
            for option in options:
                found = found.or_those_of(_spaces(option))
            return found
        case Join(parts=parts):
            joined = _Spaces(start=False, end=False, twice=False, empty=True)
            for part in parts:
                joined = joined.followed_by(_spaces(part))
            return joined
        case _:
            assert_never(node)


def draw(node: Node, draws: WordStream, slot: int) -> pl.Series:
    """One text per record; reads the `slots(node)` slots from `slot` on."""
    match node:
        case Literal():
            return pl.repeat(node.text, len(draws), dtype=pl.String, eager=True)
        case Mask():
            return _draw_mask(node, draws, slot)
        case Join():
            return _draw_join(node, draws, slot)
        case Choice():
            codes = node.codes(draws, slot)
            return (
                node.listed.gather(codes)
                if node.listed is not None
                else _draw_option(node, draws, slot, codes)
            )
        case _:
            assert_never(node)


def _draw_join(node: Join, draws: WordStream, slot: int) -> pl.Series:
    pieces: list[pl.Series | pl.Expr] = []
    for part in node.parts:
        if isinstance(part, Literal):
            pieces.append(pl.lit(part.text))
        else:
            pieces.append(draw(part, draws, slot))
        slot += slots(part)
    return pl.select(pl.concat_str(pieces)).to_series()


def _draw_option(node: Choice, draws: WordStream, slot: int, codes: Ints) -> pl.Series:
    """Each option is drawn for the records that take it; then they go back to their places."""
    order = np.argsort(codes.astype(np.int16), kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(node.options) + 1))
    parts = [
        draw(option, SelectedWords(draws, order[start:stop]), slot + 1)
        for option, start, stop in zip(
            node.options, bounds[:-1], bounds[1:], strict=True
        )
        if stop > start
    ]
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return pl.concat(parts).gather(places) if parts else pl.Series([], dtype=pl.String)


def _draw_mask(node: Mask, draws: WordStream, slot: int) -> pl.Series:
    text = np.empty((len(draws), len(node.template)), np.uint8)
    text[:] = np.frombuffer(node.template, np.uint8)
    rest = np.empty(0, np.uint64)
    for number, (place, alphabet) in enumerate(node.drawn):
        if number % _CHARACTERS_PER_WORD == 0:
            rest = draws.words(slot + number // _CHARACTERS_PER_WORD)
        size = np.uint64(len(alphabet))
        quotient = rest // size
        text[:, place] = np.frombuffer(alphabet, np.uint8)[
            (rest - quotient * size).astype(np.intp)
        ]
        rest = quotient
    return text_series("", text)
