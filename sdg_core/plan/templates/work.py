"""How much a rendering can produce, known from the template and the sizes of its values before it is rendered.

The engine counts instructions, not bytes: `{% set a = a ~ a %}` forty times is a terabyte, and an allocation that fails ends the
process. So every expression is given an upper bound of its size, bottom up, for values up to a certain size; a template whose
bounds add up to little for the values of a record is rendered in this process, any other in one whose memory and time are
bounded (`isolated`). Templates that only print, join and loop over what they read are always rendered here.

Sizes are characters, with a few for each number, item and key. Bounds of items of a loop are shares of what is looped over, so
that they add up to it. What has no bound: methods that change a value, recursion, joiners.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes

from sdg_core.plan.templates.bounds import (
    NUMBER,
    SCALAR_SIZE,
    Bound,
    UnboundedError,
    either,
)
from sdg_core.plan.templates.expression_sizes import ITERATIONS, ExpressionSizes, Spaces

_MAX_WORK = 2**24
"""Characters that all expressions of a rendering together may make in this process."""
_MAX_PER_CHARACTER = 64
"""The same for each character of its values, where their sizes are not looked at."""
_TIERS = tuple(
    (float(2**exponent), float(2 ** (exponent - 6)))
    for exponent in (20, 17, 15, 13, 10, 6)
)
_UNLIMITED = (float(2**30), float(2**24))
_MANY_SMALL = (64.0, float(2**24))
_JINJA = jinja2.Environment(
    autoescape=False, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]
)


@dataclass(frozen=True)
class Room:
    """For which values a template may be rendered in this process.

    size: characters that each value may have; infinite if any number, negative if there are no such values. count: items that
    each of `counted` may have, or what it may be as a number. numbers: names whose values must be numbers, those in `repeats`
    up to `size`.
    """

    size: float
    count: float = 0.0
    counted: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    repeats: frozenset[str] = frozenset()

    @property
    def is_free(self) -> bool:
        """Whether nothing needs to be measured."""
        return math.isinf(self.size)

    def takes(self, values: Mapping[str, Any]) -> bool:
        """Whether a rendering with these plain values stays within bounds."""
        return self.size >= 0 and all(
            self._takes(name, value) for name, value in values.items()
        )

    def _takes(self, name: str, value: Any) -> bool:
        if value is None or isinstance(value, int | float):
            return abs(value or 0) <= self._most(name)
        if name in self.numbers:
            return False
        size, count = _measure(value)
        return size <= self.size and (name not in self.counted or count <= self.count)

    def _most(self, name: str) -> float:
        """How large a number may be."""
        if name in self.counted:
            return self.count
        return self.size if name in self.repeats else math.inf


_NO_ROOM = Room(-1.0)


@lru_cache(maxsize=4096)
def room_of(source: str) -> Room:
    """The values that fit a template whose tokens are within limits."""
    try:
        body = _JINJA.parse(source).body
    except (jinja2.TemplateSyntaxError, RecursionError):
        return _NO_ROOM  # the engine takes a little more than Jinja2
    free = _room(body, *_UNLIMITED, most=_UNLIMITED[0] * _MAX_PER_CHARACTER)
    if free is not None and not free.numbers:
        many_small = _room(body, *_MANY_SMALL, most=4 * _MAX_WORK)
        if many_small is not None:
            return Room(math.inf)
    for tier in _TIERS:
        room = _room(body, *tier, most=_MAX_WORK)
        if room is not None:
            return room
    return _NO_ROOM


def _room(
    body: list[nodes.Node], size: float, count: float, *, most: float
) -> Room | None:
    walk = _Walk(size, count)
    try:
        walk.output(body)
    except (UnboundedError, RecursionError):
        return None
    if not walk.work <= most:
        return None
    return Room(
        size,
        count,
        frozenset(walk.counted),
        frozenset(walk.numbers),
        frozenset(walk.repeats),
    )


def _measure(value: Any) -> tuple[float, float]:
    """Characters of a plain value, and the most items of anything in it; a text is looped over by character."""
    if isinstance(value, str):
        return len(value), len(value)
    if isinstance(value, dict):
        size: float = sum(map(len, value))
        children: Iterable[Any] = value.values()
    elif isinstance(value, list):
        size = 0
        children = value
    else:
        return SCALAR_SIZE, 0
    count: float = len(value)
    for child in children:
        inner_size, inner_count = _measure(child)
        size += 8 + inner_size
        count = max(count, inner_count)
    return size, count


class _Walk(ExpressionSizes):
    """One walk over a template."""

    def __init__(self, size: float, count: float) -> None:
        super().__init__(size, count)
        self._calling: list[str] = []

    def output(self, body: Iterable[nodes.Node]) -> float:
        """Characters that statements print. Raises UnboundedError."""
        return sum([self._statement(node) for node in body])

    def _statement(self, node: nodes.Node) -> float:
        match node:
            case nodes.Output(nodes=parts):
                return sum(_printed(self.value(part)) for part in parts)
            case nodes.For():
                return self._loop(node)
            case nodes.If():
                return self._branches(node)
            case nodes.FilterBlock(filter=filtered, body=body):
                return self.filtered(filtered, self.output(body)).size
            case nodes.With(targets=targets, values=values, body=body):
                bounds = [self.value(value) for value in values]
                return self._inside(zip(targets, bounds, strict=True), body)
            case nodes.Block(body=body) | nodes.Scope(body=body):
                return self._inside((), body)
        self._silent(node)
        return 0.0

    def _silent(self, node: nodes.Node) -> None:
        """Statements that print nothing."""
        match node:
            case nodes.Assign(target=target, node=given):
                self._bind(target, self._assigned(target, given))
            case nodes.AssignBlock(target=target, filter=filtered, body=body):
                self._bind(target, self.filtered(filtered, self.output(body)))
            case nodes.Macro(name=name):
                self.macros[name] = node
            case nodes.ExprStmt(node=expression):
                self.value(expression)
            case nodes.Break() | nodes.Continue():
                return
            case _:
                raise UnboundedError(type(node).__name__)

    def _inside(
        self, bound: Iterable[tuple[nodes.Node, Bound]], body: Iterable[nodes.Node]
    ) -> float:
        """What statements print in a scope of their own."""
        outer = self.scope
        self.scope = dict(outer)
        for target, value in bound:
            self._bind(target, value)
        printed = self.output(body)
        self.scope = outer
        return printed

    def _bind(self, target: nodes.Node, value: Bound) -> None:
        match target:
            case nodes.Name(name=name):
                self.scope[name] = value
            case nodes.NSRef(name=name, attr=attribute) if name in self.spaces:
                self.spaces[name][attribute] = replace(
                    value, size=value.whole, largest=math.inf, text=None
                )
            case nodes.Tuple(items=items) | nodes.List(items=items):
                for item in items:
                    self._bind(item, replace(value, text=None))
            case _:
                raise UnboundedError(type(target).__name__)

    def _assigned(self, target: nodes.Node, given: nodes.Node) -> Bound:
        if isinstance(target, nodes.Name):
            self.spaces.pop(target.name, None)
            match given:
                case nodes.Call(
                    node=nodes.Name(name="namespace"),
                    args=[],
                    kwargs=pairs,
                    dyn_args=None,
                    dyn_kwargs=None,
                ):
                    self.spaces[target.name] = {
                        pair.key: self.value(pair.value) for pair in pairs
                    }
                    return NUMBER
        return self.value(given)

    def _branches(self, node: nodes.If) -> float:
        before = dict(self.scope)
        spaces = _copied(self.spaces)
        branches: list[tuple[nodes.Node | None, list[nodes.Node]]] = [
            (node.test, node.body)
        ]
        branches += [(part.test, part.body) for part in node.elif_]
        branches.append((None, node.else_))
        ends = []
        printed = 0.0
        for test, body in branches:
            if test is not None:
                self.value(test)
            printed = max(printed, self.output(body))
            ends.append((self.scope, self.spaces))
            self.scope = dict(before)
            self.spaces = _copied(spaces)
        for scope, places in ends:
            self.scope = _either_of(self.scope, scope)
            for name, place in places.items():
                self.spaces[name] = _either_of(self.spaces.get(name, {}), place)
        return printed

    def _loop(self, node: nodes.For) -> float:
        looped = self.value(node.iter)
        self.counted |= looped.roots
        rounds = min(max(looped.count, 1.0), ITERATIONS)
        is_range = (
            isinstance(node.iter, nodes.Call)
            and getattr(node.iter.node, "name", None) == "range"
        )
        share = Bound(
            looped.size / rounds, looped.count, looped.whole, roots=looped.roots
        )
        item = replace(NUMBER, largest=ITERATIONS) if is_range else share
        around = Bound(SCALAR_SIZE, whole=looped.whole)
        names = [(node.target, item), (nodes.Name("loop", "store"), around)]
        body = (
            [nodes.Output([node.test]), *node.body]
            if node.test is not None
            else node.body
        )
        outer = self.times
        self.times = min(self.times * rounds, ITERATIONS)
        start = _copied(self.spaces)
        printed = self._inside(names, body)
        if self.spaces != start:
            self._accumulate(start, rounds, lambda: self._inside(names, body))
            printed = self._inside(names, body)
        self.times = outer
        return max(printed * rounds, self.output(node.else_))

    def _accumulate(
        self, start: Spaces, rounds: float, again: Callable[[], float]
    ) -> None:
        """Attributes that rounds of a loop add to, at the end of the loop. Raises UnboundedError if they do more than add.

        What one attribute hands to another shows after as many rounds as there are attributes.
        """
        before = start
        after = _copied(self.spaces)
        work = self.work
        growth: dict[tuple[str, str], float] = {}
        for _ in range(sum(map(len, after.values())) + 2):
            for name, attribute, bound in _attributes(after):
                earlier = before.get(name, {}).get(attribute, Bound(0.0))
                grown = max(bound.size - earlier.size, 0.0)
                if grown > growth.get((name, attribute), grown) + 1:
                    raise UnboundedError(f"{name}.{attribute}")
                growth[name, attribute] = grown
            again()
            before = after
            after = _copied(self.spaces)
        self.work = work
        for name, attribute, bound in _attributes(after):
            more = rounds * growth.get((name, attribute), 0.0)
            grown_bound = replace(
                bound,
                size=bound.size + more,
                count=bound.count + more,
                whole=bound.whole + more,
            )
            self.spaces[name][attribute] = grown_bound

    def call_macro(self, macro: nodes.Macro, arguments: list[Bound]) -> Bound:
        """What a macro prints. Raises UnboundedError if it calls itself."""
        if macro.name in self._calling:
            raise UnboundedError(f"{macro.name} calls itself")
        defaults = [self.value(default) for default in macro.defaults]
        given = _any_of([*arguments, *defaults])
        self._calling.append(macro.name)
        size = self._inside([(argument, given) for argument in macro.args], macro.body)
        self._calling.pop()
        return Bound(size, count=size)


def _printed(bound: Bound) -> float:
    """Characters of a value in print: texts inside lists are printed with escapes."""
    if bound.is_number or bound.text is not None:
        return bound.size
    return 4 * bound.size


def _any_of(bounds: Sequence[Bound]) -> Bound:
    """One of several values; nothing if there is none."""
    result = NUMBER
    for bound in bounds:
        result = either(result, bound)
    return result


def _copied(spaces: Spaces) -> Spaces:
    return {name: dict(place) for name, place in spaces.items()}


def _attributes(spaces: Spaces) -> list[tuple[str, str, Bound]]:
    return [
        (name, attribute, bound)
        for name, place in spaces.items()
        for attribute, bound in place.items()
    ]


def _either_of(
    first: Mapping[str, Bound], second: Mapping[str, Bound]
) -> dict[str, Bound]:
    return {
        name: either(first.get(name, NUMBER), second.get(name, NUMBER))
        for name in dict.fromkeys([*first, *second])
    }
