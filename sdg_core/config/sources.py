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

    sources_per_partition: how many new sources share a file of the output; default 1, more above 10,000 sources.
    allow_empty: whether finding no source is fine, because they come later.
    """

    sources_per_partition: PositiveInt | None = None
    allow_empty: Bool = False


class FileSources(SourcesBase):
    """Each file that `path` matches is a source: below the directory of the pipeline file, on an object store (`s3://...`), or
    below the storage root (`{root}/...`).

    reader: files gives one record per file (`content`); jsonl, csv and parquet one per line or row. Every record also has
    `source`, the file's path relative to the config, or its URL.
    front_matter: of `files`: the YAML block that a Markdown file may begin with becomes a column of that name.
    separator: of `csv`, one character; default a comma, a tab in `.tsv` files, and what a first line such as `sep=;` says.
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
    """What reading one document may take. timeout: seconds. memory_mib: of memory, beyond what the libraries take themselves."""

    timeout: Seconds = 60.0
    memory_mib: PositiveInt = 1024


class HtmlSources(DocumentBounds):
    """Web pages: the main text of each as Markdown. encoding: only if pages do not say theirs."""

    reader: Literal["html"]
    path: NonEmptyStr
    encoding: Encoding | None = None


class DocumentSources(DocumentBounds):
    """PDF or Word (.docx) files: the text of each."""

    reader: Literal["pdf", "docx"]
    path: NonEmptyStr


class SqlSources(SourcesBase):
    """Rows of a table or a query. key: a column; the rows that share a value of it are one source. Without one all rows are.

    `url_env` names the environment variable that holds the URL; a URL with a password in it goes there.
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
    """Files of a dataset on the Hugging Face hub, `datasets/<user>/<name>/**/*.parquet`; each is a source.

    `token` names the environment variable that holds an access token.
    """

    reader: Literal["hf"]
    path: Annotated[NonEmptyStr, AfterValidator(hub_path)]
    token: NonEmptyStr | None = None
    endpoint: Annotated[NonEmptyStr, AfterValidator(hub_address)] = (
        "https://huggingface.co"
    )


class DatasetSources(SourcesBase):
    """Another dataset or pipeline of the same storage root; each of its files is a source.

    committed: read the row groups (or partitions) that there are, instead of waiting until it is finished.
    """

    reader: Literal["dataset"]
    dataset: DatasetName
    committed: Bool = False


class CustomSources(SourcesBase):
    """A reader class, `module:Class` or `./file.py:Class`, with `items` and `expand`; see `sdg_core.custom.SourceReader`.

    version: raise it when code that the class calls changes what comes out; its own source counts by itself.
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
