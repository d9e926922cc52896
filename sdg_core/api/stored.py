"""Reading what is stored, without the plan of a dataset: `api.scan("reviews")`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from sdg_core.config.load import is_pipeline, read_pipeline
from sdg_core.dataset.handle import ConfigLike, Dataset, open_dataset
from sdg_core.pipelines.handle import OpenPipeline
from sdg_core.plan.load import load_dataset
from sdg_core.store.layout import DatasetLayout
from sdg_core.store.roots import choose_root
from sdg_core.store.stored import StoredFiles, finished_files, partition_files

__all__ = [
    "DatasetLayout",
    "StoredFiles",
    "finished_files",
    "partition_files",
    "scan",
    "stored_layout",
]
AllPartitions = Literal["all"]


def scan(
    dataset: ConfigLike | Dataset | OpenPipeline,
    *,
    partitions: Sequence[str] | AllPartitions | None = None,
    root: str | None = None,
    env: Mapping[str, str] | None = None,
) -> pl.LazyFrame:
    """Scan the finished dataset, or some of its partitions in their current state, as a lazy frame.

    dataset: a name, the path of a dataset or pipeline file, an open dataset, or a config as for `open_dataset`.
    partitions: keys such as `00003`, or `all` existing ones; None for the finished dataset. root: the storage root;
    for a name, the project is that of the working directory.

    Reads the version last generated into. Raises IncompleteError if the data does not exist, or StoreError.
    """
    if isinstance(dataset, str | Path):
        layout = stored_layout(dataset, root=root, env=env)
    elif isinstance(dataset, Dataset | OpenPipeline):
        layout = dataset.layout
    else:
        layout = open_dataset(dataset, root=root, env=env, offline=True).layout
    if partitions is None:
        return finished_files(layout).scan()
    keys = None if partitions == "all" else partitions
    found = partition_files(layout, keys)
    return StoredFiles.together(found.values()).scan()


def stored_layout(
    dataset: str | Path,
    *,
    root: str | None = None,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> DatasetLayout:
    """Where the data of a dataset or pipeline lies.

    dataset: its name, or the path of its file. folder: whose project has the default root; default the file's folder, for a name
    the working directory. Raises ConfigError for a file that cannot be read, StoreError.
    """
    env = os.environ if env is None else env
    path = Path(dataset)
    if isinstance(dataset, str) and path.suffix not in (".yaml", ".yml", ".json"):
        name = dataset
        own = Path.cwd()
    elif is_pipeline(path):
        name = read_pipeline(path, env=env).config.name
        own = path.parent
    else:
        name = load_dataset(path, env=env, offline=True).config.name
        own = path.parent
    chosen = choose_root(root, env=env, folder=folder or own)
    return DatasetLayout(chosen.path, name, chosen.given, chosen.others)
