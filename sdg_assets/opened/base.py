"""A dataset or a pipeline with its files, as assets, sensors, checks and jobs look at it: partitions with a state each, and
what is finished. Everything in Dagster that is said of both is written against this, once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from sdg_core import api
from sdg_core.errors import IncompleteError

if TYPE_CHECKING:
    from sdg_core.api import (
        Observer,
        ProcessingResult,
        StoredPartition,
        StorePath,
        Version,
        VersionLayout,
    )


@dataclass(frozen=True)
class RowCounts:
    """How many rows a finished dataset is to have, and why.

    unlisted: records that have neither a row nor a reason. words: how it comes to `expected`. details: as metadata.
    """

    expected: int
    unlisted: int
    words: str
    details: Mapping[str, int]


class Opened(ABC):
    """An open dataset or pipeline. Its files are looked at once, when they are first asked for.

    unit: what there is to make: records, or sources.
    """

    unit: str

    @property
    @abstractmethod
    def dataset(self) -> "api.Dataset":
        """What both have in common: versions, seal, ledger."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.dataset.name

    @property
    def config_hash(self) -> str:
        """The fingerprint of its config and seed data."""
        return self.dataset.plan.fingerprint.config_hash

    @property
    def code_version(self) -> str:
        """The fingerprint of its config alone."""
        return self.dataset.plan.fingerprint.config_fingerprint

    @property
    def seal(self) -> "Version | None":
        """The version that a run would be refused for."""
        return api.seal_of(self.dataset)

    @property
    @abstractmethod
    def version(self) -> "VersionLayout":
        """The version that this config's data lies in, there or not."""

    @cached_property
    def partitions(self) -> "Sequence[StoredPartition]":
        """Every partition with its state. Raises SdgError."""
        return self._measured()

    @abstractmethod
    def _measured(self) -> "Sequence[StoredPartition]":
        """Every partition with its state."""

    @abstractmethod
    def data_version(self, partition: "StoredPartition") -> str | None:
        """Identifies what the file of a partition holds; None where there is none of this config that counts as made."""

    @abstractmethod
    def stale(self, recorded: Mapping[str, str | None]) -> Sequence[str]:
        """Keys of recorded partitions that would now be made otherwise. recorded: data versions of materializations by key."""

    @abstractmethod
    def file_metadata(self, partition: "StoredPartition") -> dict[str, Any]:
        """What the file of a partition says of itself."""

    def lineage(self, upstream: Sequence[dg.AssetKey]) -> dict[str, Any]:
        """Metadata of every materialization that follows from the plan."""
        return {}

    @abstractmethod
    def check_complete(self) -> None:
        """Raises IncompleteError if it cannot be finished yet."""

    @abstractmethod
    def process(
        self,
        *,
        allow_missing: bool = False,
        max_missing_rate: float | None = None,
        on_event: "Observer",
    ) -> "ProcessingResult":
        """Write the finished dataset and seal. Raises SdgError."""

    @abstractmethod
    def finished_metadata(
        self, result: "ProcessingResult", *, partitioned: dg.AssetKey
    ) -> dict[str, Any]:
        """What the page of the finished dataset shows. partitioned: the asset that it is made of."""

    @abstractmethod
    def row_counts(self) -> RowCounts:
        """What the finished dataset should have."""

    def finished_files(self) -> "tuple[StorePath, ...]":
        """The files of the finished dataset. Raises IncompleteError if the version of this config is not finished."""
        sealed = self.seal
        parts = api.finished_parts(self.dataset.layout) if sealed is not None else ()
        if sealed is None or not str(parts[0]).startswith(
            str(sealed.layout.processed_dataset)
        ):
            raise IncompleteError(
                f"{self.dataset.layout.directory} holds no finished dataset of this config",
                remedy=f"materialize {self.name}/dataset",
            )
        return parts
