"""What a code location has beside its datasets and pipelines: sensors, jobs, the store. All of it can be left out: they run
without."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg

from sdg_assets.assets.catalog import (
    ROOT,
    DatasetRef,
    PipelineRef,
    Ref,
    is_ours,
    refs_in,
)
from sdg_assets.automation.discover_sources import NAME as DISCOVER
from sdg_assets.automation.discover_sources import (
    build_discovery_job,
    build_discovery_sensor,
    discover_sources,
)
from sdg_assets.automation.resume_sensor import NAME as RESUME
from sdg_assets.automation.resume_sensor import build_resume_sensor, resume_row_groups
from sdg_assets.automation.sensors import (
    RECONCILE_SENSOR,
    REJECT,
    build_reconcile_sensor,
    build_reject_sensor,
    reconcile_events_with_files,
    reject_post_processed,
)
from sdg_assets.automation.stale_or_missing import NAME as AUTOMATION
from sdg_assets.automation.stale_or_missing import automation_sensor
from sdg_assets.reconcile.jobs import REOPEN, build_reconcile_job, build_reopen_job
from sdg_assets.reconcile.reconcile import JOB as RECONCILE
from sdg_assets.resources import FORMER_KEY, KEY, StoreResource

PARTS = (REJECT, RESUME, RECONCILE_SENSOR, AUTOMATION, REOPEN, RECONCILE, DISCOVER)
"""What `with_operations` adds, by name; the last one, a job and a sensor, where there are pipelines."""
PREFIX_OF_TAKEN = "sdg_"
FIELDS = (
    "assets",
    "schedules",
    "sensors",
    "jobs",
    "resources",
    "executor",
    "loggers",
    "asset_checks",
    "metadata",
    "component_tree",
)
_DEFAULT_STORE = StoreResource()
_AUTOMATION = automation_sensor()


def with_operations(
    definitions: dg.Definitions,
    *,
    store: StoreResource | None = None,
    prefix: str = "",
    leave_out: Collection[str] = (),
) -> dg.Definitions:
    """Definitions with datasets among them, and the sensors and jobs over these datasets.

    store: where their data lies; it becomes the resource `sdg_store`. prefix: of the names of all sensors and jobs, which then
    look after the datasets among these definitions and no others. leave_out: names of `PARTS`, without prefix; without the job
    `reconcile` its sensor is left out, too. A name that these definitions use already gets `sdg_` before it.
    Raises DagsterInvalidDefinitionError for a part that there is not.
    """
    unknown = sorted(set(leave_out) - set(PARTS))
    if unknown:
        raise dg.DagsterInvalidDefinitionError(
            f"with_operations: leave_out names {', '.join(unknown)}; there are {', '.join(PARTS)}"
        )
    left_out = {*leave_out}
    if RECONCILE in leave_out:
        left_out.add(RECONCILE_SENSOR)
    present = (*(definitions.jobs or ()), *(definitions.sensors or ()))
    taken = {one.name for one in present if hasattr(one, "name")}
    names = {}
    for part in PARTS:
        if part not in left_out:
            name = prefix + part
            names[part] = PREFIX_OF_TAKEN + name if name in taken else name
    parts = _parts(definitions, names, prefix=prefix)
    return dg.Definitions.merge(_with_store(definitions, store), parts)


def _parts(
    definitions: dg.Definitions, names: Mapping[str, str], *, prefix: str
) -> dg.Definitions:
    """names: of the parts that there shall be."""
    refs = refs_in(definitions)
    pipelines = [ref for ref in refs if isinstance(ref, PipelineRef)]
    if not pipelines:
        names = {part: name for part, name in names.items() if part != DISCOVER}
    jobs: dict[str, Any] = {}
    if REOPEN in names:
        jobs[REOPEN] = build_reopen_job(refs, name=names[REOPEN], own=bool(prefix))
    if RECONCILE in names:
        jobs[RECONCILE] = build_reconcile_job(
            refs, name=names[RECONCILE], own=bool(prefix)
        )
    if DISCOVER in names:
        jobs[DISCOVER] = build_discovery_job(
            pipelines, name=names[DISCOVER], own=bool(prefix)
        )
    sensors = dict(_sensors(definitions, refs, names, prefix=prefix))
    return dg.Definitions(sensors=list(sensors.values()), jobs=list(jobs.values()))


def _sensors(
    definitions: dg.Definitions,
    refs: Sequence[Ref],
    names: Mapping[str, str],
    *,
    prefix: str,
) -> Iterable[tuple[str, dg.SensorDefinition]]:
    """One without a prefix of its own is the same object wherever it is added, so that definitions with it can be merged."""

    def sensor(
        part: str,
        shared: dg.SensorDefinition,
        build: Callable[[str], dg.SensorDefinition],
    ) -> dg.SensorDefinition:
        """The shared object under its usual name, else one of its own."""
        name = names[part]
        return shared if name == part else build(name)

    if REJECT in names:
        yield REJECT, sensor(REJECT, reject_post_processed, build_reject_sensor)
    if RESUME in names:
        keys = _keys_to_look_after(refs, DatasetRef, prefix=prefix)
        yield (
            RESUME,
            sensor(RESUME, resume_row_groups, partial(build_resume_sensor, keys=keys)),
        )
    if RECONCILE_SENSOR in names:
        name = names[RECONCILE_SENSOR]
        job_name = names[RECONCILE]
        reconcile = reconcile_events_with_files
        if name != RECONCILE_SENSOR or job_name != RECONCILE:
            keys = _keys_to_look_after(refs, Ref, prefix=prefix)
            reconcile = build_reconcile_sensor(name, job_name=job_name, keys=keys)
        yield RECONCILE_SENSOR, reconcile
    if DISCOVER in names:
        keys = _keys_to_look_after(refs, PipelineRef, prefix=prefix)
        build = partial(build_discovery_sensor, keys=keys)
        yield DISCOVER, sensor(DISCOVER, discover_sources, build)
    if AUTOMATION in names:
        yield AUTOMATION, _automation(definitions, names[AUTOMATION])


def _keys_to_look_after(
    refs: Sequence[Ref], kind: type[Any], *, prefix: str
) -> list[dg.AssetKey] | None:
    """What a sensor looks after: without a prefix all that is left to it."""
    if not prefix:
        return None
    return [ref.partitioned_key for ref in refs if isinstance(ref, kind)]


def _automation(definitions: dg.Definitions, name: str) -> dg.SensorDefinition:
    """The automation sensor; one of its own where the definitions have others, whose assets it leaves to them."""
    others = []
    for sensor in definitions.sensors or ():
        if isinstance(sensor, dg.AutomationConditionSensorDefinition):
            others.append(sensor)
    if name == AUTOMATION and not others:
        return _AUTOMATION
    return automation_sensor(name, excluding=others)


def _with_store(
    definitions: dg.Definitions, store: StoreResource | None
) -> dg.Definitions:
    """The definitions with this store, and its root on their datasets, where conditions find it."""
    resources = dict(definitions.resources or {})
    if store is not None:
        resources[KEY] = store
    assets = list(definitions.assets or ())
    if FORMER_KEY not in resources and _require(
        FORMER_KEY, [*assets, *(definitions.asset_checks or ())]
    ):
        resources[FORMER_KEY] = store or _DEFAULT_STORE
    root = store.root if store is not None else None
    if isinstance(root, dg.EnvVar):
        root = root.get_value()
    if root:
        assets = [_with_root(asset, root) for asset in assets]
    kept = {
        field: getattr(definitions, field)
        for field in FIELDS
        if hasattr(definitions, field)
    }
    return dg.Definitions(**{**kept, "resources": resources, "assets": assets})


def _require(key: str, definitions: Iterable[Any]) -> bool:
    return any(key in getattr(one, "required_resource_keys", ()) for one in definitions)


def _with_root(asset: Any, root: str) -> Any:
    """The same asset; if it is a dataset's or a pipeline's without a root of its own, with this one."""
    if not isinstance(asset, dg.AssetsDefinition):
        return asset
    if not any(is_ours(spec.metadata) for spec in asset.specs):
        return asset

    def with_root(spec: dg.AssetSpec) -> dg.AssetSpec:
        if not is_ours(spec.metadata) or ROOT in spec.metadata:
            return spec
        return spec.merge_attributes(metadata={ROOT: root})

    [mapped] = dg.map_asset_specs(with_root, [asset])
    return mapped
