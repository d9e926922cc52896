"""Where seed rows come from, in which order, and which part of them is used."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from sdg_core.config.base import ConfigModel, NonEmptyStr, NonNegativeInt, PositiveInt


class LocalSeedSource(ConfigModel):
    """A csv, parquet, json or jsonl file.

    A relative `path` is relative to the dataset file; `{root}/...` means the storage root, where upstream assets write.
    `upstream_asset` names the Dagster asset that writes the file, such as `python_docs/passages`.
    """

    seed_type: Literal["local"] = "local"
    path: NonEmptyStr
    upstream_asset: NonEmptyStr | None = None


class IndexRange(ConfigModel):
    """Seed rows `start` to `end`, both included."""

    start: NonNegativeInt
    end: NonNegativeInt

    @model_validator(mode="after")
    def _ordered(self) -> "IndexRange":
        if self.start > self.end:
            raise ValueError(f"start {self.start} is above end {self.end}; both ends are included")
        return self


class PartitionBlock(ConfigModel):
    """Block `index` of `num_partitions` equal blocks; the last one takes the remainder."""

    index: NonNegativeInt
    num_partitions: PositiveInt

    @model_validator(mode="after")
    def _inside(self) -> "PartitionBlock":
        if self.index >= self.num_partitions:
            raise ValueError(f"index {self.index} needs num_partitions above it, got {self.num_partitions}")
        return self


def _selection_kind(value: Any) -> str:
    """Which selection a mapping means, so that its faults are reported against that one only."""
    is_block = isinstance(value, PartitionBlock) or (isinstance(value, dict) and {"index", "num_partitions"} & {*value})
    return "block" if is_block else "range"


Selection = Annotated[
    Annotated[IndexRange, Tag("range")] | Annotated[PartitionBlock, Tag("block")], Discriminator(_selection_kind)
]


class SeedConfig(ConfigModel):
    """Seed data and how records draw from it: record i takes row i, wrapping around at the end."""

    source: LocalSeedSource
    sampling_strategy: Literal["ordered", "shuffle"] = "ordered"
    selection_strategy: Selection | None = None
