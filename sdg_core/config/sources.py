"""Where the sources of a pipeline come from, by the kind of their reader."""

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from sdg_core.config.addresses import hub_address
from sdg_core.config.base import (
    Bool,
    ConfigModel,
    DatasetName,
    JsonObject,
    Name,
    NonEmptyStr,
    PositiveInt,
    Scalar,
)
from sdg_core.config.models import Seconds
from sdg_core.config.seeds import class_reference, hub_path


def _known_encoding(value: str) -> str:
    try:
        codecs.lookup(value)
    except LookupError:
        raise ValueError(
            f"unknown encoding {value!r}; use one that Python supports, such as utf-8, latin-1 or cp1252"
        ) from None
    return value


Encoding = Annotated[NonEmptyStr, AfterValidator(_known_encoding)]


class SourcesBase(ConfigModel):
    """What all readers have.

    sources_per_partition: number of new sources per output file; default 1, more above 10,000 sources.
    allow_empty: allow the pipeline to have no sources yet.
    """

    sources_per_partition: PositiveInt | None = None
    allow_empty: Bool = False


class FileSources(SourcesBase):
    """Each file that matches `path` is a source: below the directory of the pipeline file, in an object store
    (`s3://...`), or below the storage root (`{root}/...`).

    reader: `files` gives one record per file (`content`); `jsonl`, `csv` and `parquet` give one per line or row.
    Every record also has `source`, the file's path relative to the config, or its URL.
    front_matter: with `files`, the name of a column for the YAML block at the start of a Markdown file.
    separator: one character, for `csv`; default: a comma, a tab in `.tsv` files, or the character of a first line
    such as `sep=;`.
    """

    reader: Literal["files", "jsonl", "csv", "parquet"]
    path: NonEmptyStr
    encoding: Encoding = "utf-8"
    front_matter: Bool = False
    separator: Annotated[str, Field(strict=True, pattern=r"^[^\"\r\n]$")] | None = None

    @model_validator(mode="after")
    def _only_of_text(self) -> "FileSources":
        if self.front_matter and self.reader != "files":
            raise ValueError(
                f"front_matter is valid only with reader: files, not {self.reader}; remove it"
            )
        if self.separator is not None and self.reader != "csv":
            raise ValueError(
                f"separator is valid only with reader: csv, not {self.reader}; remove it"
            )
        return self


class DocumentBounds(SourcesBase):
    """Limits for reading one document. timeout: seconds. memory_mib: memory, not counting the libraries' own."""

    timeout: Seconds = 60.0
    memory_mib: PositiveInt = 1024


class HtmlSources(DocumentBounds):
    """Web pages: the main text of each as Markdown. encoding: only for pages that do not declare one."""

    reader: Literal["html"]
    path: NonEmptyStr
    encoding: Encoding | None = None


class DocumentSources(DocumentBounds):
    """PDF or Word (.docx) files: the text of each."""

    reader: Literal["pdf", "docx"]
    path: NonEmptyStr


class SqlSources(SourcesBase):
    """Rows of a table or a query.

    key: a column; rows with the same value are one source. Without a key, all rows are one source.

    url_env: name of the environment variable that holds the URL; required for a URL with a password.
    """

    reader: Literal["sql"]
    url: NonEmptyStr | None = None
    url_env: NonEmptyStr | None = None
    table: NonEmptyStr | None = None
    query: NonEmptyStr | None = None
    key: Name | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> "SqlSources":
        if (self.url is None) == (self.url_env is None):
            raise ValueError(
                "give either url or url_env, the name of an environment variable that holds the URL"
            )
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query, a SELECT")
        return self


class HubSources(SourcesBase):
    """Files of a dataset on the Hugging Face Hub, `datasets/<user>/<name>/**/*.parquet`; each is a source.

    `token` is the name of the environment variable with an access token.
    """

    reader: Literal["hf"]
    path: Annotated[NonEmptyStr, AfterValidator(hub_path)]
    token: NonEmptyStr | None = None
    endpoint: Annotated[NonEmptyStr, AfterValidator(hub_address)] = (
        "https://huggingface.co"
    )


class DatasetSources(SourcesBase):
    """Another dataset or pipeline under the same storage root; each of its files is a source.

    committed: read the row groups (or partitions) that exist, without waiting for the dataset to be finished.
    """

    reader: Literal["dataset"]
    dataset: DatasetName
    committed: Bool = False


class CustomSources(SourcesBase):
    """A reader class, `module:Class` or `./file.py:Class`, with `items` and `expand`; see `sdg_core.custom.SourceReader`.

    version: change it when code that the class calls changes the result; the class's own source is tracked
    automatically.
    """

    reader: Literal["custom"]
    reader_class: Annotated[NonEmptyStr, AfterValidator(class_reference)]
    params: JsonObject = {}
    version: Scalar | None = None


Sources = Annotated[
    FileSources
    | HtmlSources
    | DocumentSources
    | SqlSources
    | HubSources
    | DatasetSources
    | CustomSources,
    Field(discriminator="reader"),
]
