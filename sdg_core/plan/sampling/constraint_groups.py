"""What constraints tie together: samplers that are drawn again, together, until a record satisfies them.

Drawing only the two sides of an inequality again could not help where what they depend on is to blame (an age that is
conditional on a category), and would bend the joint distribution. So all samplers above a side are drawn again with it.
What lies below is drawn once, afterwards.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sdg_core.config.columns import Column, ExpressionColumn, SamplerColumn
from sdg_core.config.constraints import ColumnInequality, Constraint

_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True)
class ConstraintGroup:
    """Constraints that share samplers.

    places: where each constraint stands in the config. samplers: drawn again together. steps: these, and the expressions
    that lie between them, in computable order. inputs: everything else they read; it stays as it is.
    """

    constraints: tuple[Constraint, ...]
    places: tuple[int, ...]
    samplers: tuple[str, ...]
    steps: tuple[str, ...]
    inputs: tuple[str, ...]


def describe_constraint(constraint: Constraint) -> str:
    """`age < limit`"""
    right = constraint.rhs if isinstance(constraint.rhs, str) else f"{constraint.rhs:g}"
    return f"{constraint.target_column} {_SIGNS[constraint.operator]} {right}"


def operands(constraint: Constraint) -> tuple[str, ...]:
    """The columns that a constraint compares."""
    if isinstance(constraint, ColumnInequality):
        return constraint.target_column, constraint.rhs
    return (constraint.target_column,)


def find_constraint_groups(
    constraints: Sequence[Constraint],
    generated: Mapping[str, Column],
    reads: Mapping[str, Iterable[str]],
) -> list[ConstraintGroup]:
    """Constraints grouped by the samplers they share; those that no sampler has a part in are left out."""
    found: list[ConstraintGroup] = []
    for place, constraint in enumerate(constraints):
        above = _steps_above(operands(constraint), generated, reads)
        steps = tuple(name for name in generated if name in above)
        samplers = tuple(
            name for name in steps if isinstance(generated[name], SamplerColumn)
        )
        if not samplers:
            continue
        joined = ConstraintGroup((constraint,), (place,), samplers, steps, ())
        for other in [*found]:
            if not set(other.samplers).isdisjoint(samplers):
                found.remove(other)
                joined = _union(other, joined)
        found.append(joined)
    return [replace(group, inputs=_inputs(group, reads)) for group in found]


def with_constraint_edges(
    inner: Mapping[str, list[str]],
    constraint_groups: Iterable[ConstraintGroup],
    producers: Mapping[str, str],
) -> dict[str, list[str]]:
    """What each column comes after: its group's samplers are drawn together, so all of them come after all that any reads."""
    after = {name: list(others) for name, others in inner.items()}
    for group in constraint_groups:
        made = [producers.get(name, name) for name in group.inputs]
        for name in group.samplers:
            after[name] += [
                other for other in made if other in inner and other not in after[name]
            ]
    return after


def in_order(
    constraint_groups: Iterable[ConstraintGroup], order: Sequence[str]
) -> tuple[ConstraintGroup, ...]:
    """Bounds with their columns in computable order."""
    ordered = []
    for group in constraint_groups:
        samplers = tuple(sorted(group.samplers, key=order.index))
        steps = tuple(sorted(group.steps, key=order.index))
        ordered.append(replace(group, samplers=samplers, steps=steps))
    return tuple(ordered)


def _steps_above(
    names: Iterable[str],
    generated: Mapping[str, Column],
    reads: Mapping[str, Iterable[str]],
) -> frozenset[str]:
    """Samplers above the named columns, by way of samplers and expressions, and the expressions that vary with them."""
    todo = list(names)
    reached = dict[str, None]()
    while todo:
        name = todo.pop()
        if name not in reached and isinstance(
            generated.get(name), SamplerColumn | ExpressionColumn
        ):
            reached[name] = None
            todo += reads.get(name, ())
    varying = {name for name in reached if isinstance(generated[name], SamplerColumn)}
    grew = True
    while grew:
        more = {
            name
            for name in reached
            if name not in varying and not varying.isdisjoint(reads.get(name, ()))
        }
        varying |= more
        grew = bool(more)
    return frozenset(varying)


def _union(one: ConstraintGroup, other: ConstraintGroup) -> ConstraintGroup:
    constraints = {
        **dict(zip(one.places, one.constraints, strict=True)),
        **dict(zip(other.places, other.constraints, strict=True)),
    }
    places = tuple(sorted(constraints))
    samplers = dict.fromkeys((*one.samplers, *other.samplers))
    steps = dict.fromkeys((*one.steps, *other.steps))
    return ConstraintGroup(
        constraints=tuple(constraints[place] for place in places),
        places=places,
        samplers=tuple(samplers),
        steps=tuple(steps),
        inputs=(),
    )


def _inputs(
    group: ConstraintGroup, reads: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    """The columns that the constraints and the steps read and that are no steps themselves."""
    read: list[str] = []
    for constraint in group.constraints:
        read += operands(constraint)
    for name in group.steps:
        read += reads[name]
    inputs = dict.fromkeys(name for name in read if name not in group.steps)
    return tuple(inputs)
