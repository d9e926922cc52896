"""Hugging Face seeds: over a local file system, and with the real library against a stand-in of the hub."""

import builtins
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pytest

from sdg_core.config.seeds import HuggingFaceSeedSource
from sdg_core.errors import SeedError
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.huggingface import open_hugging_face
from tests.support.hub_server import TOKEN, HubServer, serving

ROWS = 2_000_000
FRAME = pl.DataFrame(
    {"row": range(ROWS), "word": np.random.default_rng(0).integers(0, 2**62, ROWS)}
)
ENV = {"HF_TOKEN": TOKEN}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    FRAME.slice(0, 1_900_000).write_parquet(
        tmp_path / "data" / "a.parquet", row_group_size=50_000
    )
    FRAME.slice(1_900_000).write_parquet(tmp_path / "data" / "b.parquet")
    FRAME.head(3).write_csv(tmp_path / "small.csv")
    return tmp_path


@pytest.fixture
def hub(repository: Path) -> Iterator[HubServer]:
    pytest.importorskip("huggingface_hub", reason="the extra [hf] is not installed")
    with serving(repository) as server:
        yield server


def opened(hub: HubServer, path: str, **more: Any) -> SeedReader:
    fields = {"token": "HF_TOKEN", "endpoint": hub.url, **more}
    return open_hugging_face(
        HuggingFaceSeedSource(path=path, **fields), env=ENV, recheck=0
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_parquet_is_read_in_ranges(hub: HubServer, repository: Path) -> None:
    reader = opened(hub, "datasets/u/d/**/*.parquet")
    assert reader.num_rows == ROWS and reader.schema.names == ["row", "word"]
    reader.digest()
    rows = [ROWS - 1, 5, 1_900_000]
    assert reader.read(np.array(rows))["row"].to_list() == rows
    size = sum(path.stat().st_size for path in repository.glob("data/*"))
    assert hub.bytes_served < 0.6 * size
    reader.check_unchanged()


def test_the_digest_is_that_of_the_bytes(hub: HubServer, repository: Path) -> None:
    served = hub.bytes_served
    assert (
        opened(hub, "hf://datasets/u/d/data/b.parquet").digest()
        == f"sha256:{sha256(repository / 'data/b.parquet')}"
    )
    assert hub.bytes_served == served, "the hub knows it"
    assert (
        opened(hub, "datasets/u/d/*.csv").digest()
        == f"sha256:{sha256(repository / 'small.csv')}"
    )


def test_a_file_that_changes_is_named(hub: HubServer, repository: Path) -> None:
    reader = opened(hub, "datasets/u/d/small.csv")
    assert reader.read(np.arange(3))["row"].to_list() == [0, 1, 2]
    FRAME.head(4).write_csv(repository / "small.csv")
    with pytest.raises(
        SeedError, match=r"hf://datasets/u/d/small\.csv changed while it was being read"
    ):
        reader.check_unchanged()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"path": "datasets/u/d/*.json"},
            r"no file matches hf://datasets/u/d/\*\.json",
        ),
        ({"path": "datasets/u/d/small.csv", "token": None}, "repository not found"),
        ({"path": "datasets/u/none/*.csv"}, "repository not found"),
        (
            {"path": "datasets/u/d/*.csv", "endpoint": "http://127.0.0.1:1"},
            "127.0.0.1:1: .*",
        ),
    ],
)
def test_what_the_hub_refuses_is_said(
    hub: HubServer, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(SeedError, match=message) as caught:
        opened(hub, **fields)
    assert TOKEN not in str(caught.value)


def test_a_token_that_is_not_set_is_named(repository: Path) -> None:
    source = HuggingFaceSeedSource(path="datasets/u/d/x.csv", token="HF_TOKEN")
    with pytest.raises(SeedError, match="environment variable HF_TOKEN is not set"):
        open_hugging_face(source, env={})


def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SeedError, match=r"pip install 'sdg-dagster\[hf\]'"):
        open_hugging_face(HuggingFaceSeedSource(path="datasets/u/d/x.csv"), env={})


def test_listings_are_asked_for_anew_only_now_and_then(repository: Path) -> None:
    folder = repository.rename(repository.with_name("hub"))
    (folder / "datasets/u").mkdir(parents=True)
    (folder / "data").rename(folder / "datasets/u/d")
    files = fsspec.filesystem(
        "dir", path=str(folder), target_protocol="file", skip_instance_cache=True
    )
    asked: list[str] = []
    files.invalidate_cache = lambda path=None: asked.append("")
    source = HuggingFaceSeedSource(path="datasets/u/d/*.parquet")
    for recheck, times in ((60, 0), (0, 4)):
        asked.clear()
        reader = open_hugging_face(
            source, env={}, connect=lambda source, token: files, recheck=recheck
        )
        reader.check_unchanged()
        assert len(asked) == times
