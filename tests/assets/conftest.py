"""Fixtures of the asset tests: an isolated Dagster instance and storage root."""

from pathlib import Path

import pytest

from tests.support.dagster_process import DagsterHome, make_home
from tests.support.wheel import InstalledWheel, install_wheel


@pytest.fixture
def home(tmp_path: Path) -> DagsterHome:
    """A new instance and root for one test."""
    return make_home(tmp_path)


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory) -> DagsterHome:
    """An instance and root that the tests of a module share."""
    return make_home(tmp_path_factory.mktemp("dagster"))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    """The wheel, installed."""
    return install_wheel(tmp_path_factory.mktemp("installed"))
