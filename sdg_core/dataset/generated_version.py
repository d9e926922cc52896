"""A version that has data, as what comes after generating sees it: post-generation, the report, exported files, an upload.

The row groups of a dataset and the partitions of a pipeline are finished in the same steps. What differs is asked here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from sdg_core.dataset.handle import Dataset, existing_version
from sdg_core.dataset.spending import DatasetSpending
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import Metadata
from sdg_core.store.row_group_state import RowGroupStatus
from sdg_core.store.row_groups import SelectionCounts


class GeneratedVersion(ABC):
    """The version of a dataset or a pipeline that has data.

    dataset: what it has of a ledger, a root and seed sources. Making one raises IncompleteError if nothing was generated yet.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.version = existing_version(dataset)

    @property
    def layout(self) -> VersionLayout:
        """Where it lies."""
        return self.version.layout

    @property
    def metadata(self) -> Metadata:
        """Its `metadata.json`."""
        assert self.version.metadata is not None
        return self.version.metadata

    def reread(self) -> None:
        """Read `metadata.json` again, after it was changed."""
        self.version = existing_version(self.dataset)

    @property
    @abstractmethod
    def plan(self) -> DatasetPlan:
        """The plan of a dataset that has these rows."""

    @property
    def finished_plan(self) -> DatasetPlan:
        """The plan that a finished dataset is held against."""
        return self.plan

    @property
    @abstractmethod
    def row_groups(self) -> Sequence[RowGroupStatus]:
        """The files, as the row groups of `plan`; looked at once."""

    @abstractmethod
    def check_plan(self) -> None:
        """Raise ConfigError or PlanError if what is asked for does not fit what the version holds."""

    @abstractmethod
    def check_complete(self, *, allow_missing: bool) -> None:
        """Raise IncompleteError if anything is missing. allow_missing: except for what failed permanently."""

    @abstractmethod
    def spending(self) -> DatasetSpending | None:
        """What it has cost; None where the ledger cannot be read."""

    def selection(self) -> SelectionCounts | None:
        """What `select` came to, where the footers of the row groups do not say."""
        return None
