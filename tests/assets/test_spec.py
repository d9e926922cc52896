"""A dataset's definitions, from its file alone."""

from pathlib import Path

from sdg_assets.assets.spec import load_spec
from tests.support.sdg import dataset_config, uuid, write_config


def test_another_dataset_is_an_upstream_asset(tmp_path: Path) -> None:
    """Definitions load from files alone: neither the other dataset nor the reader's code is there."""
    sources = {
        ("other", "dataset"): {"seed_type": "dataset", "dataset": "other"},
        ("docs", "passages"): {"seed_type": "local", "path": "x.csv", "upstream_asset": "docs/passages"},
        None: {"seed_type": "custom", "reader": "./nowhere.py:Reader"},
    }
    for upstream, source in sources.items():
        config = dataset_config(uuid(), seed_config={"source": source})
        spec = load_spec(write_config(tmp_path / "tickets.yaml", config))
        assert [tuple(key.path) for key in spec.upstream] == ([upstream] if upstream else [])
