"""`stale_or_missing()`: an automation condition for the assets of a dataset, and for assets of your own beside them.

It asks for what was never made, and for what was made from something else than what holds now: another config, other seed data,
another range of records. Dagster's own conditions compare an asset's code versions from tick to tick and would then ask for
every partition, current ones too. It runs in the code location, so the sensor that evaluates it has `use_user_code_server=True`;
`automation_sensor` is one.
"""

import warnings
from collections.abc import Sequence

import dagster as dg

from sdg_assets import dagster_private
from sdg_assets.assets.catalog import config_path_of
from sdg_assets.reconcile.reconcile import recorded_versions
from sdg_assets.recording.metadata import is_made_in
from sdg_core import api
from sdg_core.errors import SdgError

Context = dg.AutomationContext[dg.AssetKey]


def stale_or_missing(*, root: str | None = None) -> dg.AutomationCondition[dg.AssetKey]:
    """Made never, or from something else than what holds now.

    Not asked for: what a run works on, what failed in its last run, and what is made of something that is not there yet.
    root: the storage root, where it is neither SDG_ROOT nor the default.
    """
    ready = (
        ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.execution_failed()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
    )
    return ((dg.AutomationCondition.missing() | Stale(root)) & ready).with_label("stale_or_missing")


class Stale(dg.AutomationCondition[dg.AssetKey]):
    """Made, but from something else than what holds now.

    A row group is judged by its data version, the digest of fingerprint and record range: one query for all of them. Any other
    asset is judged as Dagster's own pages do, by code version and by the data versions of what it was made from.
    """

    def __init__(self, root: str | None = None) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """As evaluations show it."""
        return "stale"

    def evaluate(self, context: Context) -> dg.AutomationResult[dg.AssetKey]:
        """The stale part of the candidates."""
        view = context.asset_graph_view
        path = config_path_of(view.asset_graph.get(context.key).metadata)
        stale: Sequence[str | None]
        if path is not None:
            stale = stale_row_groups(view.instance, context.key, str(path), root=self._root)
        else:
            stale = self._stale_by_dagster(context)
        if context.partitions_def is not None:
            keys = set(context.partitions_def.get_partition_keys())
            found = view.get_subset_from_partition_keys(
                context.key, context.partitions_def, {key for key in stale if key in keys}
            )
        else:
            found = view.get_full_subset(key=context.key) if stale else view.get_empty_subset(key=context.key)
        return dg.AutomationResult(context=context, true_subset=context.candidate_subset.compute_intersection(found))

    def _stale_by_dagster(self, context: Context) -> Sequence[str | None]:
        if not dagster_private.available("CachingStaleStatusResolver", "StaleStatus"):
            return []
        view = context.asset_graph_view
        resolver = dagster_private.CachingStaleStatusResolver(view.instance, view.asset_graph, loading_context=view)
        partitions = (
            sorted(view.instance.get_materialized_partitions(context.key))
            if context.partitions_def is not None
            else [None]
        )
        return [key for key in partitions if resolver.get_status(context.key, key) is dagster_private.StaleStatus.STALE]


def stale_row_groups(instance: dg.DagsterInstance, key: dg.AssetKey, path: str, *, root: str | None) -> Sequence[str]:
    """Recorded row groups that this config, on this seed data, would make otherwise; none where that cannot be told."""
    try:
        opened = api.open_dataset(path, root=root, offline=True)
        version, _ = api.measured_version(opened)
    except SdgError:
        return []  # nothing can be made either; the run, the sensors and `dg check defs` say why
    recorded = recorded_versions(instance, key)
    return [
        group.key
        for group in opened.plan.row_groups
        if group.key in recorded and not is_made_in(recorded[group.key], version=version.name, group=group)
    ]


def automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates all automation conditions of a code location, these among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        return dg.AutomationConditionSensorDefinition(
            name="automation",
            target=dg.AssetSelection.all(),
            use_user_code_server=True,
            default_status=dg.DefaultSensorStatus.STOPPED,
            description="Evaluates the automation conditions of all assets, `stale_or_missing` among them.",
        )
