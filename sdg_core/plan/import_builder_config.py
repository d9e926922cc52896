"""A builder config of NeMo Data Designer as a dataset file of this project."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.load import Reading
from sdg_core.config.people import PersonParams
from sdg_core.config.samplers import DatetimeParams, SamplerParams
from sdg_core.config.yaml_document import dump_document
from sdg_core.plan.load import load_dataset
from sdg_core.plan.types.samplers import listed_values


@dataclass(frozen=True)
class ImportedConfig:
    """The text of the dataset file, and the builder-config keys that have no effect here.

    added: placeholders for providers that the builder config takes from its library's registry. notes: differences
    from Data Designer.
    """

    text: str
    ignored: tuple[str, ...]
    added: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def import_config(
    path: Path, *, env: Mapping[str, str], untrusted: bool = False
) -> ImportedConfig:
    """Read a builder config and write it as a dataset file with every default filled in. Raises ConfigError."""
    loaded = load_dataset(
        path, env=env, reading=Reading(complete=True), offline=True, untrusted=untrusted
    )
    data = loaded.config.model_dump(mode="json", exclude_none=True)
    ordered: dict[str, Any] = {
        key: data.pop(key)
        for key in ("name", "num_records", "row_group_size", "seed")
        if key in data
    }
    filled = {key: value for key, value in data.items() if value not in ([], {})}
    text = dump_document({**ordered, **filled})
    return ImportedConfig(
        text, loaded.parsed.ignored, loaded.parsed.added, tuple(_notes(loaded.config))
    )


def _read_as_numbers(params: SamplerParams) -> Iterator[str]:
    """Texts that another text stands for once JSON has read them: 1.10 becomes 1.1."""
    for value in listed_values(params):
        if not isinstance(value, str):
            continue
        try:
            read = json.loads(value)
        except ValueError:
            continue
        if str(read) != value:
            yield value


def _notes(config: DatasetConfig) -> Iterator[str]:
    """Where the dataset will differ from what Data Designer makes of the same file, on purpose."""
    if config.seed_config is not None:
        yield "seed values stay as they are in templates: 1.10 is not 1.1, and null prints None, not nan"
    samplers = [
        column for column in config.columns if isinstance(column, SamplerColumn)
    ]
    kinds = {type(column.params) for column in samplers}
    if PersonParams in kinds:
        yield "people are drawn from public name lists; persona texts are short sketches, shorter than NVIDIA's"
    if DatetimeParams in kinds:
        yield "datetimes are never before `start`; Data Designer truncates them to the unit"
    if config.constraints:
        yield "constrained columns are redrawn together; Data Designer keeps one and redraws the other"
    for column in samplers:
        read_as_numbers = chain.from_iterable(
            map(_read_as_numbers, column.every_params)
        )
        spoilt = next(read_as_numbers, None)
        if spoilt is not None:
            yield f"column {column.name!r}: {spoilt!r} stays text in templates; Data Designer reads it as JSON"
        if len(column.conditional_params) > 1:
            yield f"column {column.name!r}: the first condition that holds applies here, so the order is reversed"
