"""Which datasets a sensor looks after, where a code location has two of a kind (`with_operations(prefix=...)` called twice).

A sensor with a prefix names its datasets in its metadata; the one without looks after all others of the code location.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef, datasets_of

PART = "sdg/part"
KEYS = "sdg/looks_after"


def claim(part: str, keys: Sequence[dg.AssetKey] | None) -> dict[str, Any]:
    """The metadata of a sensor by which `datasets_for` knows what it looks after."""
    return {} if keys is None else {PART: part, KEYS: [key.to_user_string() for key in keys]}


def datasets_for(
    part: str, repository: dg.RepositoryDefinition, keys: Sequence[dg.AssetKey] | None
) -> list[DatasetRef]:
    """The datasets of a sensor: those of its keys, or without any those that no other sensor of its kind names."""
    found = datasets_of(repository)
    if keys is not None:
        return [dataset for dataset in found if dataset.row_groups_key in keys]
    claimed = {key for sensor in repository.sensor_defs for key in _claimed(part, sensor)}
    return [dataset for dataset in found if dataset.row_groups_key.to_user_string() not in claimed]


def _claimed(part: str, sensor: dg.SensorDefinition) -> Sequence[str]:
    named = sensor.metadata.get(PART)
    keys = sensor.metadata.get(KEYS)
    if not isinstance(named, dg.TextMetadataValue) or named.value != part or not isinstance(keys, dg.JsonMetadataValue):
        return ()
    return [str(key) for key in keys.value or ()]
