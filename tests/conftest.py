"""What every test gets: an environment without the developer's settings, and patience on a busy machine."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.ceph import ceph_server
from tests.support.requirements import LONG
from tests.support.s3 import S3Server, s3_server

settings.register_profile("sdg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sdg")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only the long form has."""
    if LONG:
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
    items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDG_ROOT", "DAGSTER_HOME", "SDG_DEMO_ENDPOINT", "SDG_DEMO_MODEL"):
        monkeypatch.delenv(name, raising=False)


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
