"""Calling a function of the user for every row group of a run, so that neither can harm the other.

It is called once a row group's file is durable, in a thread, one call at a time; for complete row groups too, because an earlier
run may have ended before its call. If it fails, no data is lost: the run opens no further row group, finishes those that are
open, and ends with the error.
"""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from sdg_core.dataset.events import RowGroupFinished
from sdg_core.errors import CallbackError
from sdg_core.system.user_calls import await_user, call_user, waiting_for


class RowGroupCallback:
    """The function, or none, and what became of its calls."""

    def __init__(self, function: Callable[[RowGroupFinished], Any] | None) -> None:
        self._function = function
        self._one_at_a_time = asyncio.Lock()
        self._failures: list[tuple[RowGroupFinished, Exception]] = []

    @property
    def failed(self) -> bool:
        """Whether a call has failed."""
        return bool(self._failures)

    async def call(self, event: RowGroupFinished) -> None:
        """Call the function; what it raises is kept for `check`."""
        if self._function is None:
            return
        async with self._one_at_a_time:
            try:
                with waiting_for("on_row_group"):
                    answer = await asyncio.to_thread(call_user, self._function, event)
                    if inspect.isawaitable(answer):
                        await await_user(answer)
            except Exception as error:  # noqa: BLE001 - whatever a user's function raises is the run's to report
                self._failures.append((event, error))

    def check(self) -> None:
        """Raise CallbackError if a call has failed."""
        if not self._failures:
            return
        event, error = self._failures[0]
        keys = [failed.group.key for failed, _ in self._failures]
        raise CallbackError(
            f"on_row_group failed for row group {', '.join(keys)}: {type(error).__name__}: {error}",
            remedy="the row groups are saved; fix the function and run again: it is also called for row "
            "groups that are already complete",
        ) from error
