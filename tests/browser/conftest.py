"""One webserver and daemon for all tests in a browser: the example dataset and a pipeline, in a project of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.assets.test_pipeline import make_project
from tests.support.dagster_process import PROJECT, Server, dagster_server, make_home
from tests.support.location import MODULE
from tests.support.requirements import require_browser


@pytest.fixture(scope="session")
def browser() -> Path:
    return require_browser()


@pytest.fixture(scope="session")
def server(browser: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = make_home(tmp_path_factory.mktemp("ui"), module=MODULE)
    make_project(home)
    dataset = "support_tickets"
    shutil.copytree(
        PROJECT / "sdg_assets" / "defs" / dataset,
        home.directory / "synthetic" / "defs" / dataset,
    )
    with home.instance() as instance:
        instance.add_dynamic_partitions("notes_sources", ["00000", "00001"])
    with dagster_server(home) as running:
        yield running
