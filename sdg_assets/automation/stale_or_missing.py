"""`stale_or_missing()`: an automation condition for the assets of a dataset or pipeline, and for assets of your own beside them.

It asks for what was never made, and for what was made from something else than what holds now: another config, other seed data,
another range of records, other sources. Dagster's own conditions compare an asset's code versions from tick to tick and would
then ask for every partition, current ones too. It asks for what can be made only: nothing of a sealed dataset, nothing that a
person stopped.
It runs in the code location, so the sensor that evaluates it has `use_user_code_server=True`; `automation_sensor` is one.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from sdg_assets import dagster_private
from sdg_assets.assets.catalog import finished_path_of, partitioned_path_of, root_in
from sdg_assets.automation.activity import stopped
from sdg_assets.opened.files import open_file, open_unread
from sdg_assets.reconcile.reconcile import recorded_versions
from sdg_assets.recording.metadata import finished_data_version
from sdg_assets.resources import resolve_for
from sdg_core import api
from sdg_core.errors import IncompleteError, SdgError

Context = dg.AutomationContext[dg.AssetKey]
Result = dg.AutomationResult[dg.AssetKey]
NAME = "automation"


def stale_or_missing(*, root: str | None = None) -> dg.AutomationCondition[dg.AssetKey]:
    """Made never, or from something else than what holds now.

    Not asked for: what a run works on, what failed in its last run or was terminated by a person, what is made of something that
    is not there yet, and what a run would refuse: row groups of a sealed dataset, a finished dataset of incomplete row groups.
    root: the storage root, where neither the component nor `with_operations(store=...)` names it.
    """
    ready = (
        ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.execution_failed()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & Possible(root)
    )
    return ((dg.AutomationCondition.missing() | Stale(root)) & ready).with_label(
        "stale_or_missing"
    )


class Stale(dg.AutomationCondition[dg.AssetKey]):
    """Made, but from something else than what holds now.

    A row group is judged by its data version, one query for all of them; a partition of a pipeline by the sources that there are
    now, too, so the sensor looks for them. A finished dataset is judged by its files. Any other
    asset is judged as Dagster's own pages do, by code version and by the data versions of what it was made from.
    """

    def __init__(self, root: str | None = None) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """As evaluations show it."""
        return "stale"

    def evaluate(self, context: Context) -> Result:
        """The stale part of the candidates."""
        view = context.asset_graph_view
        metadata = view.asset_graph.get(context.key).metadata
        stale: Sequence[str | None]
        if (path := partitioned_path_of(metadata)) is not None:
            root = resolve_for(self._root or root_in(metadata), path)
            stale = stale_partitions(view.instance, context.key, path, root=root)
        elif (path := finished_path_of(metadata)) is not None:
            root = resolve_for(self._root or root_in(metadata), path)
            is_stale = is_finished_otherwise(
                view.instance, context.key, path, root=root
            )
            stale = [None] if is_stale else []
        else:
            stale = self._stale_by_dagster(context)
        partitions = context.partitions_def
        if partitions is not None:
            keys = set(
                partitions.get_partition_keys(dynamic_partitions_store=view.instance)
            )
            known = {key for key in stale if key in keys}
            found = view.get_subset_from_partition_keys(context.key, partitions, known)
        elif stale:
            found = view.get_full_subset(key=context.key)
        else:
            found = view.get_empty_subset(key=context.key)
        true_subset = context.candidate_subset.compute_intersection(found)
        return dg.AutomationResult(context=context, true_subset=true_subset)

    def _stale_by_dagster(self, context: Context) -> Sequence[str | None]:
        if not dagster_private.available("CachingStaleStatusResolver", "StaleStatus"):
            return []
        view = context.asset_graph_view
        resolver = dagster_private.CachingStaleStatusResolver(
            view.instance, view.asset_graph, loading_context=view
        )
        partitions: Sequence[str | None] = [None]
        if context.partitions_def is not None:
            partitions = sorted(view.instance.get_materialized_partitions(context.key))
        stale = dagster_private.StaleStatus.STALE
        return [
            key for key in partitions if resolver.get_status(context.key, key) is stale
        ]


class Possible(dg.AutomationCondition[dg.AssetKey]):
    """Not stopped by a person, and not what a run would refuse; the sensor's log says why nothing is asked for."""

    def __init__(self, root: str | None = None) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """As evaluations show it."""
        return (
            "can be materialized: not sealed, not stopped by a user, upstream complete"
        )

    def evaluate(self, context: Context) -> Result:
        """All of the candidates, or none."""
        candidates = context.candidate_subset
        reason = None if candidates.is_empty else self._obstacle(context)
        if reason is None:
            return dg.AutomationResult(context=context, true_subset=candidates)
        context.log.info(f"{context.key.to_user_string()} is not requested: {reason}")
        return dg.AutomationResult(
            context=context, true_subset=context.get_empty_subset()
        )

    def _obstacle(self, context: Context) -> str | None:
        view = context.asset_graph_view
        metadata = view.asset_graph.get(context.key).metadata
        file = partitioned_path_of(metadata)
        finished = finished_path_of(metadata)
        held = stopped(view.instance, {context.key: file or finished})
        if context.key in held:
            return held[context.key]
        if file is not None:
            root = resolve_for(self._root or root_in(metadata), file)
            return why_not_generated(file, root=root)
        if finished is not None:
            root = resolve_for(self._root or root_in(metadata), finished)
            return why_not_finished(finished, root=root)
        return None


