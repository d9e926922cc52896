"""The order of the suite names files that exist."""

from tests.conftest import SLOWEST_FIRST, TESTS


def test_files_that_start_first_exist() -> None:
    assert [name for name in SLOWEST_FIRST if not (TESTS / name).is_file()] == []
