"""Python first: configs that are no file, objects in them, notebooks, frames; and nothing secret in a signature or a repr."""

import asyncio
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pydantic import BaseModel

import sdg_assets
import sdg_core
from sdg_core import api, custom, errors
from sdg_core.api import pipelines
from sdg_core.errors import ConfigError, IncompleteError, SeedError
from sdg_core.plan.in_memory import take_apart
from tests.support.pipelines import Project
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    structured,
    uuid,
    write_config,
)

CONFIG = dataset_config(
    uuid(), category("plan", "free", "pro"), llm("text", "{{ plan }} {{ id }}")
)
FRAME = pl.DataFrame(
    {
        "word": ["one", "two", None],
        "number": [1, 2, 3],
        "part": [{"a": [1]}, {"a": []}, None],
    }
)
SEEDED = dataset_config(expression("shown", "{{ word }} {{ number }}"), num_records=3)


class Note(BaseModel):
    title: str
    stars: int


def shout(row: dict[str, Any]) -> str:
    return str(row["plan"]).upper()


def quiet(row: dict[str, Any]) -> str:
    return str(row["plan"]).lower()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hash_of(config: Any, **more: Any) -> str:
    return api.open_dataset(config, **more).plan.fingerprint.config_hash


class Builder:
    """What open_dataset asks of a builder of Data Designer."""

    def get_builder_config(self) -> "Builder":
        return self

    def to_dict(self) -> dict[str, Any]:
        shared = {
            key: value
            for key, value in CONFIG.items()
            if key in ("columns", "model_configs")
        }
        top = {key: value for key, value in CONFIG.items() if key not in shared}
        return {"data_designer": shared, **top}


def test_a_config_means_the_same_however_it_is_given(tmp_path: Path) -> None:
    file = write_config(tmp_path / "tickets.yaml", CONFIG)
    loaded = api.load_dataset(file).config
    columns = [
        type(column).model_validate(column.model_dump()) for column in loaded.columns
    ]
    parts = {**CONFIG, "columns": columns, "model_configs": loaded.model_configs}
    given = [str(file), CONFIG, loaded, parts]
    assert {hash_of(each) for each in given} == {hash_of(file)}
    assert {api.open_dataset(each).layout.directory for each in given} == {
        tmp_path / "data" / "tickets"
    }
    assert api.generate(api.open_dataset(file)).remaining == 0
    assert api.plan(api.open_dataset(CONFIG)).nothing_to_do
    written = write_config(tmp_path / "builder_config.yaml", Builder().to_dict())
    assert hash_of(written) == hash_of(Builder()) == hash_of(Builder().to_dict())


def test_what_is_no_config_is_refused() -> None:
    for wrong in (7, None, [CONFIG], object()):
        with pytest.raises(
            ConfigError, match="expected a path, a mapping or a config object, got"
        ):
            api.open_dataset(wrong)  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match=r"columns\[0\]: unknown column_type 'sampling'"
    ):
        api.open_dataset({"columns": [{"column_type": "sampling", "name": "x"}]})


def test_relative_paths_of_a_mapping_start_at_base(tmp_path: Path) -> None:
    FRAME.select("word", "number").write_csv(tmp_path / "seed.csv")
    seeded = {**SEEDED, "seed_config": {"source": {"path": Path("seed.csv")}}}
    assert api.open_dataset(seeded, base=tmp_path).seeds is not None
    with pytest.raises(SeedError, match=r"nowhere/seed\.csv"):
        api.open_dataset(seeded, base=tmp_path / "nowhere")


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_arrow(),
        FRAME.to_pandas(),
        FRAME.to_arrow().to_batches()[0],
    ],
    ids=type,
)
@pytest.mark.parametrize(
    "place",
    [
        lambda frame: frame,
        lambda frame: {"source": frame},
        lambda frame: {
            "source": {"seed_type": "df", "df": frame},
            "sampling_strategy": "ordered",
        },
    ],
)
def test_a_data_frame_is_seed_data(frame: Any, place: Callable[[Any], Any]) -> None:
    whole = {**SEEDED, "seed_config": place(frame)}
    table = api.preview(whole, num_records=3).table
    assert table.column("word").to_pylist() == ["one", "two", None]
    assert table.column("number").to_pylist() == [1, 2, 3]


def test_a_data_frame_counts_by_its_content() -> None:
    plain = FRAME.select("word", "number")
    same = [
        plain,
        plain.to_arrow(),
        plain.lazy(),
        plain.to_pandas(),
        pa.table(plain).combine_chunks(),
    ]
    assert len({hash_of({**SEEDED, "seed_config": frame}) for frame in same}) == 1
    others = [
        plain.reverse(),
        plain.with_columns(pl.lit(1)),
        plain.head(2),
        plain.cast({"number": pl.Float64}),
    ]
    assert (
        len({hash_of({**SEEDED, "seed_config": frame}) for frame in (plain, *others)})
        == 5
    )


def test_a_named_index_of_pandas_is_a_column_and_another_is_not() -> None:
    frame = pd.DataFrame(
        {"word": ["a", "b"], "number": [1, 2]}, index=pd.Index([7, 8], name="key")
    )
    assert api.preview({**SEEDED, "seed_config": frame}, num_records=2).table.column(
        "key"
    ).to_pylist() == [7, 8]
    filtered = frame.reset_index(drop=True)[1:]
    assert (
        "__index_level_0__"
        not in api.preview(
            {**SEEDED, "seed_config": filtered}, num_records=1
        ).table.column_names
    )


