"""Where seed rows come from, in which order, and which part of them is used."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

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


class SeedConfig(ConfigModel):
    """Seed data and how records draw from it: record i takes row i, wrapping around at the end."""

    source: LocalSeedSource
    sampling_strategy: Literal["ordered", "shuffle"] = "ordered"
    selection_strategy: Annotated[IndexRange | PartitionBlock | None, Field(union_mode="left_to_right")] = None
