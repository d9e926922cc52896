"""A run changes how often garbage is collected only for as long as it lasts, and never switches collecting on."""

import gc
from collections.abc import Iterator

import pytest

from sdg_core.system.gc_pause import NEW_OBJECTS, relaxed_gc


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(
    ("before", "during"),
    [(700, NEW_OBJECTS), (NEW_OBJECTS + 1, NEW_OBJECTS + 1), (0, 0)],
)
def test_collections_are_rarer_for_as_long_as_it_lasts(
    before: int, during: int
) -> None:
    gc.set_threshold(before, 10, 10)
    with pytest.raises(ZeroDivisionError), relaxed_gc():
        assert gc.get_threshold() == (during, 10, 10)
        raise ZeroDivisionError
    assert gc.get_threshold() == (before, 10, 10)


def test_overlapping_runs_leave_things_as_they_were() -> None:
    gc.set_threshold(700, 10, 10)
    one, other = relaxed_gc(), relaxed_gc()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold()[0] == NEW_OBJECTS
    other.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)
