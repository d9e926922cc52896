"""What a drift error says: the field, the file, the function that changed."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from sdg_core import api
from sdg_core.dataset.drift import describe_drift
from sdg_core.errors import ConfigDriftError
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    uuid,
)

BASE = dataset_config(
    uuid(), category("plan", "free", "pro"), llm("text", "about {{ plan }}")
)


class Edits:
    """A dataset that is generated, edited, and compared."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, config: dict[str, Any], **more: Any) -> api.Dataset:
        return open_dataset(
            self.directory / "tickets.yaml",
            config,
            root=self.directory / "root",
            **more,
        )

    def lines(
        self, before: dict[str, Any], after: dict[str, Any], **more: Any
    ) -> list[str]:
        version = api.generate(self.open(before, **more)).version
        return describe_drift(version, self.open(after, **more).plan)


@pytest.fixture
def edits(tmp_path: Path) -> Edits:
    return Edits(tmp_path)


def with_column(number: int, **changes: Any) -> dict[str, Any]:
    columns = [
        {**column, **changes} if place == number else column
        for place, column in enumerate(BASE["columns"])
    ]
    return {**BASE, "columns": columns}


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (
            with_column(2, prompt="on {{ plan }}"),
            "columns[2].prompt: 'about {{ plan }}' is now 'on {{ plan }}'",
        ),
        (
            with_column(1, params={"values": ["free", "pro", "team"]}),
            "columns[1].params.values: ['free', 'pro'] is now ['free', 'pro', 'team']",
        ),
        (
            with_column(1, params={"values": ["free", "pro"], "weights": [1, 3]}),
            "columns[1].params.weights: added, [1.0, 3.0]",
        ),
        (
            with_column(1, params={"values": [5, 6]}),
            "columns[1].params.values[1]: 'pro' is now 6",
        ),
        (with_column(2, drop=True), "columns[2].drop: False is now True"),
        (
            with_column(2, skip={"when": "{{ plan == 'pro' }}"}),
            "columns[2].skip.when: added, \"{{ plan == 'pro' }}\"",
        ),
        (with_column(0, name="key"), "columns[id]: removed"),
        ({**BASE, "seed": 9}, "seed: 7 is now 9"),
        (
            {
                **BASE,
                "model_configs": [
                    {
                        **BASE["model_configs"][0],
                        "inference_parameters": {"temperature": 0.5},
                    }
                ],
            },
            "model_configs[0].inference_parameters.temperature: added, 0.5",
        ),
    ],
)
def test_a_change_is_named_by_path_and_values(
    edits: Edits, after: dict[str, Any], line: str
) -> None:
    assert line in edits.lines(BASE, after)


def test_long_texts_are_shown_where_they_differ(edits: Edits) -> None:
    story = "Once upon a time there was a customer. " * 20
    (line,) = edits.lines(
        with_column(2, prompt=f"{story}He paid. {story}"),
        with_column(2, prompt=f"{story}She paid. {story}"),
    )
    assert line.startswith("columns[2].prompt: '") or line.startswith(
        "columns[2].prompt: ..."
    )
    assert "He paid." in line and "She paid." in line and len(line) < 300


def test_a_changed_function_is_named(edits: Edits) -> None:
    module = edits.directory / "my_functions.py"
    text = "def clean(row):\n    return row['id'].upper()\n"
    module.write_text(text)
    reference = {
        "generator_function": "./my_functions.py:clean",
        "required_columns": ["id"],
    }
    config = dataset_config(
        uuid(), {"column_type": "custom", "name": "clean", **reference}
    )
    version = api.generate(edits.open(config)).version
    module.write_text(text.replace("upper", "lower"))
    assert describe_drift(version, edits.open(config).plan) == [
        "columns[1]: function clean() in ./my_functions.py changed"
    ]
    with pytest.raises(
        ConfigDriftError, match=r"function clean\(\) in \./my_functions\.py changed"
    ):
        api.generate(edits.open(config), resume="always")


def test_a_changed_validation_function_is_named(edits: Edits) -> None:
    module = edits.directory / "rules.py"
    text = "import polars as pl\n\ndef check(df):\n    return pl.DataFrame({'is_valid': [True] * df.height})\n"
    module.write_text(text)
    params = {"validation_function": "./rules.py:check"}
    verdict = {
        "column_type": "validation",
        "name": "ok",
        "target_columns": ["id"],
        "validator_type": "local_callable",
    }
    config = dataset_config(uuid(), {**verdict, "validator_params": params})
    version = api.generate(edits.open(config)).version
    module.write_text(text.replace("True", "False"))
    assert describe_drift(version, edits.open(config).plan) == [
        "columns[1].validator_params: function check() in ./rules.py changed"
    ]


def test_another_function_is_a_changed_reference_alone(edits: Edits) -> None:
    (edits.directory / "f.py").write_text(
        "def one(row):\n    return 'x'\n\n\ndef two(row):\n    return 'y'\n"
    )

    def config(name: str) -> dict[str, Any]:
        return dataset_config(
            uuid(),
            {
                "column_type": "custom",
                "name": "c",
                "generator_function": f"./f.py:{name}",
            },
        )

    assert edits.lines(config("one"), config("two")) == [
        "columns[1].generator_function: './f.py:one' is now './f.py:two'"
    ]


SEEDED = {
    **dataset_config(uuid(), expression("title", "{{ word }}")),
    "seed_config": {"source": {"seed_type": "local", "path": "seeds/*.csv"}},
}


def test_changed_seed_files_are_counted_and_named(edits: Edits) -> None:
    folder = edits.directory / "seeds"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.csv").write_text(f"word\n{name}\n")
    version = api.generate(edits.open(SEEDED)).version
    assert [*orjson.loads(version.seed_content.read_bytes())["files"]] == [
        "seeds/a.csv",
        "seeds/b.csv",
        "seeds/c.csv",
    ]

    def lines() -> list[str]:
        return describe_drift(version, edits.open(SEEDED).plan)

    (folder / "b.csv").write_text("word\nother\n")
    assert lines() == ["seed data: 1 of 3 files changed (seeds/b.csv)"]
    (folder / "d.csv").write_text("word\nd\n")
    os.unlink(folder / "a.csv")
    assert lines() == [
        "seed data: 1 of 3 files changed (seeds/b.csv); 1 added (seeds/d.csv); 1 removed (seeds/a.csv)"
    ]
    changed = {**SEEDED, "seed": 8}
    assert describe_drift(version, edits.open(changed).plan) == [
        "seed: 7 is now 8",
        *lines(),
    ]
    version.seed_content.unlink()
    assert lines() == ["seed data: its content changed"], (
        "versions of older releases lack the list"
    )
    version.seed_content.write_bytes(b"[")
    assert lines() == ["seed data: its content changed"]


def test_files_of_a_directory_are_named(edits: Edits) -> None:
    folder = edits.directory / "texts"
    folder.mkdir()
    (folder / "one.txt").write_text("1")
    (folder / "two.txt").write_text("2")
    config = {
        **dataset_config(uuid()),
        "seed_config": {
            "source": {
                "seed_type": "file_contents",
                "path": "texts",
                "file_pattern": "*.txt",
            }
        },
    }
    version = api.generate(edits.open(config)).version
    (folder / "two.txt").write_text("3")
    assert describe_drift(version, edits.open(config).plan) == [
        "seed data: 1 of 2 files changed (two.txt)"
    ]
