"""Upper bounds of the expressions of a template, for values of at most so many characters and items."""

import math
from collections.abc import Iterable
from dataclasses import replace

from jinja2 import nodes

from sdg_core.plan.templates.bounds import (
    METHODS,
    NUMBER,
    SCALAR_SIZE,
    Bound,
    UnboundedError,
    constant,
    either,
    filter_bound,
    formatted,
    scaled,
    together,
)

ITERATIONS = 200_000
"""Rounds of all loops; the engine's bound on instructions ends a rendering before."""
_STEPS = 20_000
"""Expressions that are looked at before a template counts as unbounded."""

Spaces = dict[str, dict[str, Bound]]
"""Namespaces by name, their attributes by name."""


class ExpressionSizes:
    """Bounds of expressions, and `work`: the characters that all of them make together.

    counted, numbers, repeats: what the bounds take for granted of the columns (see `work.Room`).
    """

    def __init__(self, size: float, count: float) -> None:
        self.work = 0.0
        self.counted: set[str] = set()
        self.numbers: set[str] = set()
        self.repeats: set[str] = set()
        self.scope: dict[str, Bound] = {}
        self.spaces: Spaces = {}
        self.macros: dict[str, nodes.Macro] = {}
        self.times = 1.0
        self._size = size
        self._count = count
        self._steps = 0

    def value(self, node: nodes.Node | None) -> Bound:
        """The bound of an expression, which counts as work. Raises UnboundedError."""
        self._steps += 1
        if self._steps > _STEPS:
            raise UnboundedError("too much to look at")
        bound = NUMBER if node is None else self._bound(node)
        self.work += self.times * bound.size
        return bound

    def filtered(self, call: nodes.Filter | None, size: float) -> Bound:
        """What the filters of a block make of the characters that it prints."""
        if call is None:
            return Bound(size, count=size)
        inner = call.node if isinstance(call.node, nodes.Filter) else None
        return self._filter(call, self.filtered(inner, size))

    def call_macro(self, macro: nodes.Macro, arguments: list[Bound]) -> Bound:
        """What a macro prints."""
        raise NotImplementedError

    def _bound(self, node: nodes.Node) -> Bound:
        match node:
            case nodes.Const(value=value):
                return constant(value)
            case nodes.TemplateData(data=data):
                return constant(str(data))
            case nodes.Name(name=name):
                return self._name(name)
            case nodes.Getattr() | nodes.Getitem():
                return self._part(node)
            case nodes.BinExpr():
                return self._calculated(node)
            case nodes.CondExpr(test=test, expr1=first, expr2=second):
                self.value(test)
                return either(self.value(first), self.value(second))
            case nodes.Filter(node=inner) if inner is not None:
                return self._filter(node, self.value(inner))
            case nodes.Call():
                return self._call(node)
        return self._of_parts(node)

    def _of_parts(self, node: nodes.Node) -> Bound:
        """Of what is made of its parts one by one: texts, lists, tests."""
        parts = [self.value(part) for part in _parts(node)]
        match node:
            case nodes.Neg() | nodes.Pos():
                return replace(NUMBER, largest=parts[0].largest)
            case (
                nodes.Concat()
                | nodes.List()
                | nodes.Tuple()
                | nodes.Dict()
                | nodes.Slice()
            ):
                return together(parts)
        return NUMBER

    def _name(self, name: str) -> Bound:
        if name in self.spaces:
            # its attributes would be read under another name
            raise UnboundedError(name)
        if name in self.scope:
            return self.scope[name]
        return Bound(self._size, self._count, roots=frozenset({name}))

    def _part(self, node: nodes.Getattr | nodes.Getitem) -> Bound:
        match node:
            case nodes.Getattr(node=nodes.Name(name=name), attr=attribute) if (
                name in self.spaces
            ):
                return self.spaces[name].get(attribute, NUMBER)
            case nodes.Getitem(arg=argument):
                self.value(argument)
        return replace(self.value(node.node), is_number=False, text=None)

    def _calculated(self, node: nodes.BinExpr) -> Bound:
        left = self.value(node.left)
        right = self.value(node.right)
        match node:
            case nodes.And() | nodes.Or():
                return either(left, right)
            case nodes.Add() if not (left.is_number and right.is_number):
                return together([left, right])
            case nodes.Mod() if left.text is not None:
                return formatted(left, [right], "%")
            case nodes.Mul():
                return self._product(left, right)
            case nodes.Add() | nodes.Sub():
                return replace(NUMBER, largest=left.largest + right.largest)
        return replace(NUMBER, largest=math.inf)

    def _product(self, left: Bound, right: Bound) -> Bound:
        """A number, or a text or list that is repeated."""
        plain = [
            bound for bound in (left, right) if bound.roots and not bound.is_number
        ]
        if len(plain) == 2 or left.is_number and right.is_number:
            self._take_for_numbers(*plain)
            return replace(NUMBER, largest=left.largest * right.largest)
        if left.is_number:
            return _repeated(right, left.largest)
        if right.is_number:
            return _repeated(left, right.largest)
        if not plain:
            raise UnboundedError("*")
        self._take_for_numbers(plain[0])
        self.repeats |= plain[0].roots
        return scaled(right if plain[0] is left else left, self._size)

    def _rounds(self, argument: Bound) -> float:
        """How long a range with this argument may be."""
        if not argument.roots:
            return argument.largest
        self._take_for_numbers(argument)
        self.counted |= argument.roots
        return self._count

    def _take_for_numbers(self, *bounds: Bound) -> None:
        for bound in bounds:
            self.numbers |= bound.roots

    def _arguments(self, call: nodes.Filter | nodes.Call) -> list[Bound]:
        if call.dyn_args is not None or call.dyn_kwargs is not None:
            raise UnboundedError("*arguments")
        named = [pair.value for pair in call.kwargs]
        return [self.value(argument) for argument in [*call.args, *named]]

    def _filter(self, call: nodes.Filter, value: Bound) -> Bound:
        arguments = self._arguments(call)
        if call.name != "map":
            return filter_bound(call.name, value, arguments)
        if not call.args:
            return together([value, *arguments])
        name = arguments[0].text
        if name is None:
            raise UnboundedError("map")
        return filter_bound(name, replace(value, text=None), arguments[1:])

    def _call(self, call: nodes.Call) -> Bound:
        match call.node:
            case nodes.Getattr(node=receiver, attr=name):
                value = self.value(receiver)
                arguments = self._arguments(call)
                if name in METHODS:
                    return METHODS[name](value, arguments)
                return filter_bound(name, value, arguments)
            case nodes.Name(name=name) if (
                name in self.macros and name not in self.scope
            ):
                return self.call_macro(self.macros[name], self._arguments(call))
            case nodes.Name(name="range") if "range" not in self.scope:
                given = sum(map(self._rounds, self._arguments(call)))
                rounds = min(given, ITERATIONS)
                return Bound(8 * rounds, count=rounds)
            case nodes.Name(name="dict") if "dict" not in self.scope:
                return together(self._arguments(call))
        raise UnboundedError("a call of what is not known")


def _repeated(bound: Bound, times: float) -> Bound:
    return scaled(
        replace(bound, is_number=False, text=None), max(times, 1.0), SCALAR_SIZE
    )


def _parts(node: nodes.Node) -> Iterable[nodes.Node | None]:
    match node:
        case nodes.Concat(nodes=parts):
            return parts
        case nodes.List(items=parts) | nodes.Tuple(items=parts):
            return parts
        case nodes.Dict(items=pairs):
            parts = []
            for pair in pairs:
                parts += [pair.key, pair.value]
            return parts
        case nodes.Slice(start=start, stop=stop, step=step):
            return [start, stop, step]
        case nodes.Not(node=inner) | nodes.Neg(node=inner) | nodes.Pos(node=inner):
            return [inner]
        case nodes.Compare(expr=left, ops=operands):
            return [left, *(operand.expr for operand in operands)]
        case nodes.Test(
            node=inner, args=arguments, kwargs=[], dyn_args=None, dyn_kwargs=None
        ):
            return [inner, *arguments]
    raise UnboundedError(type(node).__name__)
