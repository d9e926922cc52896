"""Where seed rows come from, in which order, and which part of them is used."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from sdg_core.config.addresses import check_file_path, hub_address
from sdg_core.config.base import (
    Bool,
    ConfigModel,
    DatasetName,
    JsonObject,
    NonEmptyStr,
    NonNegativeInt,
    PositiveInt,
)


def _no_addresses(given: Any) -> Any:
    """Before one path or a list of them is told apart, so that a mistake is one message, without the value."""
    for path in given if isinstance(given, list | tuple) else [given]:
        if isinstance(path, str):
            check_file_path(path)
    return given


FilePath = Annotated[NonEmptyStr, BeforeValidator(_no_addresses)]
FilePaths = Annotated[
    NonEmptyStr | Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)],
    BeforeValidator(_no_addresses),
]


class TextFileKeys(ConfigModel):
    """Reading options for text files of a source; detected automatically where that is safe.

    separator: column separator of csv files, one character. encoding: any encoding that Python supports. null_values:
    texts to read as null. types: column types by name.
    """

    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: NonEmptyStr | None = None
    null_values: tuple[NonEmptyStr, ...] = ()
    types: dict[str, Literal["str", "int", "float", "bool"]] = {}


class LocalSeedSource(TextFileKeys):
    """csv, parquet, json or jsonl files: one file, a glob (`parts/*.parquet`, in sorted order), or a list of both (in
    list order).

    A relative `path` is relative to the dataset file; `{root}/...` is the storage root, where upstream assets write.
    `upstream_asset` is the Dagster asset that writes the file, such as `python_docs/passages`.
    """

    seed_type: Literal["local"] = "local"
    path: FilePaths
    upstream_asset: NonEmptyStr | None = None


class DirectorySeedSource(ConfigModel):
    """One row per file below a directory, identifying the file. `file_pattern` matches the file name, not the path."""

    seed_type: Literal["directory"] = "directory"
    path: FilePath
    file_pattern: NonEmptyStr = "*"
    recursive: Bool = True


class FileContentsSeedSource(DirectorySeedSource):
    """Like `directory`, with the file's text in a column `content`."""

    seed_type: Literal["file_contents"] = "file_contents"  # type: ignore[assignment]
    encoding: NonEmptyStr = "utf-8"


_UNREAD_FORMATS = ("hermes_agent", "pi_coding_agent")


def _rollout_format(value: Any) -> Any:
    if value in _UNREAD_FORMATS:
        raise ValueError(
            f"the session format {value} is not supported; use 'atif', 'claude_code' or 'codex'"
        )
    return value


class AgentRolloutSeedSource(DirectorySeedSource):
    """Coding-agent sessions below a directory, one row each. file_pattern: defaults to the pattern of the format."""

    seed_type: Literal["agent_rollout"] = "agent_rollout"  # type: ignore[assignment]
    format: Annotated[
        Literal["atif", "claude_code", "codex"], BeforeValidator(_rollout_format)
    ]
    file_pattern: NonEmptyStr | None = None  # type: ignore[assignment]


class SqlSeedSource(ConfigModel):
    """The rows of a query.

    url_env: name of the environment variable that holds the URL; required for a URL with a password.

    The query must have an ORDER BY: without it, the order of the rows can change between reads.
    """

    seed_type: Literal["sql"] = "sql"
    url: NonEmptyStr | None = None
    url_env: NonEmptyStr | None = None
    query: NonEmptyStr

    @model_validator(mode="after")
    def _one_url(self) -> "SqlSeedSource":
        if (self.url is None) == (self.url_env is None):
            raise ValueError(
                "give either url or url_env, the name of an environment variable that holds the URL"
            )
        return self


def hub_path(value: str) -> str:
    """Checks that a path names files of a dataset on the hub. Raises ValueError."""
    if re.fullmatch(r"(hf://)?datasets/[^/]+/[^/]+/.+", value) is None:
        raise ValueError(
            f"expected a path of files on the hub, as in datasets/user/name/**/*.parquet, got {value!r}"
        )
    return value


