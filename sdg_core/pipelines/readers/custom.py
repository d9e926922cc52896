"""`reader: custom`: a class of the user's that lists items and expands each into records (`sdg_core.custom.SourceReader`)."""

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sdg_core.config.sources import CustomSources
from sdg_core.custom import Failed, Filtered
from sdg_core.errors import SeedError, writable
from sdg_core.pipelines.readers.base import OpenSource, Record, Source, SourceError
from sdg_core.pipelines.readers.tables import row_text
from sdg_core.plan.hashed_fields import digest
from sdg_core.plan.usercode.functions import source_hash_of
from sdg_core.plan.usercode.loader import (
    UserCodeError,
    find_definition,
    load_definition,
)
from sdg_core.seeds.custom import called
from sdg_core.system.user_calls import call_user, what_raised

_PLACE = "sources.reader_class"


Given = Mapping[str, Any]
"""Objects passed in Python, by the names that the pipeline has for them."""


def custom_mark(config: CustomSources, *, base: Path, given: Given) -> str | None:
    """What the reader's code contributes to the fingerprint: its module's text, or the version that the file gives.

    Runs none of it. Raises UserCodeError if there is no such class.
    """
    if config.reader_class in given:
        return source_hash_of(
            type(given[config.reader_class]), "reader_class", version=config.version
        )
    definition = find_definition(config.reader_class, base=base, what="class")
    if config.version is not None:
        return f"version {config.version}"
    return digest(definition.module_text)


def custom_sources(config: CustomSources, *, base: Path, given: Given) -> list[Source]:
    """One source per item. Raises SeedError for a class that is no reader, or items of the same name."""
    reader = (
        given[config.reader_class]
        if config.reader_class in given
        else _reader(config, base)
    )
    place = f"{_PLACE}: {config.reader_class}"
    items = called(place, "items", lambda: list(reader.items()))
    sources: dict[str, Source] = {}
    for item in items:
        locator = called(place, "locator", partial(_locator, reader, item))
        if locator in sources:
            raise SeedError(
                f"{_PLACE}: {config.reader_class} has two items called {locator!r}",
                remedy="define locator(item) so that every item has a unique name that is the same in every run",
            )
        if locator != writable(locator):
            raise SeedError(
                f"{_PLACE}: {config.reader_class} has an item called {locator!r}, which is not text that can be stored",
                remedy="define locator(item) so that it gives text without lone surrogates",
            )
        sources[locator] = ItemSource(locator, reader, item)
    return [*sources.values()]


def _reader(config: CustomSources, base: Path) -> Any:
    """An object of the class that the file names. Raises SeedError."""
    try:
        found = load_definition(
            find_definition(config.reader_class, base=base, what="class")
        )
    except UserCodeError as error:
        raise SeedError(f"{_PLACE}: {error}") from error
    absent = [
        name for name in ("items", "expand") if not callable(getattr(found, name, None))
    ]
    if not inspect.isclass(found) or absent or inspect.isabstract(found):
        what = "is not a class that can be instantiated"
        if absent:
            what = f"does not define {' and '.join(absent)}"
        raise SeedError(
            f"{_PLACE}: {config.reader_class} {what}",
            remedy="extend sdg_core.custom.SourceReader: items() and expand()",
        )
    try:
        inspect.signature(found).bind(**config.params)
    except TypeError as error:
        taken = ", ".join(inspect.signature(found).parameters) or "none"
        raise SeedError(
            f"sources.params: {error}", remedy=f"{config.reader_class} takes: {taken}"
        ) from error
    return called(
        f"{_PLACE}: {config.reader_class}",
        "the constructor",
        lambda: found(**config.params),
    )


def _locator(reader: Any, item: Any) -> str:
    name = getattr(reader, "locator", None) or getattr(reader, "describe", None)
    if name is None:
        return str(item)
    return str(name(item))


class ItemSource(Source):
    """An item of a user's reader."""

    __slots__ = ("_item", "_reader")

    def __init__(self, locator: str, reader: Any, item: Any) -> None:
        super().__init__(f"custom:{locator}", locator)
        self._reader = reader
        self._item = item

    def open(self) -> OpenSource:
        """The item."""
        return OpenItem(self._reader, self._item)


class OpenItem(OpenSource):
    """An item of a user's reader. Its version is what the reader says, or the digest of its records."""

    def __init__(self, reader: Any, item: Any) -> None:
        self._reader = reader
        self._item = item

    @property
    def version(self) -> str:
        """Raises SourceError if the user's code does."""
        known = getattr(self._reader, "version", None)
        try:
            given = call_user(known, self._item) if callable(known) else None
        except Exception as error:  # user code may raise anything
            raise SourceError(f"has no version: {what_raised(error)}") from error
        if given is not None:
            return writable(f"custom:{given}")
        state = hashlib.sha256()
        for record in self.records():
            text = (
                row_text(record)
                if isinstance(record, Mapping)
                else repr(record).encode()
            )
            state.update(text + b"\n")
        return f"sha256:{state.hexdigest()}"

    def records(self) -> Iterator[Record]:
        """What the item expands to. Raises SourceError if the user's code does."""
        try:
            for record in _each(call_user(self._reader.expand, self._item)):
                if not isinstance(record, Mapping | Failed | Filtered):
                    raise TypeError(
                        f"expand returned a {type(record).__name__}, not a mapping"
                    )
                if isinstance(record, Mapping):
                    record = dict(record)
                yield record
        except Exception as error:  # user code may raise anything
            raise SourceError(f"cannot be read: {what_raised(error)}") from error


def _each(records: Any) -> Iterator[Any]:
    """What the user's iterator gives."""
    iterator = call_user(iter, records)
    while (record := call_user(next, iterator, _END)) is not _END:
        yield record


_END = object()