def test_a_frame_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SeedError, match="the data frame of the seed data cannot be read"
    ):
        api.open_dataset(
            {
                **SEEDED,
                "seed_config": pd.DataFrame({"word": ["a", 1], "number": [1, 2]}),
            }
        )
    file = write_config(
        tmp_path / "d.yaml", {**SEEDED, "seed_config": {"source": {"seed_type": "df"}}}
    )
    with pytest.raises(SeedError, match="which can only be passed in Python"):
        api.open_dataset(file)


def test_functions_and_classes_are_taken_as_objects() -> None:
    loud = {"column_type": "custom", "name": "loud", "generator_function": shout}
    soft = {"column_type": "custom", "name": "soft", "generator_function": quiet}
    note = structured("note", "{{ plan }}", Note)
    config = {**CONFIG, "columns": [*CONFIG["columns"], loud, soft, note]}
    records = api.preview(config, num_records=4).table.to_pylist()
    assert all(
        (r["loud"], r["soft"]) == (r["plan"].upper(), r["plan"]) for r in records
    )
    assert all({*r["note"]} == {"title", "stars"} for r in records)
    other = {
        **config,
        "columns": [
            *CONFIG["columns"],
            {**loud, "generator_function": quiet},
            soft,
            note,
        ],
    }
    assert hash_of(config) == hash_of(dict(config)) != hash_of(other)


def test_two_functions_of_one_name_stay_two() -> None:
    def make(word: str) -> Callable[[dict[str, Any]], str]:
        def said(row: dict[str, Any]) -> str:
            return word

        return said

    columns = [
        {"column_type": "custom", "name": name, "generator_function": make(name)}
        for name in ("a", "b")
    ]
    assert api.preview(dataset_config(*columns), num_records=1).table.to_pylist() == [
        {"a": "a", "b": "b"}
    ]
    assert sorted(take_apart({"columns": columns}).functions) == ["said", "said_2"]


def test_a_client_is_taken_as_an_object() -> None:
    class Echo:
        async def complete(self, request: Any) -> str:
            return "echo"

    providers = [{"name": "own", "provider_type": "custom", "client": Echo()}]
    models = [{"alias": "writer", "model": "any", "provider": "own"}]
    config = {**CONFIG, "model_providers": providers, "model_configs": models}
    assert api.preview(config, num_records=1).table.column("text").to_pylist() == [
        "echo"
    ]


def test_every_verb_works_under_a_running_event_loop(tmp_path: Path) -> None:
    """As in the cell of a notebook."""
    notes = Project(
        tmp_path / "notes", [{"stage": "rename", "columns": {"content": "note"}}]
    ).write(a="one")

    async def cell() -> None:
        dataset = api.open_dataset(CONFIG)
        assert api.preview(CONFIG, num_records=2).table.num_rows == 2
        assert api.preview(dataset, num_records=2).table.num_rows == 2
        assert api.estimate(dataset).remaining == 25
        assert all(row.ok for row in api.check_models(dataset))
        assert api.check_tools(dataset) == ()
        assert api.generate(dataset).remaining == 0
        assert api.process(dataset).num_rows == 25
        assert api.report(dataset).path is not None
        assert pipelines.preview(notes.file).failures == ()
        assert pipelines.generate(notes.open()).remaining == 0
        assert (
            await api.agenerate(api.open_dataset({**CONFIG, "name": "others"}))
        ).remaining == 0

    asyncio.run(cell())


def test_a_dataset_is_read_as_polars() -> None:
    dataset = api.open_dataset({**CONFIG, "num_records": 20})
    with pytest.raises(IncompleteError):
        dataset.scan()
    api.generate(dataset, row_groups=[0])
    assert dataset.to_polars().height == 10
    api.generate(dataset)
    api.process(dataset)
    assert isinstance(dataset.scan(), pl.LazyFrame)
    assert (
        dataset.scan().select("plan").collect().height
        == dataset.to_polars().height
        == 20
    )


def test_a_preview_shows_as_a_table() -> None:
    columns = [
        category("mark", "<b>&"),
        expression("long", "{{ 'x' * 5000 }}"),
        expression("n", "{{ mark }}"),
    ]
    shown = api.preview(dataset_config(*columns), num_records=2)
    page = shown._repr_html_()
    assert page.count("<tr>") == 3 and "<b>" not in page and "&lt;b&gt;&amp;" in page
    assert len(page) < 5000
    failing = dataset_config(
        category("word", "many"), expression("number", "{{ word }}", dtype="int")
    )
    assert (
        "&#x27;many&#x27; is not an int"
        in api.preview(failing, num_records=1)._repr_html_()
    )


def members() -> Iterator[tuple[str, Any]]:
    """Every public callable, and the methods of public classes."""
    for door in (api, pipelines, custom, errors):
        names = getattr(door, "__all__", None) or [
            name for name in vars(door) if not name.startswith("_")
        ]
        for name in names:
            value = getattr(door, name)
            yield name, value
            if inspect.isclass(value):
                yield from (
                    (f"{name}.{key}", item)
                    for key, item in vars(value).items()
                    if callable(item)
                )


def test_no_public_signature_shows_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_KEY_OF_SOMEBODY", "sk-SECRET-123")
    looked_at = 0
    for name, value in members():
        try:
            shown = f"{inspect.signature(value)} {value.__doc__}"
        except (TypeError, ValueError):
            continue
        looked_at += 1
        assert "SECRET" not in shown and "environ(" not in shown, name
    assert looked_at > 200
    assert "SECRET" not in repr(api.open_dataset(CONFIG))


def test_no_default_anywhere_is_the_environment() -> None:
    for package in (sdg_core, sdg_assets):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(
                ("postgres_event_storage", "celery_worker", "__main__")
            ):
                continue
            for name, value in vars(import_module(module.name)).items():
                if inspect.isfunction(value):
                    assert "environ(" not in str(inspect.signature(value)), (
                        f"{module.name}.{name}"
                    )
