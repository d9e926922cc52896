"""Criteria of `select` that can be decided before a record is whole, so that nothing more is asked for a rejected candidate.

`keep` of the form `{{ a and b }}` is false as soon as one of its parts is, whatever the others are. So each part is a criterion
of its own, decided when the columns that it reads are made; columns that no criterion needs are made last, of what is kept.

Invariant: in which order columns and criteria take turns depends on the config alone, so which cells a rejected candidate has
does, too. A part that cannot be evaluated decides nothing here: the whole condition is judged once the record is whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdg_core.errors import CellError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import always_per_record
from sdg_core.plan.templates.conjunction import conjuncts
from sdg_core.plan.templates.criteria import not_true, stands_in_the_way
from sdg_core.plan.templates.render import Template, compiled
from sdg_core.plan.templates.skip import is_true


@dataclass(frozen=True)
class Criterion:
    """A part of `keep`. needs: the columns that have to be made before it can be decided."""

    keep: str
    template: Template
    needs: frozenset[str]

    @property
    def reads(self) -> Sequence[str]:
        """The columns that its template reads."""
        return self.template.names

    async def why_not(self, values: Mapping[str, Any]) -> str | None:
        """Why a row with these values is rejected, whatever its other columns are; None if it may be kept."""
        try:
            return (
                None
                if is_true(await self.template.render_in_loop(values))
                else not_true(self.keep)
            )
        except CellError as error:
            return stands_in_the_way(self.keep, error, values, names=self.reads)


def early_criteria(plan: DatasetPlan) -> Sequence[Criterion]:
    """The criteria in the order in which they are decided: those that need fewer replies first.

    None where a candidate may become its record's row although it was rejected, so that it is made whole anyway.
    """
    select = plan.config.select
    if select is None or select.keep is None or select.otherwise == "best":
        return ()
    criteria = [_criterion(part, select.keep, plan) for part in conjuncts(select.keep)]

    def replies(criterion: Criterion) -> int:
        return sum(always_per_record(plan.column(name)) for name in criterion.needs)

    return sorted(criteria, key=replies)


def _criterion(part: str, keep: str, plan: DatasetPlan) -> Criterion:
    template = compiled(part)
    graph = plan.graph
    read = {
        graph.producers.get(name, name) for name in template.names
    } & graph.slots.keys()
    above = [graph.ancestors(name) for name in read]
    return Criterion(keep, template, frozenset(read.union(*above)))
