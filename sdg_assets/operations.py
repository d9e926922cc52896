"""What a code location has beside its datasets and pipelines: sensors, jobs, the store. All of it can be left out: they run
without."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from sdg_assets.assets.catalog import ROOT, DatasetRef, PipelineRef, Ref, is_ours, refs_in
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
    names = {part: _name(prefix + part, taken) for part in PARTS if part not in left_out}
    return dg.Definitions.merge(
        _with_store(definitions, store), _parts(definitions, names, prefix=prefix)
    )


def _name(name: str, taken: Collection[str]) -> str:
    return PREFIX_OF_TAKEN + name if name in taken else name


def _parts(definitions: dg.Definitions, names: Mapping[str, str], *, prefix: str) -> dg.Definitions:
    """names: of the parts that there shall be."""
    refs = refs_in(definitions)
    pipelines = [ref for ref in refs if isinstance(ref, PipelineRef)]
    if not pipelines:
        names = {part: name for part, name in names.items() if part != DISCOVER}
    jobs: dict[str, Any] = {}
    if REOPEN in names:
        jobs[REOPEN] = build_reopen_job(refs, name=names[REOPEN], own=bool(prefix))
    if RECONCILE in names:
        jobs[RECONCILE] = build_reconcile_job(refs, name=names[RECONCILE], own=bool(prefix))
    if DISCOVER in names:
        jobs[DISCOVER] = build_discovery_job(pipelines, name=names[DISCOVER], own=bool(prefix))
    sensors = dict(_sensors(definitions, refs, names, prefix=prefix))
    return dg.Definitions(sensors=list(sensors.values()), jobs=list(jobs.values()))


def _sensors(
    definitions: dg.Definitions, refs: Sequence[Ref], names: Mapping[str, str], *, prefix: str
) -> Iterable[tuple[str, dg.SensorDefinition]]:
    """One without a prefix of its own is the same object wherever it is added, so that definitions with it can be merged."""

    def keys(kind: type[Any]) -> list[dg.AssetKey] | None:
        """What a sensor looks after: without a prefix all that is left to it."""
        return [ref.partitioned_key for ref in refs if isinstance(ref, kind)] if prefix else None

    if REJECT in names:
        yield (
            REJECT,
            reject_post_processed
            if names[REJECT] == REJECT
            else build_reject_sensor(names[REJECT]),
        )
    if RESUME in names:
        plain = names[RESUME] == RESUME
        yield (
            RESUME,
            resume_row_groups
            if plain
            else build_resume_sensor(names[RESUME], keys=keys(DatasetRef)),
        )
    if RECONCILE_SENSOR in names:
        plain = (names[RECONCILE_SENSOR], names[RECONCILE]) == (RECONCILE_SENSOR, RECONCILE)
        yield (
            RECONCILE_SENSOR,
            reconcile_events_with_files
            if plain
            else build_reconcile_sensor(
                names[RECONCILE_SENSOR], job_name=names[RECONCILE], keys=keys(Ref)
            ),
        )
    if DISCOVER in names:
        plain = names[DISCOVER] == DISCOVER
        yield (
            DISCOVER,
            discover_sources
            if plain
            else build_discovery_sensor(names[DISCOVER], keys=keys(PipelineRef)),
        )
    if AUTOMATION in names:
        others = [
            s
            for s in definitions.sensors or ()
            if isinstance(s, dg.AutomationConditionSensorDefinition)
        ]
        plain = names[AUTOMATION] == AUTOMATION and not others
        yield (
            AUTOMATION,
            _AUTOMATION if plain else automation_sensor(names[AUTOMATION], apart_from=others),
        )


def _with_store(definitions: dg.Definitions, store: StoreResource | None) -> dg.Definitions:
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
    kept = {field: getattr(definitions, field) for field in FIELDS if hasattr(definitions, field)}
    return dg.Definitions(**{**kept, "resources": resources, "assets": assets})


def _require(key: str, definitions: Iterable[Any]) -> bool:
    return any(key in getattr(one, "required_resource_keys", ()) for one in definitions)


def _with_root(asset: Any, root: str) -> Any:
    """The same asset; if it is a dataset's or a pipeline's without a root of its own, with this one."""
    if not isinstance(asset, dg.AssetsDefinition) or not any(
        is_ours(spec.metadata) for spec in asset.specs
    ):
        return asset

    def with_root(spec: dg.AssetSpec) -> dg.AssetSpec:
        if not is_ours(spec.metadata) or ROOT in spec.metadata:
            return spec
        return spec.merge_attributes(metadata={ROOT: root})

    [mapped] = dg.map_asset_specs(with_root, [asset])
    return mapped