def stale_partitions(
    instance: dg.DagsterInstance, key: dg.AssetKey, path: Path, *, root: str | None
) -> Sequence[str]:
    """Recorded partitions that this config, on this seed data or these sources, would make otherwise; none where that cannot be
    told."""
    try:
        return open_file(path, root=root).stale(recorded_versions(instance, key))
    except SdgError:
        # nothing can be made either; the run, the sensors and `dg check defs` say why
        return []


def is_finished_otherwise(
    instance: dg.DagsterInstance, key: dg.AssetKey, path: Path, *, root: str | None
) -> bool:
    """Whether a finished dataset that is recorded is not the one that its files hold, or that they would make."""
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return False
    try:
        sealed = api.seal_of(open_unread(path, root=root))
        if sealed is None:
            return True
        recorded = (event.asset_materialization.tags or {}).get("dagster/data_version")
        return recorded != finished_data_version(sealed.layout)
    except SdgError:
        return False


def why_not_generated(path: Path, *, root: str | None) -> str | None:
    """Why a run of partitions would be refused, as far as its files tell."""
    try:
        opened = open_unread(path, root=root)
        sealed = api.seal_of(opened)
        api.measured_version(opened)
    except SdgError:
        # a run reads the seed data, or says what is wrong, once: what failed is not asked for again
        return None
    if sealed is not None:
        return f"{opened.name} is sealed: version {sealed.layout.name} has been post-processed"
    return None


def why_not_finished(path: Path, *, root: str | None) -> str | None:
    """Why it cannot be finished yet, as far as its files tell."""
    try:
        opened = open_file(path, root=root)
        if opened.seal is None:
            opened.check_complete()
    except IncompleteError as error:
        return str(error)
    except SdgError:
        return None
    return None


class WithOurCondition(dg.AssetSelection):
    """Assets with `stale_or_missing()`, which only a sensor in the code location can evaluate; all others are left to theirs."""

    def resolve_inner(self, asset_graph: Any, allow_missing: bool) -> set[dg.AssetKey]:
        """The keys of these assets."""
        keys = set()
        for key in asset_graph.materializable_asset_keys:
            if _asks_us(asset_graph.get(key).automation_condition):
                keys.add(key)
        return keys

    def to_selection_str(self) -> str:
        """As pages show it."""
        return "assets with stale_or_missing()"


def _asks_us(condition: dg.AutomationCondition[dg.AssetKey] | None) -> bool:
    if condition is None:
        return False
    if isinstance(condition, Stale):
        return True
    return any(_asks_us(child) for child in condition.children)


def automation_sensor(
    name: str = NAME,
    *,
    excluding: Sequence[dg.AutomationConditionSensorDefinition] = (),
) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates `stale_or_missing()` of all assets that have it, and no other condition.

    apart_from: sensors of the project's own; what they target stays theirs.
    """
    target: dg.AssetSelection = WithOurCondition()
    for sensor in excluding:
        target = target - sensor.asset_selection
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        return dg.AutomationConditionSensorDefinition(
            name=name,
            target=target.without_checks(),
            use_user_code_server=True,
            default_status=dg.DefaultSensorStatus.STOPPED,
            description="Requests assets with the condition `stale_or_missing`: what is missing or "
            "stale, and can be materialized.",
        )
