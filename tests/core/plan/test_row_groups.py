"""Row groups: an exact split of the records, and the texts that name some of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.errors import PlanError
from sdg_core.plan.row_groups import (
    MAX_ROW_GROUPS,
    RowGroup,
    Shard,
    contiguous_ranges,
    format_ranges,
    parse_row_groups,
    plan_row_groups,
    row_group_count,
    row_group_key,
)

INDICES = st.lists(st.integers(0, 200), max_size=60)


@given(st.integers(1, 5000), st.integers(1, 700))
def test_groups_cover_every_record_once_and_only_the_last_is_smaller(
    num_records: int, size: int
) -> None:
    groups = plan_row_groups(num_records, size)
    assert [i for group in groups for i in range(group.start, group.stop)] == list(
        range(num_records)
    )
    assert [group.index for group in groups] == list(
        range(row_group_count(num_records, size))
    )
    assert (
        all(group.size == size for group in groups[:-1]) and 0 < groups[-1].size <= size
    )


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 300))
def test_extension_keeps_every_group_but_the_last(
    few: int, more: int, size: int
) -> None:
    before, after = plan_row_groups(few, size), plan_row_groups(few + more, size)
    assert after[: len(before) - 1] == before[:-1]
    assert after[len(before) - 1].start == before[-1].start


def test_keys_have_a_fixed_width_and_sort_like_indices() -> None:
    assert [row_group_key(i) for i in (0, 7, 99_999)] == ["00000", "00007", "99999"]
    assert RowGroup(3, 30, 10).key == "00003"


def test_too_many_groups_and_a_size_that_fits() -> None:
    assert len(plan_row_groups(MAX_ROW_GROUPS, 1)) == MAX_ROW_GROUPS
    with pytest.raises(
        PlanError,
        match="100,001 row groups of 1, at most 100,000; use row_group_size 2 or more",
    ):
        plan_row_groups(MAX_ROW_GROUPS + 1, 1)


@pytest.mark.parametrize("num_records", [0, -1])
def test_no_records_are_refused(num_records: int) -> None:
    with pytest.raises(PlanError, match="at least 1 record"):
        plan_row_groups(num_records, 10)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("0", (0,)),
        ("0-2,5", (0, 1, 2, 5)),
        (" 5 , 1 - 2 ", (1, 2, 5)),
        ("3,3,2-3", (2, 3)),
        ("00007", (7,)),
        ("9", (9,)),
    ],
)
def test_row_groups_as_text(text: str, indices: tuple[int, ...]) -> None:
    assert parse_row_groups(text, 10) == indices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read ''"),
        ("a", "cannot read 'a'"),
        ("1,,2", "cannot read ''"),
        ("-1", "cannot read '-1'"),
        ("1-", "cannot read '1-'"),
        ("1.5", "cannot read"),
        ("3-1", "is reversed"),
        ("10", "row group 10 does not exist\n  -> this dataset has 0 to 9"),
        ("0-99999999999", "row group 99999999999 does not exist"),
    ],
)
def test_text_that_names_no_row_groups(text: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_row_groups(text, 10)
    assert message in str(caught.value) and repr(text) in str(caught.value)


@given(INDICES)
def test_ranges_as_text_can_be_read_back(indices: list[int]) -> None:
    text = format_ranges(indices)
    assert (parse_row_groups(text, 1000) if indices else text) == (
        tuple(sorted(set(indices))) if indices else "none"
    )


@given(INDICES, st.none() | st.integers(1, 7))
def test_ranges_are_contiguous_bounded_and_complete(
    indices: list[int], at_most: int | None
) -> None:
    ranges = contiguous_ranges(indices, at_most=at_most)
    assert [i for first, last in ranges for i in range(first, last + 1)] == sorted(
        set(indices)
    )
    assert at_most is None or all(last - first < at_most for first, last in ranges)


@given(st.integers(1, 40), st.integers(0, 200), st.integers(0, 50))
def test_slices_are_everything_once_even_and_stay_when_a_dataset_grows(
    count: int, groups: int, more: int
) -> None:
    slices = [Shard(index, count).of(range(groups)) for index in range(count)]
    assert sorted(item for part in slices for item in part) == list(range(groups))
    assert max(map(len, slices)) - min(map(len, slices)) <= 1
    grown = [Shard(index, count).of(range(groups + more)) for index in range(count)]
    assert all(
        later[: len(part)] == part for part, later in zip(slices, grown, strict=True)
    )


@given(
    st.integers(1, 10**6).flatmap(
        lambda n: st.tuples(st.integers(0, n - 1), st.just(n))
    )
)
def test_a_slice_is_read_as_it_is_written(pair: tuple[int, int]) -> None:
    shard = Shard(*pair)
    assert (
        Shard.parse(str(shard))
        == Shard.parse(f" {shard.index} / {shard.count} ")
        == shard
    )


@pytest.mark.parametrize("pair", [(-1, 2), (2, 2), (0, 0), (0, -1), (1, 1)])
def test_a_slice_that_does_not_exist_cannot_be_made(pair: tuple[int, int]) -> None:
    with pytest.raises(PlanError, match="slices"):
        Shard(*pair)


def test_there_may_be_more_slices_than_row_groups() -> None:
    assert [Shard(index, 2 * 10**6).of(range(3)) for index in (0, 2, 3, 10**6)] == [
        [0],
        [2],
        [],
        [],
    ]
    assert Shard.parse("01/02") == Shard(1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("3", "cannot be read"),
        ("/8", "cannot be read"),
        ("3/", "cannot be read"),
        ("/", "check that they are set"),
        ("-1/8", "cannot be read"),
        ("1/-8", "cannot be read"),
        ("1.0/8", "cannot be read"),
        ("1/8/2", "cannot be read"),
        ("1 of 8", "cannot be read"),
        ("\N{ARABIC-INDIC DIGIT ONE}/8", "cannot be read"),
        ("0/0", "a count below 1 leaves no slices"),
        ("8/8", "there are 0/8 to 7/8"),
        ("1/1", "there are 0/1 alone"),
        ("1/0", "a count below 1 leaves no slices"),
        (f"1/{'9' * 5000}", "cannot be read"),
        ("9/8", "slice 9 does not exist"),
    ],
)
def test_text_that_names_no_slice(text: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        Shard.parse(text)
    assert message in str(caught.value) and repr(text) in str(caught.value)
