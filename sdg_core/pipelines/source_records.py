"""The records of one source on their way into the stages: in order, a batch at a time, the first ones read ahead."""

from collections.abc import Iterator
from itertools import islice

from sdg_core.pipelines.readers.base import OpenSource, Record, SourceError


class SourceRecords:
    """The records of an open source, batch by batch. Nothing is read before the first is asked for. Used by one thread at a time.

    Whether the source has changed meanwhile is asked after its last record has been read.
    """

    def __init__(self, opened: OpenSource) -> None:
        self._opened = opened
        self._records: Iterator[Record] | None = None
        self._ahead: list[Record] = []
        self._place = 0
        self._is_read = False
        self._fault: SourceError | None = None

    def read_ahead(self, count: int) -> None:
        """Have so many records, and one more that shows whether there is one, at hand; what is wrong with them `take` raises."""
        try:
            self._fill(count + 1)
        except SourceError as error:
            self._fault = error

    def are_at_hand(self, count: int) -> bool:
        """Whether `take` of so many needs no reading."""
        return self._is_read or self._fault is not None or len(self._ahead) > count

    @property
    def is_open(self) -> bool:
        """Whether reading has started and not come to its end."""
        return self._records is not None and not self._is_read

    def take(self, start: int, count: int) -> tuple[list[Record], bool]:
        """So many records from position `start`, and whether they are the last. Raises SourceError."""
        if self._fault is not None:
            raise self._fault
        before = start - self._place
        if before > 0:  # is in a checkpoint
            self._records = self._records or self._opened.records()
            unread = max(0, before - len(self._ahead))
            for _ in islice(self._records, unread):
                pass
            self._ahead = self._ahead[before:]
        self._fill(count + 1)
        found = self._ahead[:count]
        self._ahead = self._ahead[count:]
        self._place = start + len(found)
        return found, not self._ahead

    def _fill(self, count: int) -> None:
        if self._is_read:
            return
        self._records = self._records or self._opened.records()
        self._ahead += islice(self._records, count - len(self._ahead))
        if len(self._ahead) < count:
            self._is_read = True
            self._opened.check_unchanged()

    def close(self) -> None:
        """Let go of what reading holds open."""
        close = getattr(self._records, "close", None)
        if close is not None:
            close()
