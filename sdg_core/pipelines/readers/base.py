"""What a source is: something with a name for good, a version that is its content's, and records.

A source is light: a name and where to look. Opening it fixes its version; its records are then read in order, a few at a time,
so that no source has to fit in memory. Whether it stayed what it was is asked again after the last record.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from sdg_core.custom import Failed, Filtered

SOURCE_COLUMN = "source"
MAX_RECORD_BYTES = 256 * 2**20
"""The largest text, line or document that becomes one record; what is larger fails instead of filling the memory."""

Record = Mapping[str, Any] | Failed | Filtered
"""The values of a record, or why it has none: it cannot be read, or there is nothing in it."""


class SourceError(Exception):
    """A source that cannot be read as what it should be, or whose rows cannot be written (`kind` is `output`); the message says
    what is wrong, and what to do."""

    def __init__(self, message: str, *, kind: str = "read") -> None:
        super().__init__(message)
        self.kind = kind


class OpenSource(ABC):
    """A source as it is now. Used by one thread at a time."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Identifies the content. Raises SourceError if it cannot be read."""

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """What the source holds, in an order that its version fixes. Raises SourceError."""

    def check_unchanged(self) -> None:
        """Raise SourceError if what was read may be of another version. Called after the last record."""
        return


class Source(ABC):
    """key: its name for good. locator: what people call it, such as its path relative to the config's directory."""

    __slots__ = ("key", "locator")

    def __init__(self, key: str, locator: str) -> None:
        self.key = key
        self.locator = locator

    @abstractmethod
    def open(self) -> OpenSource:
        """The source as it is now. Raises SourceError if it cannot be opened."""

    def is_quick(self) -> bool:
        """Whether opening it and reading its first records takes no longer than a moment, so that others can wait for it."""
        return False


class UnreadSource(Source):
    """A source that somebody found before; nobody looks for it now."""

    __slots__ = ()

    def open(self) -> OpenSource:
        """Raises SourceError."""
        raise SourceError("was not read; open the pipeline without offline=True")


def opened(source: Source) -> tuple[OpenSource | SourceError, str]:
    """A source as it is now, or why it cannot be read; and its version, empty if that cannot be told."""
    try:
        found = source.open()
        return found, found.version
    except SourceError as error:
        return error, ""


def changed() -> SourceError:
    """The error for a source whose content was replaced between its first record and its last."""
    return SourceError(
        "changed while it was being read; run again to read the new content"
    )
