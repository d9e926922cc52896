"""Faker's providers read once, as grammars, instead of being called for every record.

Faker computes a street name by picking a format from a list and filling it with picks from other lists. `Source.grammar`
runs such a method once with the picks replaced by marks: what it returns, with the marks in it, is its grammar, with Faker's
own lists and weights. Most methods of most locales only pick, fill and join. The few that look into the text they picked, or
draw numbers, cannot be followed; they are called a fixed number of times with a fixed seed, and the grammar is one of the
texts they gave. Either way the result depends on nothing but the locale and Faker's version.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from faker.factory import Factory
from faker.generator import Generator

from sdg_core.generators.samplers.people.grammar import (
    Choice,
    Join,
    Literal,
    Mask,
    Node,
    choice,
    join,
    listed,
    mask,
    rewrite,
    upper,
)

_PROVIDERS = [
    f"faker.providers.{name}"
    for name in ("person", "address", "phone_number", "job", "misc")
]
_POOL = 2_000
_TOKEN = re.compile(r"\{\{\s*(\w+)(:\s*\w+?)?\s*\}\}")
_MARK = re.compile("\ue000([0-9]+)\ue001")
_LEFT_OVER = ("?", "{{")
"""What a regular expression of Faker's would have replaced, had it been able to look behind a mark."""
_LOOKED = """__contains__ __getitem__ __iter__ __len__ __mod__ __mul__ __lt__ __gt__ capitalize count endswith find format
index isdigit lower lstrip partition replace rstrip split startswith strip swapcase title translate zfill""".split()


class _CannotFollow(Exception):
    """The method does more than pick, fill and join."""


_LOST = (
    _CannotFollow,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)
"""What a method may raise that is handed marks where it expects words."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise _CannotFollow


class _Mark(str):
    """Stands for a text that is not drawn yet. It may be joined to others; code that looks into it cannot be followed."""

    _upper: Callable[[str], "_Mark"]

    def __new__(cls, text: str, capitals: Callable[[str], "_Mark"]) -> "_Mark":
        mark = super().__new__(cls, text)
        mark._upper = capitals
        return mark

    def __str__(self) -> str:
        return self

    def upper(self) -> "_Mark":
        return self._upper(str.__str__(self))


for _name in _LOOKED:
    setattr(_Mark, _name, _refuse)


class _NoRandom:
    """Takes the place of Faker's random numbers: a method that needs them cannot be followed."""

    def __getattr__(self, name: str) -> NoReturn:
        raise _CannotFollow


def _all_texts(row: Any) -> bool:
    if not isinstance(row, tuple | list):
        return False
    return all(isinstance(text, str) for text in row)


class Source:
    """The grammars of one locale's providers."""

    def __init__(self, locale: str) -> None:
        self._locale = locale
        self._faker = Factory.create(locale, providers=_PROVIDERS)
        self._follow = Factory.create(locale, providers=_PROVIDERS)
        self._nodes: list[Node] = []
        self._known: dict[str, Node | None] = {}
        self._follow.random = _NoRandom()  # type: ignore[assignment]
        self._follow.parse = self._parse  # type: ignore[method-assign]
        followed: dict[str, Callable[..., Any]] = {
            "random_element": self._pick,
            "numerify": lambda text="###": self._masked(text, letters=False),
            "bothify": lambda text="## ??": self._masked(text),
            "lexify": lambda text="????": self._masked(text, digits=False),
        }
        for provider in self._follow.providers:
            for name, method in followed.items():
                setattr(provider, name, method)

    def provider(self, name: str) -> Any:
        """Faker's provider of that name."""
        for provider in self._faker.get_providers():
            if provider.__provider__ == f"faker.providers.{name}":
                return provider
        raise LookupError(f"Faker has no provider {name!r}")

    def grammar(self, *methods: str) -> Node | None:
        """The grammar of the first of the methods that the locale has; None if it has none of them, or nothing to give."""
        for method in methods:
            if method not in self._known:
                self._known[method] = (
                    self._read(method) if hasattr(self._faker, method) else None
                )
            if self._known[method] is not None:
                return self._known[method]
        return None

    def _read(self, method: str) -> Node | None:
        try:
            node = self._node(getattr(self._follow, method)())
        except _LOST:
            return _pool(self._faker, method)
        return _pool(self._faker, method) if _unfinished(node) else node

    def _node(self, text: Any) -> Node:
        """What a method returned as a grammar: fixed text and marks."""
        if not isinstance(text, str):
            raise _CannotFollow
        nodes: list[Node] = []
        for place, part in enumerate(_MARK.split(str.__str__(text))):
            is_mark = place % 2 == 1
            nodes.append(self._nodes[int(part)] if is_mark else Literal(part))
        return join(nodes)

    def _mark(self, node: Node) -> _Mark:
        def in_capitals(text: str) -> _Mark:
            return self._mark(upper(self._node(text)))

        place = len(self._nodes)
        self._nodes.append(node)
        return _Mark(f"\ue000{place}\ue001", in_capitals)

    def _pick(
        self, elements: Sequence[Any] | Mapping[Any, float] = ("a", "b", "c")
    ) -> Any:
        options = list(elements)
        weights = (
            list(elements.values())
            if isinstance(elements, Mapping)
            else [1.0] * len(options)
        )
        if options and all(map(_all_texts, options)):
            # a pick of several texts that belong together; methods return one of them
            columns = zip(*options, strict=True)
            return tuple(
                self._mark(self._weighted(column, weights)) for column in columns
            )
        if all(type(option) is str for option in options):
            # some of Faker's lists were sets, with another order each time
            weighted = sorted(zip(options, weights, strict=True))
            options = [text for text, _ in weighted]
            weights = [weight for _, weight in weighted]
        return self._mark(self._weighted(options, weights))

    def _weighted(self, texts: Iterable[Any], weights: Iterable[float]) -> Node:
        nodes = map(self._node, texts)
        return choice(zip(nodes, map(float, weights), strict=True))

    def _masked(self, text: str, *, letters: bool = True, digits: bool = True) -> _Mark:
        return self._mark(
            rewrite(
                self._node(text),
                lambda part: mask(part, letters=letters, digits=digits),
            )
        )

    def _parse(self, text: str) -> _Mark:
        return self._mark(rewrite(self._node(text), self._filled))

    def _filled(self, pattern: str) -> Node:
        parts: list[Node] = []
        end = 0
        for token in _TOKEN.finditer(pattern):
            node = None if token[2] else self.grammar(token[1])
            if node is None:
                raise _CannotFollow
            parts += [Literal(pattern[end : token.start()]), node]
            end = token.end()
        return join([*parts, Literal(pattern[end:])])


def _unfinished(node: Node) -> bool:
    match node:
        case Literal():
            return any(sign in node.text for sign in _LEFT_OVER)
        case Mask():
            drawn = {place for place, _ in node.drawn}
            kept = [
                byte for place, byte in enumerate(node.template) if place not in drawn
            ]
            text = bytes(kept)
            return any(sign.encode() in text for sign in _LEFT_OVER)
        case Join():
            return any(map(_unfinished, node.parts))
        case Choice():
            return any(map(_unfinished, node.options))


def _pool(faker: Generator, method: str) -> Node | None:
    """Texts of a method that cannot be followed; None if it gives none."""
    faker.seed_instance(f"sdg/people/{method}")
    try:
        texts = [getattr(faker, method)() for _ in range(_POOL)]
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    return listed([str(text) for text in texts])
