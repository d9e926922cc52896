"""Functions called for each row group: told of every one, and unable to harm the data."""

import asyncio
import threading
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.dataset.events import RowGroupFinished
from sdg_core.errors import CallbackError
from tests.support.sdg import (
    dataset_config,
    llm,
    only_version,
    open_dataset,
    stored_records,
    uuid,
)

CONFIG = dataset_config(uuid(), llm("text", "{{ id }}"), num_records=45)


def opened(tmp_path: Path) -> api.Dataset:
    return open_dataset(tmp_path / "tickets.yaml", CONFIG, root=tmp_path / "root")


def test_it_is_called_for_every_row_group_one_at_a_time_beside_the_run(
    tmp_path: Path,
) -> None:
    seen: list[tuple[int, bool]] = []
    busy = threading.Lock()

    def on_row_group(event: RowGroupFinished) -> None:
        assert busy.acquire(blocking=False), "one call at a time"
        assert event.path.exists() and event.footer.row_group == event.group.index
        assert threading.current_thread() is not threading.main_thread()
        seen.append((event.group.index, event.adopted))
        busy.release()

    dataset = opened(tmp_path)
    api.generate(dataset, row_groups=[1, 3], on_row_group=on_row_group)
    assert sorted(seen) == [(1, False), (3, False)]
    api.generate(dataset, on_row_group=on_row_group)
    assert sorted(seen[2:]) == [
        (0, False),
        (1, True),
        (2, False),
        (3, True),
        (4, False),
    ]


async def test_it_may_be_async(tmp_path: Path) -> None:
    seen = []

    async def on_row_group(event: RowGroupFinished) -> None:
        await asyncio.sleep(0)
        seen.append(event.group.index)

    await api.agenerate(opened(tmp_path), on_row_group=on_row_group)
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_a_failing_call_ends_the_run_with_an_error_and_costs_no_data(
    tmp_path: Path,
) -> None:
    calls: list[int] = []

    def fails_once(event: RowGroupFinished) -> None:
        calls.append(event.group.index)
        if len(calls) == 1:
            raise ValueError("no room in the bucket")

    dataset = opened(tmp_path)
    with pytest.raises(
        CallbackError, match=r"row group 0000\d: ValueError: no room in the bucket"
    ) as raised:
        api.generate(dataset, on_row_group=fails_once)
    assert isinstance(raised.value.__cause__, ValueError)
    assert "run again" in str(raised.value)
    version = only_version(tmp_path / "root")
    saved = version.existing_row_groups()
    assert sorted(calls) == saved, (
        "row groups that were open are finished, saved and told"
    )
    assert not api.row_group_statuses(dataset)[calls[0]].remaining
    assert api.history(dataset)[0].outcome == "failed"

    summary = api.generate(
        dataset, on_row_group=lambda event: calls.append(event.group.index)
    )
    assert summary.adopted == len(saved) and len(stored_records(version)) == 45
    assert sorted(calls[len(saved) :]) == [0, 1, 2, 3, 4], (
        "called again for the row groups that are complete"
    )
