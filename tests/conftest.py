"""What every test gets: an environment without the developer's settings, and patience on a busy machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.ceph import ceph_server
from tests.support.requirements import LONG
from tests.support.s3 import S3Server, s3_server

TESTS = Path(__file__).parent

SETTINGS = ("SDG_ROOT", "DAGSTER_HOME", "SDG_DEMO_ENDPOINT", "SDG_DEMO_MODEL")
# Before any fixture: `make` sets DAGSTER_HOME, where the relative paths of every instance would start.
for _name in SETTINGS:
    os.environ.pop(_name, None)

# The same examples on every run: one that fails is found by the change that brings it. The long form looks for new ones.
settings.register_profile(
    "sdg",
    deadline=None,
    derandomize=not LONG,
    # hypothesis tries 100 unless it is told otherwise; without new ones, more add little.
    max_examples=100 if LONG else 60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("sdg")


SLOWEST_FIRST = (
    "deploy/test_ray.py",
    "assets/test_interruption.py",
    "deploy/test_slurm.py",
    "assets/test_backfills.py",
    "deploy/test_celery.py",
    "assets/test_rejection.py",
    "assets/test_postgres.py",
    "browser/test_backfill_in_ui.py",
    "assets/test_materialize.py",
    "crash/test_campaign.py",
    "contracts/test_stage_executor.py",
    "crash/test_kill.py",
    "assets/test_definitions.py",
    "assets/test_object_store.py",
    "contracts/test_store.py",
    "hostile/test_atheris.py",
)
"""Files that wait or compute for the longest, in that order: whatever starts last decides when the suite ends. Those that need a
Ray cluster are far apart, because there is one at a time."""


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what only the long form has, and start with the files that take longest."""
    items.sort(key=_rank)
    if LONG:
        return
    config.hook.pytest_deselected(
        items=[item for item in items if item.get_closest_marker("long")]
    )
    items[:] = [item for item in items if not item.get_closest_marker("long")]


def _rank(item: pytest.Item) -> int:
    """The place of an item's file in SLOWEST_FIRST; all others come after these, in the order in which they were."""
    name = item.path.relative_to(TESTS).as_posix()
    return SLOWEST_FIRST.index(name) if name in SLOWEST_FIRST else len(SLOWEST_FIRST)


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3Server]:
    """One S3 server for all tests; each makes a bucket of its own."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(running_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with this process's environment as that of a client of it."""
    return _used(running_s3, monkeypatch)


@pytest.fixture(scope="session")
def running_ceph() -> Iterator[S3Server]:
    """One Ceph gateway for all tests; each makes a bucket of its own."""
    with ceph_server() as server:
        yield server


@pytest.fixture
def ceph(running_ceph: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The gateway, with this process's environment as that of a client of it."""
    return _used(running_ceph, monkeypatch)


def _used(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return server
