"""Files of a dataset on the Hugging Face hub as sources. The hub knows the digest of large files, so looking for work
downloads none of those."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sdg_core.config.seeds import HuggingFaceSeedSource
from sdg_core.config.sources import FileSources, HubSources
from sdg_core.errors import SeedError
from sdg_core.pipelines.readers.base import OpenSource, Record, Source
from sdg_core.pipelines.readers.files import OpenFile, unreadable
from sdg_core.pipelines.readers.tables import read_parquet
from sdg_core.pipelines.readers.text import read_csv, read_json_lines
from sdg_core.seeds.files import SeedFile
from sdg_core.seeds.huggingface import HubFile, find_files

_FORMATS: Mapping[str, Callable[[SeedFile, Any], Iterator[Record]]] = {
    ".parquet": read_parquet,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".csv": read_csv,
}


class HubSource(Source):
    """A file on the hub; its path there, revision included, is the locator."""

    __slots__ = ("_find",)

    def __init__(self, path: str, find: Callable[[str], HubFile]) -> None:
        super().__init__(f"hf:{path}", path)
        self._find = find

    def open(self) -> OpenSource:
        """The file as the hub has it now."""
        try:
            file = self._find(self.locator)
        except SeedError as error:
            raise unreadable(error) from error
        return OpenFile(file, self.locator, _read)


def _read(file: SeedFile) -> Iterator[Record]:
    return _FORMATS[file.suffix](file, FileSources(reader="jsonl", path=file.name))


def hub_sources(config: HubSources, *, env: Mapping[str, str]) -> list[Source]:
    """The files that match, sorted. Raises SeedError if the hub cannot be asked, or a file is of no format that is read."""
    source = HuggingFaceSeedSource(
        path=config.path, token=config.token, endpoint=config.endpoint
    )
    names, find = find_files(source, env=env, where="sources")
    for name in names:
        suffix = posixpath.splitext(name)[1].lower()
        if suffix not in _FORMATS:
            raise SeedError(
                f"sources.path: hf://{name} is a {suffix or 'file without a suffix'}",
                remedy=f"name files of one of {', '.join(_FORMATS)}, as in datasets/user/name/**/*.parquet",
            )
    return [HubSource(name, find) for name in names]
