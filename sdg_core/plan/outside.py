"""The data of this machine that a dataset or pipeline reads from outside its directory and its project.

Links count as what they lead to: a directory that a stranger packed may hold links to anything. Only names are looked at; no file
is opened, and no query is run.
"""

import glob
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sdg_core.config.seeds import (
    DatasetSeedSource,
    DirectorySeedSource,
    FileContentsSeedSource,
    HuggingFaceSeedSource,
    LocalSeedSource,
    SqlSeedSource,
)
from sdg_core.config.sources import (
    DatasetSources,
    DocumentSources,
    FileSources,
    HtmlSources,
    HubSources,
    SqlSources,
)
from sdg_core.counts import counted
from sdg_core.plan.file_patterns import matching
from sdg_core.plan.project import project_of
from sdg_core.plan.variables import host_of

_USER = re.compile(r"//[^/]*@")
_PASSWORD = re.compile(r"((?:pass\w*|pwd)=)[^&]*", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_LITERAL = re.compile(r"'((?:[^']|'')*)'|\"([^\"]*)\"")
_MAX_FILES = 10_000
"""Names that are looked through for links that lead elsewhere."""
_MAX_PATH_LENGTH = 4_096
_MAX_SHOWN = 20


def outside(source: Any, base: Path, *, root: str) -> list[str]:
    """What a source reads outside `base`, the directory of the file, and its project: a sentence each. root: the storage root."""
    match source:
        case LocalSeedSource(path=str(path)):
            return _files([path], base, root)
        case LocalSeedSource(path=paths):
            return _files([*paths], base, root)
        case DirectorySeedSource() | FileContentsSeedSource():
            return _directory(source.path, base, root)
        case FileSources() | HtmlSources() | DocumentSources():
            return _files([source.path], base, root)
        case (
            SqlSeedSource(url=url, url_env=variable)
            | SqlSources(url=url, url_env=variable)
        ):
            named = (
                f"that {variable} names"
                if variable is not None
                else _without_login(url or "")
            )
            lines = [f"reads the database {named}"]
            may_read_files = url is None or url.startswith("duckdb")
            if may_read_files:
                lines += _of_query(source.query or "", base)
            return lines
        case HuggingFaceSeedSource(endpoint=endpoint) | HubSources(endpoint=endpoint):
            return [f"downloads from {host_of(endpoint)}"]
        case DatasetSeedSource(dataset=name) | DatasetSources(dataset=name):
            return _files([f"{{root}}/{name}"], base, root)
        case _:  # data of Python, or of a class, whose code is named
            return []


def quoted(query: str) -> list[str]:
    """Quoted text of a query."""
    return [
        (match[1] or match[2] or "").replace("''", "'")
        for match in _LITERAL.finditer(query)
    ]


def files_in_query(query: str) -> list[Path]:
    """Files of this machine that quoted text of a query names, as DuckDB reads them: relative ones and wildcards start at the
    working directory."""
    names: list[str] = []
    for text in quoted(query):
        if text and "\0" not in text and len(text) < _MAX_PATH_LENGTH:
            names += islice(matching(text), _MAX_FILES)
    return [Path(name) for name in dict.fromkeys(names) if os.path.isfile(name)]


def _of_query(query: str, base: Path) -> list[str]:
    patterns = filter(glob.has_magic, quoted(query))
    places = [*map(Path, patterns), *files_in_query(query)]
    return _lines(places, base)


def _files(patterns: list[str], base: Path, root: str) -> list[str]:
    """Files, or what patterns with wildcards match."""
    lines: list[str] = []
    places: list[Path] = []
    for pattern in patterns:
        text = pattern.replace("{root}", root)
        if _URL.match(text):
            lines.append(f"reads {text}")
            continue
        place = base / text
        places.append(place)
        if glob.has_magic(text) and _is_inside(place, base):
            found = matching(os.path.join(glob.escape(str(base)), text))
            names = list(islice(found, _MAX_FILES))
            places += map(Path, names)
            if len(names) == _MAX_FILES:
                lines.append(
                    f"reads {pattern}: too many files to look for links to elsewhere"
                )
    return [*lines, *_lines(places, base)]


def _directory(path: str, base: Path, root: str) -> list[str]:
    """A directory, or what links in it lead to."""
    text = path.replace("{root}", root)
    if _URL.match(text):
        return [f"reads {text}"]
    directory = base / text
    if not _is_inside(directory, base):
        return _lines([directory], base)
    names = list(islice(_below(directory), _MAX_FILES))
    links = [Path(name) for name in names if os.path.islink(name)]
    lines = _lines(links, base)
    if len(names) == _MAX_FILES:
        lines.append(f"reads {path}: too many files to look for links to elsewhere")
    return lines


def _below(directory: Path) -> Iterator[str]:
    for place, _, names in os.walk(directory):
        for name in names:
            yield os.path.join(place, name)


def _lines(places: list[Path], base: Path) -> list[str]:
    elsewhere = [place for place in places if not _is_inside(place, base)]
    found = dict.fromkeys(map(os.path.realpath, elsewhere))
    lines = [f"reads {place}" for place in islice(found, _MAX_SHOWN)]
    more = len(found) - _MAX_SHOWN
    if more > 0:
        lines.append(f"reads {counted(more, 'more file')}")
    return lines


def _is_inside(place: Path, base: Path) -> bool:
    real = Path(os.path.realpath(place))
    return real.is_relative_to(os.path.realpath(base)) or real.is_relative_to(
        project_of(base)
    )


def _without_login(url: str) -> str:
    """The URL of a database: options may name hosts as well, so it is shown as a whole."""
    return _PASSWORD.sub(r"\1***", _USER.sub("//", url))
