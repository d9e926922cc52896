"""Datasets as inputs of your own assets: an IO manager for arguments, and `scan` for assets that name them in `deps`.

What is loaded follows the key of the upstream asset: `<dataset>/row_groups` and `<pipeline>/sources` give partitions, by the
partition mapping of the input; `<dataset>/dataset` gives the finished dataset. Files are the truth here, too: what is read is the
version last generated into, whatever made it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import FINISHED, PARTITIONED, Place, named, place_of
from sdg_assets.resources import resolve_for
from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.errors import PlanError, SdgError

if TYPE_CHECKING:
    import polars as pl

    from sdg_core.api.stored import DatasetLayout, StoredFiles

ALLOW_MISSING = "allow_missing_partitions"
"""Metadata of an input by which, as with Dagster's own IO managers, partitions that have no file are left out."""


class DatasetIOManager(dg.ConfigurableIOManagerFactory[dg.IOManager]):
    """Loads datasets as polars LazyFrame (default), polars DataFrame or pyarrow Table, by the annotation of the argument.

    As the resource `io_manager` it stores and loads everything else as Dagster's default does. Under another name, inputs choose
    it by `input_manager_key`. An argument of `dict[str, <one of the types>]` gets each partition by its key.
    """

    root: str | None = Field(
        default=None,
        description="The storage root, if it is neither SDG_ROOT nor `data` in the project of the dataset.",
    )
    base_dir: str | None = Field(
        default=None,
        description="Where outputs of other assets are stored. Default: Dagster's.",
    )

    def create_io_manager(self, context: dg.InitResourceContext) -> dg.IOManager:
        """The manager of one process."""
        return _Loader(
            self.root,
            dg.FilesystemIOManager(base_dir=self.base_dir).create_io_manager(context),
        )


class _Loader(dg.IOManager):
    """Loads what is a dataset's, and leaves everything else to another manager."""

    def __init__(self, root: str | None, others: dg.IOManager) -> None:
        self._root = root
        self._others = others

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store the output of an asset that is no dataset's."""
        self._others.handle_output(context, obj)

    def load_input(self, context: dg.InputContext) -> Any:
        """Load an input. Raises Failure for a type that there is no loader for, and for data that is not there."""
        place = _place_of_input(context, root=self._root)
        if place is None:
            return self._others.load_input(context)
        try:
            return self._load(context, place)
        except SdgError as error:
            raise dg.Failure(
                description=f"input {context.name}: {in_dagster(error)}",
                allow_retries=False,
            ) from None

    def _load(self, context: dg.InputContext, place: Place) -> Any:
        wanted = context.dagster_type.typing_type
        each = get_origin(wanted) is dict
        if each:
            wanted = get_args(wanted)[-1]
        load = _loader(wanted, argument=context.name)
        layout = _layout(place, root=self._root)
        if context.asset_key.path[-1] not in PARTITIONED:
            return load(api.stored.finished_files(layout))
        keys = context.asset_partition_keys if context.has_asset_partitions else None
        if context.definition_metadata.get(ALLOW_MISSING):
            there = api.stored.partition_files(layout)
            keys = [key for key in there if keys is None or key in keys]
        files = api.stored.partition_files(layout, keys)
        if each:
            return {key: load(one) for key, one in files.items()}
        return load(api.stored.StoredFiles.together(files.values()))


def scan(
    dataset: str,
    *,
    partitions: Sequence[str] | Literal["all"] | None = None,
    root: str | None = None,
) -> "pl.LazyFrame":
    """A dataset or pipeline as a lazy frame, for assets that name it in `deps`.

    dataset: its name; with its key prefix, as in `nlp/reviews`, where two have one name. partitions: keys, such as
    `context.partition_keys`, or `all` that there are; None is the finished dataset.
    Inside an asset it is the dataset of that name in the same code location; elsewhere, that of the project of the working
    directory. Raises IncompleteError where there is no such data, with what to materialize.
    """
    place = _place_in_location(dataset)
    if place is None:
        place = Place(dataset.rpartition("/")[2])
    layout = _layout(place, root=root)
    if partitions is None:
        return api.stored.finished_files(layout).scan()
    keys = None if partitions == "all" else partitions
    files = api.stored.partition_files(layout, keys)
    return api.stored.StoredFiles.together(files.values()).scan()


def _layout(place: Place, *, root: str | None) -> "DatasetLayout":
    """root: where the dataset has none of its own; a relative one starts at the project."""
    folder = place.folder or Path.cwd()
    return api.stored.stored_layout(
        place.name, root=resolve_for(place.root or root, folder / "file"), folder=folder
    )


def _loader(wanted: Any, *, argument: str) -> "Callable[[StoredFiles], Any]":
    """The loader of a type. Raises Failure."""
    loaders = _loaders()
    if wanted in (None, Any):
        wanted = next(iter(loaders))
    if wanted not in loaders:
        names = [
            f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in loaders
        ]
        raise dg.Failure(
            f"argument {argument}: a dataset cannot be loaded as {wanted}\n"
            f"  -> annotate it as {', '.join(names)}, or dict[str, ...] of one",
            allow_retries=False,
        )
    return loaders[wanted]


def _loaders() -> "Mapping[Any, Callable[[StoredFiles], Any]]":
    """How each type of an argument is loaded; without an annotation it is the first."""
    import polars as pl
    import pyarrow as pa

    return {
        pl.LazyFrame: lambda files: files.scan(),
        pl.DataFrame: lambda files: files.scan().collect(),
        pa.Table: lambda files: files.to_arrow(),
    }


def _place_of_input(context: dg.InputContext, *, root: str | None) -> Place | None:
    """The dataset whose asset an input comes from; None for any other asset.

    An asset of another code location says nothing of its file; it is a dataset's if there is data where its key points.
    """
    if not context.has_asset_key:
        return None
    key = context.asset_key
    output = context.upstream_output
    known = (
        place_of(key, output.definition_metadata or {}) if output is not None else None
    )
    if (
        known is not None
        or len(key.path) < 2
        or key.path[-1] not in (FINISHED, *PARTITIONED)
    ):
        return known
    guessed = Place(key.path[-2])
    return guessed if _layout(guessed, root=root).versions() else None


def _place_in_location(name: str) -> Place | None:
    """The dataset of this name in the code location whose asset is being made; None outside of one, or if there is none."""
    try:
        context = dg.AssetExecutionContext.get()
    except dg.DagsterInvariantViolationError:
        return None
    graph = context.job_def.asset_layer.asset_graph
    by_label = {}
    for key in graph.get_all_asset_keys():
        place = place_of(key, graph.get(key).metadata)
        if place is not None:
            by_label[place.label] = place
    found = named(by_label.values(), name)
    if len(found) > 1:
        labels = sorted(place.label for place in found)
        raise PlanError(
            f"{name!r} is the name of {' and of '.join(labels)}",
            remedy=f"specify which, as in scan({labels[0]!r})",
        )
    return found[0] if found else None
