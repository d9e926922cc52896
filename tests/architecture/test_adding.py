"""`docs/design/adding.md`, followed: one of each kind that can be added from outside, in one file of the user's own."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from sdg_core import api
from sdg_core.api import pipelines
from tests.support.sdg import PROJECT, stored_records, write_config

PAGE = PROJECT / "docs" / "design" / "adding.md"
OWN = '''
import numpy as np
import polars as pl
import pyarrow as pa
from sdg_core.api import SeedReader
from sdg_core.custom import SourceReader, Stage


def dice(frame):
    """A sampler: as a function of the record index alone."""
    rolls = [np.random.Philox(key=7, counter=int(record)).random_raw() % 6 + 1 for record in frame["record_index"]]
    return frame.with_columns(roll=pl.Series(rolls).cast(pl.Int64))


async def haiku(row, generator_params, models):
    """A column kind: what it reads, makes and asks."""
    text, _ = await models["writer"].agenerate(f"haiku {row['word']} {row['roll']}")
    return {"poem": text, "poem_length": len(text)}


def is_short(frame):
    """A validator."""
    return pl.DataFrame({"is_valid": frame["poem"].str.len_chars() < 100})


class Parrot:
    """A provider."""

    async def complete(self, request):
        return f"re: {request.messages[-1].text}"


class Words(SeedReader):
    """A seed reader."""

    schema = pa.schema([("word", pa.string())])
    num_rows = 3

    def digest(self):
        return "sha256:words"

    def fetch(self, rows):
        return pl.DataFrame({"word": [["moon", "frog", "pond"][row] for row in rows]})


class Lines(SourceReader):
    """A reader of sources."""

    def items(self):
        return ["a b", "c"]

    def expand(self, item):
        yield {"text": item}


class Cut(Stage):
    """A stage."""

    def process(self, record):
        return [{"word": word} for word in record["text"].split()]
'''


def models() -> dict[str, Any]:
    return {
        "model_providers": [
            {"name": "own", "provider_type": "custom", "client": "./own.py:Parrot"}
        ],
        "model_configs": [{"alias": "writer", "model": "m", "provider": "own"}],
    }


def dataset(row_group_size: int) -> dict[str, Any]:
    sampler = {
        "name": "roll",
        "generator_function": "./own.py:dice",
        "output_type": "int",
    }
    sampler["generation_strategy"] = "full_column"
    kind = {
        "name": "poem",
        "generator_function": "./own.py:haiku",
        "required_columns": ["word", "roll"],
        "side_effect_columns": ["poem_length"],
        "side_effect_types": {"poem_length": "int"},
        "model_aliases": ["writer"],
    }
    validator = {
        "column_type": "validation",
        "name": "short",
        "target_columns": ["poem"],
        "validator_type": "local_callable",
        "validator_params": {"validation_function": "./own.py:is_short"},
    }
    columns = [
        {"column_type": "custom", **sampler},
        {"column_type": "custom", **kind},
        validator,
    ]
    seeds = {"source": {"seed_type": "custom", "reader": "./own.py:Words"}}
    size = {"num_records": 5, "row_group_size": row_group_size}
    return {
        "name": "poems",
        **size,
        "columns": columns,
        "seed_config": seeds,
        **models(),
    }


def test_a_file_of_ones_own_adds_a_column_a_sampler_a_validator_a_provider_and_a_reader(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    made = []
    for size in (5, 2):
        file = write_config(tmp_path / "poems.yaml", dataset(size))
        summary = api.generate(api.open_dataset(file, root=str(tmp_path / f"by{size}")))
        assert (summary.generated, summary.remaining) == (5, 0)
        made.append(stored_records(summary.version))
    assert made[0] == made[1], "what is added is a function of the record, too"
    first = made[0][0]
    assert first["word"] == "moon" and 1 <= first["roll"] <= 6
    assert first["poem"] == f"re: haiku moon {first['roll']}" and first[
        "poem_length"
    ] == len(first["poem"])
    assert first["short"]["is_valid"] is True


def test_a_file_of_ones_own_adds_a_stage_and_a_reader_of_sources(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    config = {
        "kind": "pipeline",
        "name": "words",
        "sources": {"reader": "custom", "reader_class": "./own.py:Lines"},
        "stages": [{"stage": "function", "function": "./own.py:Cut"}],
    }
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    pipeline = pipelines.open_pipeline(file, root=str(tmp_path / "data"))
    assert pipelines.generate(pipeline).rows == 3
    rows = pl.read_parquet(tmp_path / "data" / "words" / "*" / "sources" / "*.parquet")
    assert sorted(rows["word"]) == ["a", "b", "c"]


def test_the_page_names_places_that_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:sdg_core|tests)/[\w/.]+)`", text):
        assert (PROJECT / name).exists(), name
    for title in (
        "A column kind",
        "A sampler",
        "A validator",
        "A provider",
        "A seed reader",
        "A processor",
        "A stage",
    ):
        assert f"## {title}" in text
