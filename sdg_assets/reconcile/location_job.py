"""Jobs over all datasets and pipelines of a code location, of which each call of `with_operations` brings its own.

Two of one name are the same job: they look for their datasets when they run, so definitions that have one each can be merged.
"""

from collections.abc import Sequence

import dagster as dg

from sdg_assets import dagster_private
from sdg_assets.assets.catalog import Ref
from sdg_assets.automation.parts import unclaimed


class LocationJob(dg.JobDefinition):
    """A job that equals another one of its name."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocationJob) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def location_job(
    op: dg.OpDefinition, *, name: str, description: str
) -> dg.JobDefinition:
    """A job of one op."""

    @dg.graph(name=name, description=description)
    def job() -> None:
        op()

    return LocationJob(graph_def=job, name=name, description=description)


def refs_at_run(
    context: dg.OpExecutionContext, refs: Sequence[Ref], *, own: bool
) -> Sequence[Ref]:
    """What a job works on: all of its code location but what an operation with a prefix looks after, else what it was built with.

    own: it works on what it was built with and nothing else.
    """
    repository = None if own else dagster_private.repository_of(context)
    return refs if repository is None else unclaimed(repository)
