"""Seed data as a dataset sees it: opened by the kind of its source, addressed by record index."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, assert_never

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.seeds import (
    AgentRolloutSeedSource,
    CustomSeedSource,
    DataFrameSeedSource,
    DatasetSeedSource,
    DirectorySeedSource,
    FileContentsSeedSource,
    HuggingFaceSeedSource,
    LocalSeedSource,
    SeedConfig,
    SqlSeedSource,
)
from sdg_core.errors import SeedError
from sdg_core.plan.dataset_plan import SeedInfo
from sdg_core.plan.hashed_fields import digest
from sdg_core.seeds.addressing import seed_rows, selected_range
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.files import StoredObject

FinishedParts = Callable[[str], Sequence[Path | StoredObject]]
"""The files of a finished dataset, by its name. Raises SeedError if it is not finished."""


class Seeds:
    """Seed data as a dataset sees it: addressed by record index."""

    def __init__(self, reader: SeedReader, *, config: SeedConfig, seed: int) -> None:
        self._reader = reader
        self._config = config
        self._seed = seed
        self._lock = Lock()

    def info(self) -> SeedInfo:
        """What planning needs to know. Raises SeedError if the data cannot be read or the selection does not fit."""
        _, count = selected_range(
            self._reader.num_rows, self._config.selection_strategy
        )
        schema = self._reader.schema
        self._reader.check_values()
        return SeedInfo(
            schema=schema,
            num_rows=count,
            digest=self._digest(),
            files=self._reader.files(),
            notices=self._reader.notices(),
        )

    def _digest(self) -> str:
        """The reader's; with the rule for numbers of 32 bits, which the first release showed with other digits."""
        found = self._reader.digest()
        is_single = any(
            pa.types.is_float32(field.type) for field in self._reader.schema
        )
        if is_single:
            return digest([found, "single precision 2"])
        return found

    def read(self, indices: NDArray[np.int64]) -> pl.DataFrame:
        """The seed columns of the records with these indices. Raises SeedError if the data has changed since it was opened:
        what has been read might be of either content."""
        with self._lock:
            rows = seed_rows(
                indices,
                config=self._config,
                num_rows=self._reader.num_rows,
                seed=self._seed,
            )
            frame = self._reader.read(rows)
            self._reader.check_unchanged()
        return frame


class UnreadSeeds(Seeds):
    """Seed data of which only what planning needs is known, from when it was last read."""

    def __init__(self, info: SeedInfo) -> None:
        self._info = info

    def info(self) -> SeedInfo:
        """As it was when it was last read."""
        return self._info

    def read(self, indices: NDArray[np.int64]) -> pl.DataFrame:
        """Raises SeedError: the data is not read."""
        raise SeedError(
            "the seed data is not read", remedy="open the dataset without offline=True"
        )


def open_seeds(
    config: SeedConfig,
    *,
    seed: int,
    base: Path,
    root: str,
    env: Mapping[str, str] | None = None,
    finished: FinishedParts | None = None,
    stored: Callable[[str], StoredObject] | None = None,
    frame: Any = None,
    offline: bool = False,
) -> Seeds:
    """Open seed data; relative paths start at `base`, `{root}` is the storage root. Raises SeedError.

    env: looked up for URLs and tokens. finished: finds the other datasets of the storage root. stored: finds a file of an object
    store by its URL. frame: the data frame that `seed_type: df` stands for.
    offline: run no class of the user and open no connection; what needs one is UnreadSeeds, if it has been read
    before (else SeedNotReadError).
    """
    env = os.environ if env is None else env
    elsewhere = isinstance(
        config.source, CustomSeedSource | HuggingFaceSeedSource | SqlSeedSource
    )
    if elsewhere:
        from sdg_core.seeds.info_cache import (
            cache_info,
            cached_info,
            needs_code_or_network,
        )

        elsewhere = needs_code_or_network(config, env)
        if elsewhere and offline:
            return UnreadSeeds(cached_info(config, base=base, root=root))
    reader = _open_reader(
        config,
        base=base,
        root=root,
        env=env,
        finished=finished or _no_datasets,
        stored=stored,
        frame=frame,
    )
    if config.where is not None:
        from sdg_core.seeds.where import WhereReader

        reader = WhereReader(reader, config.where, env=env)
    seeds = Seeds(reader, config=config, seed=seed)
    if elsewhere:
        cache_info(seeds.info(), config, base=base, root=root)
    return seeds


def _open_reader(
    config: SeedConfig,
    *,
    base: Path,
    root: str,
    env: Mapping[str, str],
    finished: FinishedParts,
    stored: Callable[[str], StoredObject] | None,
    frame: Any,
) -> SeedReader:
    """Only the kind that is asked for is imported: SQLAlchemy and the hub take their time."""
    match config.source:
        case LocalSeedSource() as source:
            from sdg_core.seeds.local import open_local

            return open_local(source, base=base, root=root, stored=stored)
        case AgentRolloutSeedSource() as source:
            from sdg_core.seeds.agent_rollouts import AgentRolloutReader

            return AgentRolloutReader(
                source.path,
                base=base,
                root=root,
                format=source.format,
                file_pattern=source.file_pattern,
                recursive=source.recursive,
            )
        case DirectorySeedSource() | FileContentsSeedSource() as source:
            from sdg_core.seeds.directory import open_directory

            return open_directory(source, base=base, root=root)
        case SqlSeedSource() as source:
            from sdg_core.seeds.sql import open_sql

            return open_sql(source, base=base, root=root, env=env)
        case HuggingFaceSeedSource() as source:
            from sdg_core.seeds.huggingface import open_hugging_face

            return open_hugging_face(source, env=env)
        case DatasetSeedSource() as source:
            from sdg_core.seeds.dataset import open_dataset_parts

            return open_dataset_parts(finished(source.dataset))
        case DataFrameSeedSource():
            from sdg_core.seeds.frames import open_frame

            return open_frame(frame)
        case CustomSeedSource() as source:
            from sdg_core.seeds.custom import open_custom

            return open_custom(source, base=base, root=root)
        case _:
            assert_never(config.source)


def _no_datasets(name: str) -> Sequence[Path | StoredObject]:
    raise SeedError(
        f"dataset {name!r} cannot be looked up without a storage root",
        remedy="open the dataset with sdg_core.api",
    )
