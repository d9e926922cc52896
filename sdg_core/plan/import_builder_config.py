"""A builder config of NeMo Data Designer as a dataset file of this project."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.load import Reading
from sdg_core.config.people import PersonParams
from sdg_core.config.samplers import DatetimeParams
from sdg_core.plan.load import load_dataset


@dataclass(frozen=True)
class ImportedConfig:
    """The dataset file's text, and the keys of the builder config that mean nothing here.

    added: placeholders for what the builder config leaves to a registry of its library. notes: what is made differently here.
    """

    text: str
    ignored: tuple[str, ...]
    added: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def import_config(path: Path, *, env: Mapping[str, str], untrusted: bool = False) -> ImportedConfig:
    """Read a builder config and write it as a dataset file with every default filled in. Raises ConfigError."""
    loaded = load_dataset(path, env=env, reading=Reading(complete=True), offline=True, untrusted=untrusted)
    data = loaded.config.model_dump(mode="json", exclude_none=True)
    ordered: dict[str, Any] = {
        key: data.pop(key) for key in ("name", "num_records", "row_group_size", "seed") if key in data
    }
    filled = {key: value for key, value in data.items() if value not in ([], {})}
    text = yaml.safe_dump({**ordered, **filled}, sort_keys=False, allow_unicode=True, width=110)
    return ImportedConfig(text, loaded.parsed.ignored, loaded.parsed.added, tuple(_notes(loaded.config)))


def _notes(config: DatasetConfig) -> Iterator[str]:
    """Where the dataset will differ from what Data Designer makes of the same file, on purpose."""
    if config.seed_config is not None:
        yield "seed values stay as they are in templates: 1.10 is not 1.1, and null prints None, not nan"
    samplers = [column for column in config.columns if isinstance(column, SamplerColumn)]
    if any(isinstance(column.params, PersonParams) for column in samplers):
        yield "people are drawn from public name lists; persona texts are short sketches, not NVIDIA's portraits"
    if any(isinstance(column.params, DatetimeParams) for column in samplers):
        yield "datetimes never lie before `start`; Data Designer cuts them off to the unit"
    if config.constraints:
        yield "constrained columns are drawn again together; Data Designer keeps one and draws the other again"
    for column in samplers:
        if len(column.conditional_params) > 1:
            yield f"column {column.name!r}: here the first condition that holds counts, so the order is turned round"
