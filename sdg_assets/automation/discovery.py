"""Which partitions Dagster does not know yet of the sources that there are now."""

from dataclasses import dataclass

import dagster as dg

from sdg_assets.assets.catalog import PipelineRef
from sdg_assets.opened.pipeline import OpenedPipeline
from sdg_core import api


@dataclass(frozen=True)
class Discovered:
    """What Dagster does not know yet.

    opened: the pipeline with the sources that were found; looking for them is what costs, and is done once.
    new: keys of partitions to add. empty: keys to remove, of partitions that never had a file and whose sources are gone; should
    one come back, it gets its old partition. total: how many there are then.
    """

    opened: OpenedPipeline
    new: list[str]
    empty: list[str]
    total: int


def discover(
    instance: dg.DagsterInstance, ref: PipelineRef, *, root: str | None
) -> Discovered:
    """Write down the partitions of new sources, and compare them with Dagster's. Raises SdgError."""
    pipeline = api.pipelines.open_pipeline(ref.path, root=root)
    known = set(ref.known_partitions(instance))
    found = api.pipelines.discover(pipeline)
    vacant = {
        partition.key for partition in api.pipelines.without_anything(pipeline, found)
    }
    kept = [partition.key for partition in found if partition.key not in vacant]
    new = [key for key in kept if key not in known]
    return Discovered(OpenedPipeline(pipeline), new, sorted(vacant & known), len(kept))


def bring_up_to_date(
    instance: dg.DagsterInstance, ref: PipelineRef, *, root: str | None
) -> Discovered:
    """Discover, and add and remove partitions. Raises SdgError."""
    found = discover(instance, ref, root=root)
    if found.new:
        instance.add_dynamic_partitions(ref.partitions_name, found.new)
    for key in found.empty:
        instance.delete_dynamic_partition(ref.partitions_name, key)
    return found
