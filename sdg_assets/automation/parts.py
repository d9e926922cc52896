"""Which datasets and pipelines a sensor looks after, where a code location has two sensors of a kind.

That comes of `with_operations(prefix=...)` called twice. A sensor with a prefix names them in its metadata;
the one without looks after all others of the code location.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from sdg_assets.assets.catalog import Ref, refs_of

PART = "sdg/part"
KEYS = "sdg/looks_after"


def claim(part: str, keys: Sequence[dg.AssetKey] | None) -> dict[str, Any]:
    """The metadata of a sensor by which `refs_for` knows what it looks after."""
    if keys is None:
        return {}
    return {PART: part, KEYS: [key.to_user_string() for key in keys]}


def refs_for(
    part: str, repository: dg.RepositoryDefinition, keys: Sequence[dg.AssetKey] | None
) -> list[Ref]:
    """What a sensor looks after: what has its keys, or without any what no other sensor of its kind names."""
    found = refs_of(repository)
    if keys is not None:
        return [ref for ref in found if ref.partitioned_key in keys]
    return _not_claimed(found, repository, part=part)


def unclaimed(repository: dg.RepositoryDefinition) -> list[Ref]:
    """Everything that no sensor names, of whatever kind."""
    return _not_claimed(refs_of(repository), repository, part=None)


def _not_claimed(
    refs: Sequence[Ref], repository: dg.RepositoryDefinition, *, part: str | None
) -> list[Ref]:
    """What no sensor names; part: no sensor of this kind."""
    claimed: set[str] = set()
    for sensor in repository.sensor_defs:
        claimed.update(_claimed(part, sensor))
    return [ref for ref in refs if ref.partitioned_key.to_user_string() not in claimed]


def _claimed(part: str | None, sensor: dg.SensorDefinition) -> Sequence[str]:
    """The keys that a sensor names. part: only of such a sensor."""
    named = sensor.metadata.get(PART)
    keys = sensor.metadata.get(KEYS)
    if not isinstance(named, dg.TextMetadataValue) or not isinstance(
        keys, dg.JsonMetadataValue
    ):
        return ()
    if part is not None and named.value != part:
        return ()
    return [str(key) for key in keys.value or ()]
