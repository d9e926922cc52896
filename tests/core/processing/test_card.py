"""A finished version loads as a directory, in the libraries that people use, and says how it was made."""

from io import BytesIO
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from sdg_core import api
from sdg_core.processing.card import dataset_card
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    uuid,
)

CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {"messages": [{"role": "user", "content": "{{ text }}"}]},
}
KEEP = {"processor_type": "filter", "name": "free", "keep": "{{ plan == 'free' }}"}
COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    {**llm("text", "about {{ plan }}"), "description": "one | two\nthree"},
    expression("n", "{{ plan | length }}", dtype="int", drop=True),
)


def opened(tmp_path: Path, *processors: dict[str, Any], **top: Any) -> api.Dataset:
    config = dataset_config(*COLUMNS, processors=list(processors), **top)
    return open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")


def header(card: str) -> dict[str, Any]:
    _, block, _ = card.split("---\n", 2)
    found = yaml.safe_load(block)
    assert isinstance(found, dict)
    return found


def test_the_version_directory_loads_in_datasets_polars_and_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    dataset = opened(tmp_path, CHAT, KEEP)
    api.generate(dataset)
    version = api.process(dataset).version
    expected = pq.read_table(version.processed_dataset).to_pylist()
    assert 0 < len(expected) < 25
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(str(version.directory), cache_dir=cache)
    assert list(loaded) == ["train"] and loaded["train"].to_list() == expected
    chat = datasets.load_dataset(str(version.directory), "chat", cache_dir=cache)[
        "train"
    ].to_list()
    assert [row["messages"][0]["content"] for row in chat] == [
        row["text"] for row in expected
    ]
    files = str(version.processed_dataset / "*.parquet")
    assert pl.read_parquet(files).to_dicts() == expected
    assert duckdb.sql(f"SELECT id FROM '{files}'").fetchall() == [
        (row["id"],) for row in expected
    ]
    assert (
        pd.read_parquet(str(version.processed_dataset)).to_dict("records") == expected
    )


def test_images_load_as_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset names them by their paths; beside it they are inside of the rows, which is what loads without a name."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    image = {
        "column_type": "image",
        "name": "pic",
        "model_alias": "painter",
        "prompt": "{{ id }}",
    }
    skipped = {**image, "name": "extra", "skip": {"when": "{{ plan == 'pro' }}"}}
    config = dataset_config(
        *COLUMNS[:2], image, skipped, num_records=60, row_group_size=55
    )
    config["model_providers"] = [{"name": "p", "provider_type": "simulated"}]
    parameters = {"generation_type": "image"}
    config["model_configs"] = [
        {
            "alias": "painter",
            "model": "m",
            "provider": "p",
            "inference_parameters": parameters,
        }
    ]
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    api.generate(dataset)
    version = api.process(dataset).version
    rows = pq.read_table(version.processed_dataset).to_pylist()
    loaded = datasets.load_dataset(
        str(version.directory), cache_dir=str(tmp_path / "cache")
    )["train"]
    assert (
        loaded.features["pic"]
        == loaded.features["extra"]
        == datasets.List(datasets.Image())
    )
    assert len(loaded) == 60
    for row, shown in zip(rows, loaded, strict=True):
        assert {name: shown[name] for name in ("id", "plan")} == {
            name: row[name] for name in ("id", "plan")
        }
        assert (shown["extra"] is None) == (row["plan"] == "pro")
        (path,) = row["pic"]
        (image,) = shown["pic"]
        assert isinstance(image, Image.Image) and image.size[0] > 0
        content = (Path(str(version.directory)) / path).read_bytes()
        assert image.tobytes() == Image.open(BytesIO(content)).tobytes()
    files = str(version.processed / "dataset_with_pictures" / "*.parquet")
    assert pl.read_parquet(files)["pic"].list.first().struct.field(
        "path"
    ).to_list() == [row["pic"][0] for row in rows]
    assert duckdb.sql(f"SELECT count(pic[1].bytes) FROM '{files}'").fetchall() == [
        (60,)
    ]
    assert len(pd.read_parquet(str(version.processed / "dataset_with_pictures"))) == 60
    assert "| `pic` | images | image |" in version.card.read_text()
    assert api.process(dataset).already_done

    (Path(str(version.directory)) / rows[7]["pic"][0]).unlink()
    api.reopen(dataset)
    with pytest.raises(
        api.SdgError, match=r"the image images/pic/7.png no longer exists"
    ):
        api.process(dataset)


def test_the_card_says_how_the_dataset_was_made(tmp_path: Path) -> None:
    dataset = opened(
        tmp_path, KEEP, license="cc-by-4.0", description="Tickets of a shop."
    )
    api.generate(dataset)
    result = api.process(dataset)
    card = result.version.card.read_text()
    assert header(card)["license"] == "cc-by-4.0" and header(card)[
        "size_categories"
    ] == ["n<1K"]
    assert "Tickets of a shop." in card and "Replies are simulated" in card
    assert dataset.plan.fingerprint.config_hash in card
    assert (
        f"`free` (template): {result.num_rows} records kept, {25 - result.num_rows} removed"
        in card
    )
    assert "| `text` | string | llm-text | one \\| two three |" in card
    assert "`n`" not in card, "a dropped column is not in the dataset"
    api.reopen(dataset)
    assert not result.version.card.exists()


def test_an_output_named_default_keeps_its_name(tmp_path: Path) -> None:
    dataset = opened(tmp_path, {**CHAT, "name": "default"})
    api.generate(dataset)
    configs = header(api.process(dataset).version.card.read_text())["configs"]
    assert [(c["config_name"], c.get("default", False)) for c in configs] == [
        ("dataset", True),
        ("default", False),
    ]
    assert "license" not in header(api.process(dataset).version.card.read_text())


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (10**6, "1M<n<10M"),
        (10**9, "n>1B"),
        (0, None),
    ],
)
def test_the_size_has_the_hubs_name(
    tmp_path: Path, rows: int, category: str | None
) -> None:
    card = dataset_card(
        opened(tmp_path).plan, num_rows=rows, transforms=[], outcomes=[]
    )
    assert header(card).get("size_categories") == ([category] if category else None)
