"""What is done for many partitions and sources at once holds for each of them: claims, first records, the switch."""

import gc
from pathlib import Path

import pytest

from sdg_core.errors import ClaimLostError
from sdg_core.pipelines.readers.base import OpenSource, Record, SourceError
from sdg_core.pipelines.source_records import SourceRecords
from sdg_core.system.gc_pause import NEW_OBJECTS
from tests.support.pipelines import Project, check_accounts

THIEF = """
import sqlite3
import gc
from pathlib import Path

LEDGER = Path(__file__).parent / "data" / ".sdg" / "ledger.db"

def steal(record):
    if record["content"] == "victim" and not Path(__file__).with_name("stolen").exists():
        Path(__file__).with_name("stolen").touch()
        with sqlite3.connect(LEDGER, timeout=60) as ledger:
            ledger.execute("UPDATE claims SET token = token + 1, holder = 'thief', expires_at = 0 WHERE unit = '00001'")
    return record
"""


@pytest.mark.parametrize("wait", [0.0, 2.0], ids=["each at once", "as one group"])
def test_a_partition_whose_claim_is_lost_is_not_published_and_others_are_whole(
    tmp_path: Path, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdg_core.pipelines.publisher.TICK", wait)
    (tmp_path / "own.py").write_text(THIEF, encoding="utf-8")
    project = Project(tmp_path, [{"stage": "function", "function": "./own.py:steal"}])
    project.write(a="one", b="victim", c="three")
    with pytest.raises(ClaimLostError, match="taken over"):
        project.generate()
    published = [row["content"] for row in project.rows()]
    assert "victim" not in published
    if wait:
        assert published == ["one", "three"]
    project.generate()
    assert [row["content"] for row in project.rows()] == ["one", "victim", "three"]
    check_accounts(project.footers())


class _Numbers(OpenSource):
    """So many records, then an error if there is one. changed: noticed after the last."""

    def __init__(
        self, count: int, *, fault: str | None = None, changed: bool = False
    ) -> None:
        self.count = count
        self.fault = fault
        self.changed = changed

    version = "1"

    def records(self):  # type: ignore[no-untyped-def]
        for number in range(self.count):
            yield {"n": number}
        if self.fault is not None:
            raise SourceError(self.fault)

    def check_unchanged(self) -> None:
        if self.changed:
            raise SourceError("changed")


def numbers(taken: tuple[list[Record], bool]) -> tuple[list[int], bool]:
    records, last = taken
    return [record["n"] for record in records if isinstance(record, dict)], last


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_records_come_in_order_with_or_without_reading_ahead(
    count: int, ahead: bool
) -> None:
    records = SourceRecords(_Numbers(count))
    if ahead:
        records.read_ahead(2)
        assert records.are_at_hand(2)
    found: list[int] = []
    last = False
    while not last:
        batch, last = numbers(records.take(len(found), 2))
        found += batch
    assert found == [*range(count)] and not records.is_open


def test_records_before_a_checkpoint_are_passed_over() -> None:
    assert numbers(SourceRecords(_Numbers(9)).take(6, 2)) == ([6, 7], False)
    records = SourceRecords(_Numbers(9))
    records.take(0, 2)
    assert numbers(records.take(6, 3)) == ([6, 7, 8], True)


@pytest.mark.parametrize(
    "source", [_Numbers(2, fault="broken"), _Numbers(2, changed=True)]
)
def test_what_is_wrong_with_records_read_ahead_is_said_when_they_are_taken(
    source: OpenSource,
) -> None:
    records = SourceRecords(source)
    records.read_ahead(5)
    with pytest.raises(SourceError):
        records.take(0, 5)


def test_a_run_collects_garbage_less_often(tmp_path: Path) -> None:
    project = Project(tmp_path, [])
    project.write(a="one")
    before = gc.get_threshold()
    seen: list[int] = []
    project.generate(on_partition=lambda partition: seen.append(gc.get_threshold()[0]))
    assert seen == [max(before[0], NEW_OBJECTS)] and gc.get_threshold() == before
