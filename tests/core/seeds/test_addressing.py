import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.config.seeds import IndexRange, PartitionBlock, SeedConfig
from sdg_core.errors import SeedError
from sdg_core.seeds.addressing import permute, seed_rows, selected_range


def _config(
    strategy: str = "shuffle", selection: dict[str, int] | None = None
) -> SeedConfig:
    source = {"seed_type": "local", "path": "x.csv"}
    return SeedConfig.model_validate(
        {
            "source": source,
            "sampling_strategy": strategy,
            "selection_strategy": selection,
        },
    )


@pytest.mark.parametrize("first", range(1, 5001, 500))
def test_permute_is_a_bijection_for_every_size(first: int) -> None:
    for size in range(first, first + 500):
        out = permute(np.arange(size), size=size, key=size.to_bytes(64, "little"))
        assert np.array_equal(np.sort(out), np.arange(size)), size


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 200_000), key=st.binary(min_size=64, max_size=64))
def test_permute_is_a_bijection_for_every_key(size: int, key: bytes) -> None:
    out = permute(np.arange(size), size=size, key=key)
    assert len(np.unique(out)) == size
    assert out.min() == 0
    assert out.max() == size - 1


def test_permute_leaves_its_input_alone() -> None:
    values = np.arange(10)
    permute(values, size=10, key=bytes(64))
    assert values.tolist() == list(range(10))


def test_every_place_is_equally_likely_over_keys() -> None:
    size, keys = 10, 4000
    counts = np.zeros((size, size))
    rng = np.random.default_rng(1)
    for _ in range(keys):
        counts[
            np.arange(size), permute(np.arange(size), size=size, key=rng.bytes(64))
        ] += 1
    expected = keys / size
    assert ((counts - expected) ** 2 / expected).sum() < 81 + 5 * (2 * 81) ** 0.5


@settings(deadline=None)
@given(size=st.integers(1, 60), passes=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_every_seed_row_comes_up_once_per_pass(
    size: int, passes: int, seed: int
) -> None:
    rows = seed_rows(
        np.arange(size * passes), config=_config(), num_rows=size, seed=seed
    )
    for number in range(passes):
        assert sorted(rows[number * size : (number + 1) * size].tolist()) == list(
            range(size)
        )


def test_passes_and_seeds_differ() -> None:
    rows = seed_rows(np.arange(200), config=_config(), num_rows=100, seed=7)
    assert rows[:100].tolist() != rows[100:].tolist()
    assert (
        rows.tolist()
        != seed_rows(np.arange(200), config=_config(), num_rows=100, seed=8).tolist()
    )
    assert rows[:100].tolist() != list(range(100))


@settings(deadline=None)
@given(
    wanted=st.lists(st.integers(0, 500)),
    strategy=st.sampled_from(["ordered", "shuffle"]),
)
def test_a_record_takes_the_same_row_whoever_asks(
    wanted: list[int], strategy: str
) -> None:
    config = _config(strategy, {"start": 3, "end": 39})
    whole = seed_rows(np.arange(501), config=config, num_rows=40, seed=7)
    part = seed_rows(np.array(wanted, np.int64), config=config, num_rows=40, seed=7)
    assert part.tolist() == whole[np.array(wanted, np.int64)].tolist()


def test_ordered_wraps_around() -> None:
    rows = seed_rows(np.arange(7), config=_config("ordered"), num_rows=3, seed=0)
    assert rows.tolist() == [0, 1, 2, 0, 1, 2, 0]
    far = seed_rows(
        np.array([3 * 10**12 + 1]), config=_config("ordered"), num_rows=3, seed=0
    )
    assert far.tolist() == [1]


def test_ordered_wraps_around_inside_a_selection() -> None:
    rows = seed_rows(
        np.arange(5),
        config=_config("ordered", {"start": 4, "end": 5}),
        num_rows=9,
        seed=0,
    )
    assert rows.tolist() == [4, 5, 4, 5, 4]


def test_index_range_includes_its_end() -> None:
    assert selected_range(10, IndexRange(start=2, end=9)) == (2, 8)
    assert selected_range(10, IndexRange(start=2, end=2)) == (2, 1)


def test_index_range_outside_the_data_is_refused() -> None:
    with pytest.raises(SeedError, match="end 10 is outside.*\n.*last index is 9"):
        selected_range(10, IndexRange(start=2, end=10))


@settings(deadline=None)
@given(num_rows=st.integers(1, 500), parts=st.integers(1, 500))
def test_partitions_cover_the_data_once_and_the_last_takes_the_remainder(
    num_rows: int, parts: int
) -> None:
    if parts > num_rows:
        with pytest.raises(SeedError, match=rf"use at most {num_rows} partitions?$"):
            selected_range(num_rows, PartitionBlock(index=0, num_partitions=parts))
        return
    blocks = [
        selected_range(num_rows, PartitionBlock(index=i, num_partitions=parts))
        for i in range(parts)
    ]
    assert [
        row for first, count in blocks for row in range(first, first + count)
    ] == list(range(num_rows))
    assert {count for _, count in blocks[:-1]} <= {num_rows // parts}


def test_no_rows_at_all_is_refused() -> None:
    assert selected_range(4, None) == (0, 4)
    with pytest.raises(SeedError, match="no rows"):
        selected_range(0, None)
