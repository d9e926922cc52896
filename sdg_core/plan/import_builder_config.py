"""A builder config of NeMo Data Designer as a dataset file of this project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sdg_core.plan.load import load_dataset


@dataclass(frozen=True)
class ImportedConfig:
    """The dataset file's text, and the keys of the builder config that mean nothing here."""

    text: str
    ignored: tuple[str, ...]


def import_config(path: Path, *, env: Mapping[str, str]) -> ImportedConfig:
    """Read a builder config and write it as a dataset file with every default filled in. Raises ConfigError."""
    loaded = load_dataset(path, env=env)
    data = loaded.config.model_dump(mode="json", exclude_none=True)
    ordered: dict[str, Any] = {
        key: data.pop(key) for key in ("name", "num_records", "row_group_size", "seed") if key in data
    }
    filled = {key: value for key, value in data.items() if value not in ([], {})}
    text = yaml.safe_dump({**ordered, **filled}, sort_keys=False, allow_unicode=True, width=110)
    return ImportedConfig(text, loaded.parsed.ignored)