def class_reference(value: str) -> str:
    """Checks that a text names a class of a module or file. Raises ValueError."""
    module, _, name = value.rpartition(":")
    if not module or not name.isidentifier():
        raise ValueError(
            f"expected a class, as in my_package.readers:Reader or ./readers.py:Reader, got {value!r}"
        )
    return value


class HuggingFaceSeedSource(TextFileKeys):
    """Files of a dataset on the Hugging Face Hub, `datasets/<user>/<name>/**/*.parquet`.

    `token` is the name of the environment variable with an access token.
    """

    seed_type: Literal["hf"] = "hf"
    path: Annotated[NonEmptyStr, AfterValidator(hub_path)]
    token: NonEmptyStr | None = None
    endpoint: Annotated[NonEmptyStr, AfterValidator(hub_address)] = (
        "https://huggingface.co"
    )


class DatasetSeedSource(ConfigModel):
    """The finished dataset of another dataset file under the same storage root."""

    seed_type: Literal["dataset"] = "dataset"
    dataset: DatasetName


class DataFrameSeedSource(ConfigModel):
    """A data frame passed in Python; not possible in a file."""

    seed_type: Literal["df"] = "df"


class CustomSeedSource(ConfigModel):
    """A reader class, `module:Class` or `./file.py:Class`, that extends `sdg_core.seeds.base.SeedReader`."""

    seed_type: Literal["custom"] = "custom"
    reader: Annotated[NonEmptyStr, AfterValidator(class_reference)]
    params: JsonObject = {}


def _local_by_default(value: Any) -> Any:
    """A source that gives nothing but a path and how it is read is local."""
    if (
        isinstance(value, dict)
        and "path" in value
        and value.keys() <= LocalSeedSource.model_fields.keys() - {"seed_type"}
    ):
        return {**value, "seed_type": "local"}
    return value


SeedSource = Annotated[
    Annotated[
        LocalSeedSource
        | DirectorySeedSource
        | FileContentsSeedSource
        | AgentRolloutSeedSource
        | SqlSeedSource
        | HuggingFaceSeedSource
        | DatasetSeedSource
        | DataFrameSeedSource
        | CustomSeedSource,
        Field(discriminator="seed_type"),
    ],
    BeforeValidator(_local_by_default),
]


class IndexRange(ConfigModel):
    """Seed rows `start` to `end`, both included."""

    start: NonNegativeInt
    end: NonNegativeInt

    @model_validator(mode="after")
    def _ordered(self) -> "IndexRange":
        if self.start > self.end:
            raise ValueError(
                f"start {self.start} is above end {self.end}; both ends are included"
            )
        return self


class PartitionBlock(ConfigModel):
    """Block `index` of `num_partitions` equal blocks; the last one takes the remainder."""

    index: NonNegativeInt
    num_partitions: PositiveInt

    @model_validator(mode="after")
    def _inside(self) -> "PartitionBlock":
        if self.index >= self.num_partitions:
            raise ValueError(
                f"index {self.index} must be below num_partitions ({self.num_partitions})"
            )
        return self


def _selection_kind(value: Any) -> str:
    """Which selection a mapping means, so that its faults are reported against that one only."""
    is_block = isinstance(value, PartitionBlock) or (
        isinstance(value, dict) and {"index", "num_partitions"} & {*value}
    )
    return "block" if is_block else "range"


Selection = Annotated[
    Annotated[IndexRange, Tag("range")] | Annotated[PartitionBlock, Tag("block")],
    Discriminator(_selection_kind),
]


class SeedConfig(ConfigModel):
    """Seed data and how records draw from it: record i takes row i, wrapping around at the end.

    where: a template over seed columns; only rows for which it is true are used, before any selection.
    """

    source: SeedSource
    where: NonEmptyStr | None = None
    sampling_strategy: Literal["ordered", "shuffle"] = "ordered"
    selection_strategy: Selection | None = None
