"""Which cells are skipped: by their own condition, or because a column that they read was skipped.

`SkipRule` is the decision for one column; a row group asks it for all its records at once, a record for itself, with the same
outcome. What only `skip.when` reads does not spread: a condition may look at a skipped column (and finds what its cell holds).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sdg_core.config.columns import SkippableColumn
from sdg_core.errors import CellError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import side_effects_of
from sdg_core.plan.templates.render import Template, compiled
from sdg_core.plan.templates.skip import is_true, skip_value, truth_template


@dataclass(frozen=True)
class SkipRule:
    """When the cells of a column are skipped, and what they hold then.

    names: the column and its side effects, which are skipped with it. skip_sources: columns whose skips spread to it.
    """

    names: tuple[str, ...]
    value: Any
    skip_sources: frozenset[str]
    when: Template | None

    def inherits_skip(self, skipped: Collection[str]) -> bool:
        """Whether one of the columns skipped in a record is read by this one."""
        return not self.skip_sources.isdisjoint(skipped)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the column's own condition holds. Raises CellError if it cannot be evaluated."""
        if self.when is None:
            return False
        try:
            return is_true(self.when.render(values))
        except CellError as error:
            raise CellError(f"skip.when: {error.message}") from error

    async def holds_in_loop(self, values: Mapping[str, Any]) -> bool:
        """`holds` for an event loop, which goes on where the condition takes long."""
        if self.when is None:
            return False
        try:
            return is_true(await self.when.render_in_loop(values))
        except CellError as error:
            raise CellError(f"skip.when: {error.message}") from error


def skip_rules(plan: DatasetPlan) -> dict[str, SkipRule]:
    """The rules of those columns that can be skipped at all, in computable order."""
    rules: dict[str, SkipRule] = {}
    reach: set[str] = set()
    for name in plan.graph.order:
        column = plan.column(name)
        if not isinstance(column, SkippableColumn):
            continue
        skip_sources = plan.graph.skip_sources[name] & reach
        if column.skip is None and not skip_sources:
            continue
        when = (
            compiled(truth_template(column.skip.when))
            if column.skip is not None
            else None
        )
        rules[name] = SkipRule(
            (name, *side_effects_of(column)), skip_value(column), skip_sources, when
        )
        reach.update(rules[name].names)
    return rules


def skip_flags(
    rule: SkipRule, rows: Iterable[tuple[Mapping[str, Any], Collection[str]]]
) -> tuple[list[bool], dict[int, str]]:
    """For each row (its values, the columns skipped in it) whether the column is skipped; and why that cannot be told."""
    flags: list[bool] = []
    failed: dict[int, str] = {}
    known: dict[tuple[Any, ...], bool] = {}
    for position, (values, skipped) in enumerate(rows):
        try:
            flags.append(rule.inherits_skip(skipped) or _holds(rule, values, known))
        except CellError as error:
            flags.append(False)
            failed[position] = error.message
    return flags, failed


def _holds(
    rule: SkipRule, values: Mapping[str, Any], known: dict[tuple[Any, ...], bool]
) -> bool:
    """`rule.holds`, asked once for values that many rows share. Equal values have equal text, save for real numbers."""
    key = tuple(values.values())
    can_be_shared = all(type(value) in _ALIKE for value in key)
    if len(known) == _REMEMBERED or not can_be_shared:
        return rule.holds(values)
    if key not in known:
        known[key] = rule.holds(values)
    return known[key]


_REMEMBERED = 10_000
_ALIKE = frozenset({str, int, bool, type(None)})
