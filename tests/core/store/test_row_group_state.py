"""The classifier: the state table of the design, as examples and as a property against a second wording of it."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.errors import CorruptFileError, UnrecognizedFileError
from sdg_core.plan.row_groups import RowGroup
from sdg_core.store.row_group_state import (
    RowGroupState,
    RowGroupStatus,
    classify,
    scan_row_groups,
)
from sdg_core.store.row_groups import Footer
from tests.core.store.test_row_groups import footer, table_of
from tests.support.sdg import dataset_config, open_dataset, uuid

GROUP = RowGroup(3, 30, 10)


def state_of(
    found: Any, *, group: RowGroup = GROUP, earlier: bool = False
) -> RowGroupStatus:
    return classify(
        group,
        found,
        dataset="tickets",
        config_hash="sha256:00",
        in_earlier_version=earlier,
    )


def test_missing_and_stale() -> None:
    assert state_of(None).state is RowGroupState.MISSING
    assert state_of(None, earlier=True).state is RowGroupState.STALE
    assert list(state_of(None).remaining) == list(range(30, 40))


def test_complete_whatever_lies_in_earlier_versions() -> None:
    for earlier in (False, True):
        status = state_of(footer(), earlier=earlier)
        assert (status.state, list(status.remaining), status.footer) == (
            RowGroupState.COMPLETE,
            [],
            footer(),
        )


def test_partial_for_failed_records_and_for_an_extension() -> None:
    assert state_of(footer(missing=[31, 38])).remaining == (31, 38)
    extended = state_of(footer(size=6, missing=[31]))
    assert (extended.state, extended.remaining) == (
        RowGroupState.PARTIAL,
        (31, 36, 37, 38, 39),
    )


def test_corrupt_is_unreadable_or_in_the_wrong_place() -> None:
    assert state_of(CorruptFileError("torn")).reason == "torn"
    foreign = state_of(UnrecognizedFileError("whose?"))
    assert (foreign.state, foreign.foreign, foreign.reason) == (
        RowGroupState.CORRUPT,
        True,
        "whose?",
    )
    for change in (
        {"dataset": "other"},
        {"config_hash": "sha256:99"},
        {"row_group": 4},
        {"start": 40},
    ):
        status = state_of(footer(**change))
        assert (
            status.state is RowGroupState.CORRUPT
            and not status.foreign
            and status.footer is None
        )
        assert next(iter(change)) in str(status.reason)
        assert list(status.remaining) == list(range(30, 40))


@st.composite
def groups_and_files(draw: st.DrawFn) -> tuple[RowGroup, Footer]:
    size = draw(st.integers(1, 12))
    index = draw(st.integers(0, 5))
    group = RowGroup(index, index * 12, size)
    written = draw(st.integers(1, size))
    missing = draw(
        st.sets(st.integers(group.start, group.start + written - 1)).map(sorted)
    )
    return group, footer(
        row_group=index, start=group.start, size=written, missing=missing
    )


@given(groups_and_files())
def test_a_file_in_its_place_lacks_exactly_the_planned_records_that_it_has_no_row_for(
    case: tuple[RowGroup, Footer],
) -> None:
    group, found = case
    status = state_of(found, group=group)
    planned = set(range(group.start, group.stop))
    assert set(status.remaining) == planned - set(found.records().tolist())
    assert list(status.remaining) == sorted(set(status.remaining))
    assert status.state is (
        RowGroupState.PARTIAL if status.remaining else RowGroupState.COMPLETE
    )
    assert status.footer == found


def test_a_scan_tells_every_state_from_real_files(tmp_path: Path) -> None:
    path = tmp_path / "tickets.yaml"
    old = open_dataset(path, dataset_config(uuid("old"), num_records=60), root=tmp_path)
    api.generate(old, row_groups=[5])
    dataset = open_dataset(path, dataset_config(uuid(), num_records=44), root=tmp_path)
    version = api.generate(dataset, row_groups=[0, 2, 4]).version
    dataset = open_dataset(path, dataset_config(uuid(), num_records=60), root=tmp_path)
    version.row_group(0).write_bytes(version.row_group(0).read_bytes()[:-9])
    version.row_group(3).write_bytes(version.row_group(2).read_bytes())
    pq.write_table(table_of([1]), version.row_group(1))
    (version.row_groups / "batch_3.parquet").write_bytes(
        b"has no name of ours, so it is not looked at"
    )
    names = [status.state.value for status in api.row_group_statuses(dataset)]
    assert names == ["corrupt", "corrupt", "complete", "corrupt", "partial", "stale"]
    assert [s.foreign for s in scan_row_groups(version, dataset.plan)] == [
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    assert scan_row_groups(version, dataset.plan)[5].state is RowGroupState.MISSING

    report = api.status(dataset).to_dict()
    assert report["states"]["corrupt"] == {
        "count": 3,
        "keys": ["00000", "00001", "00003"],
    }
    assert report["records"] == {
        "target": 60,
        "actual": 14,
        "remaining": 46,
        "waiting": 0,
        "lacking": 46,
    }
    assert len(report["faults"]) == 3 and report["faults"][1].startswith(
        "row group 00001: "
    )
