"""The sources that there are now, by what the pipeline file says of them; and what is known of readers without reading."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, assert_never

import pyarrow as pa

from sdg_core.config.sources import (
    CustomSources,
    DatasetSources,
    DocumentSources,
    FileSources,
    HtmlSources,
    HubSources,
    Sources,
    SqlSources,
)
from sdg_core.errors import SeedError
from sdg_core.pipelines.known_columns import KnownColumns
from sdg_core.pipelines.readers.base import SOURCE_COLUMN, Record, Source
from sdg_core.pipelines.readers.files import is_url, local_sources, object_sources
from sdg_core.pipelines.readers.tables import read_parquet
from sdg_core.pipelines.readers.text import read_csv, read_json_lines, read_text
from sdg_core.plan.extras import Extra, missing_library
from sdg_core.seeds.files import SeedFile
from sdg_core.store.objects import StorePath

_LIBRARIES: dict[str, tuple[str, Extra]] = {
    "html": ("trafilatura", "documents"),
    "pdf": ("pypdfium2", "documents"),
    "docx": ("docx", "documents"),
    "hf": ("huggingface_hub", "hf"),
}
"""The module that a reader needs, and the extra that installs it."""
_COLUMNS = {
    "files": {"content": pa.string()},
    "html": {"content": pa.string(), "title": pa.string()},
    "pdf": {"content": pa.string(), "title": pa.string(), "pages": pa.int64()},
    "docx": {"content": pa.string(), "title": pa.string()},
}


def missing_extra(reader: str) -> str | None:
    """What to install before a reader can be used; None if everything is there."""
    if reader not in _LIBRARIES:
        return None
    module, extra = _LIBRARIES[reader]
    return missing_library(f"the reader {reader}", modules=(module,), extra=extra)


def needs_code_or_network(config: Sources, env: Mapping[str, str]) -> bool:
    """Whether looking for the sources runs a class of the user or opens a connection."""
    match config:
        case CustomSources() | HubSources():
            return True
        case SqlSources(url=url, url_env=variable):
            text = url if url is not None else env.get(variable or "", "")
            return not text.startswith(("sqlite:", "sqlite+pysqlite:"))
        case (
            FileSources(path=path) | HtmlSources(path=path) | DocumentSources(path=path)
        ):
            return is_url(path) and not path.startswith("memory:")
        case DatasetSources():
            return False
        case _:
            assert_never(config)


def columns_of(config: Sources) -> KnownColumns:
    """What is known of the columns of a record without reading one."""
    types = _COLUMNS.get(config.reader)
    if types is None:
        return KnownColumns(None)
    more = (
        ("front_matter",)
        if isinstance(config, FileSources) and config.front_matter
        else ()
    )
    return KnownColumns(
        frozenset({*types, *more, SOURCE_COLUMN}), {**types, SOURCE_COLUMN: pa.string()}
    )


def find_sources(
    config: Sources,
    *,
    base: Path,
    root: StorePath,
    env: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
) -> list[Source]:
    """The sources that there are now, by locator. given: a reader that was passed in Python.

    Raises SeedError if there is none and that is not allowed, or where they come from cannot be asked.
    """
    match config:
        case (
            FileSources(path=path) | HtmlSources(path=path) | DocumentSources(path=path)
        ):
            found = _files(
                path, reader=config.reader, base=base, root=root, read=_format(config)
            )
        case SqlSources():
            from sdg_core.pipelines.readers.tables import sql_sources

            found = sql_sources(config, base=base, root=str(root), env=env)
        case HubSources():
            from sdg_core.pipelines.readers.hub import hub_sources

            found = hub_sources(config, env=env)
        case DatasetSources():
            from sdg_core.pipelines.readers.datasets import dataset_sources

            found = dataset_sources(config, root=root)
        case CustomSources():
            from sdg_core.pipelines.readers.custom import custom_sources

            found = custom_sources(config, base=base, given=given or {})
        case _:
            assert_never(config)
    if not found and not config.allow_empty:
        remedy = "set sources.allow_empty: true if sources are added later"
        if isinstance(config, FileSources | HtmlSources | DocumentSources | HubSources):
            pattern = "correct the pattern (** matches any directories)"
            if _is_folder(config.path, base=base):
                pattern = f"it is a directory: name the files in it, as in {config.path.rstrip('/')}/**/*"
            remedy = f"{pattern}, or {remedy}"
        raise SeedError(why_empty(config, base=base), remedy=remedy)
    return found


def why_empty(config: Sources, *, base: Path) -> str:
    """What to say where there is no source."""
    match config:
        case (
            FileSources(path=path) | HtmlSources(path=path) | DocumentSources(path=path)
        ):
            below = "" if is_url(path) else f" below {base}"
            return f"sources.path {path!r} matches no file{below}"
        case SqlSources():
            return "sources: the table or query has no rows"
        case HubSources(path=path):
            return f"sources.path {path!r} matches no file on the hub"
        case DatasetSources(dataset=name):
            return f"sources.dataset: {name!r} has no rows yet"
        case CustomSources(reader_class=name):
            return f"sources.reader_class: {name} has no items"
        case _:
            assert_never(config)


def _is_folder(path: str, *, base: Path) -> bool:
    return not is_url(path) and (base / path).is_dir()


def _files(
    path: str,
    *,
    reader: str,
    base: Path,
    root: StorePath,
    read: Callable[[SeedFile], Iterator[Record]],
) -> list[Source]:
    place = str(root)
    if not is_url(place):
        place = str(Path(place).absolute())
    pattern = path.replace("{root}", place)
    if is_url(pattern):
        return object_sources(pattern, reader=reader, read=read)
    return local_sources(pattern, reader=reader, base=base, read=read)


def _format(
    config: FileSources | HtmlSources | DocumentSources,
) -> Callable[[SeedFile], Iterator[Record]]:
    """What reads a file of this kind; only the libraries that are asked for are imported."""
    formats: dict[str, Callable[[SeedFile, Any], Iterator[Record]]] = {
        "files": read_text,
        "jsonl": read_json_lines,
        "csv": read_csv,
        "parquet": read_parquet,
    }
    if config.reader in ("html", "pdf", "docx"):
        from sdg_core.pipelines.readers.documents import read_document

        formats[config.reader] = read_document
    read = formats[config.reader]

    def with_config(file: SeedFile) -> Iterator[Record]:
        return read(file, config)

    return with_config
