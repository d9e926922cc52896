"""`seed_config.where` and `num_records: seed`: which rows, checked before anything runs, and never read twice for nothing."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.cli.inspect_commands import validate
from sdg_core.errors import ConfigError, SeedError
from sdg_core.seeds.parquet import ParquetReader
from sdg_core.seeds.where import KEPT_FROM
from tests.support.sdg import (
    dataset_config,
    expression,
    open_dataset,
    stored_records,
    uuid,
)

ROWS = [
    {"id": number, "score": score, "text": f"t{number}"}
    for number, score in enumerate([5, 1, None, 4, 2, 5])
]
READER = """
import polars as pl
from sdg_core.seeds.base import SeedReader

class Scored(SeedReader):
    def __init__(self):
        self._frame = pl.read_parquet({path!r})
    @property
    def schema(self):
        return self._frame.to_arrow().schema
    @property
    def num_rows(self):
        return self._frame.height
    def digest(self):
        return "sha256:" + "0" * 64
    def fetch(self, rows):
        return self._frame[rows]
"""


def seeded(
    base: Path,
    source: dict[str, Any],
    where: str | None,
    *,
    name: str = "d",
    **more: Any,
) -> api.Dataset:
    seed_config = {
        "source": source,
        **({"where": where} if where is not None else {}),
        **more.pop("seed", {}),
    }
    config = dataset_config(
        uuid(f"key_of_{name}"),
        name=name,
        seed_config=seed_config,
        **{"num_records": "seed", **more},
    )
    return open_dataset(base / f"{name}.yaml", config, root=base / "root")


def made(dataset: api.Dataset, column: str = "id") -> list[Any]:
    records = stored_records(api.generate(dataset).version)
    return [records[record][column] for record in sorted(records)]


def write_rows(base: Path, kind: str) -> dict[str, Any]:
    """The rows as a source of one kind; the source."""
    frame = pl.DataFrame(ROWS)
    match kind:
        case "parquet":
            frame.write_parquet(base / "rows.parquet")
            return {"path": "rows.parquet"}
        case "several files":
            for number in range(2):
                frame[3 * number : 3 * number + 3].write_parquet(
                    base / f"part{number}.parquet"
                )
            return {"path": "part*.parquet"}
        case "csv":
            frame.write_csv(base / "rows.csv")
            return {"path": "rows.csv"}
        case "jsonl":
            frame.write_ndjson(base / "rows.jsonl")
            return {"path": "rows.jsonl"}
        case "sql":
            with sqlite3.connect(base / "rows.db") as connection:
                connection.execute(
                    "CREATE TABLE t (id INTEGER, score INTEGER, text TEXT)"
                )
                connection.executemany(
                    "INSERT INTO t VALUES (:id, :score, :text)", ROWS
                )
            return {
                "seed_type": "sql",
                "url": "sqlite:///rows.db",
                "query": "SELECT * FROM t ORDER BY id",
            }
        case _:
            frame.write_parquet(base / "rows.parquet")
            (base / "readers.py").write_text(
                READER.format(path=str(base / "rows.parquet"))
            )
            return {"seed_type": "custom", "reader": "./readers.py:Scored"}


@pytest.mark.parametrize(
    "kind", ["parquet", "several files", "csv", "jsonl", "sql", "custom"]
)
def test_only_rows_for_which_it_is_true_count(tmp_path: Path, kind: str) -> None:
    dataset = seeded(
        tmp_path, write_rows(tmp_path, kind), "{{ score >= 4 }}", row_group_size=2
    )
    assert dataset.plan.num_records == 3
    assert made(dataset) == [0, 3, 5]


def test_files_of_a_directory_are_chosen_by_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for name in ("a.md", "b.txt", "c.md"):
        (tmp_path / "files" / name).write_text(f"this is {name}")
    listed = {"seed_type": "directory", "path": "files"}
    assert made(
        seeded(tmp_path, listed, "{{ file_name.endswith('.md') }}"), "file_name"
    ) == [
        "a.md",
        "c.md",
    ]
    contents = {"seed_type": "file_contents", "path": "files"}
    assert made(
        seeded(tmp_path, contents, "{{ 'is b' in content }}", name="e"), "file_name"
    ) == ["b.txt"]


def test_rows_of_a_finished_dataset_are_chosen_by_what_a_column_holds_inside(
    tmp_path: Path,
) -> None:
    """As of a judge: the score of one rubric, of records that have one."""
    rows = [
        {"judge": {"quality": {"score": number % 5}} if number % 3 else None}
        for number in range(20)
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "judged.parquet")
    first = seeded(tmp_path, {"path": "judged.parquet"}, None, name="first")
    api.generate(first)
    api.process(first)
    source = {"seed_type": "dataset", "dataset": "first"}
    second = seeded(tmp_path, source, "{{ judge.quality.score >= 4 }}", name="second")
    assert made(second, "judge") == [
        row["judge"]
        for row in rows
        if row["judge"] and row["judge"]["quality"]["score"] == 4
    ]


@settings(max_examples=40)
@given(
    scores=st.lists(st.integers(0, 9) | st.none(), min_size=1, max_size=40),
    least=st.integers(0, 9),
    data=st.data(),
)
def test_selection_and_order_are_those_of_the_chosen_rows(
    scores: list[int | None], least: int, data: st.DataObject
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        pl.DataFrame(
            {"id": range(len(scores)), "score": scores},
            schema_overrides={"score": pl.Int64},
        ).write_parquet(Path(place) / "rows.parquet")
        chosen = [
            number
            for number, score in enumerate(scores)
            if score is not None and score >= least
        ]
        where = f"{{{{ score is not none and score >= {least} }}}}"
        if not chosen:
            with pytest.raises(SeedError, match="true for none of the"):
                seeded(Path(place), {"path": "rows.parquet"}, where)
            return
        start = data.draw(st.integers(0, len(chosen) - 1))
        end = data.draw(st.integers(start, len(chosen) - 1))
        seed = {"selection_strategy": {"start": start, "end": end}}
        dataset = seeded(
            Path(place), {"path": "rows.parquet"}, where, seed=seed, num_records=50
        )
        assert dataset.seeds is not None
        read = dataset.seeds.read(np.arange(50))["id"].to_list()
        wanted = chosen[start : end + 1]
        assert read == [wanted[record % len(wanted)] for record in range(50)]


def test_where_is_part_of_the_fingerprint_and_its_absence_is_not(
    tmp_path: Path,
) -> None:
    source = write_rows(tmp_path, "parquet")
    prints = [
        seeded(tmp_path, source, where).plan.fingerprint
        for where in (None, "{{ id >= 0 }}", "{{ id > 0 }}")
    ]
    assert len({print_.config_hash for print_ in prints}) == 3
    assert len({print_.config_fingerprint for print_ in prints}) == 3


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{{ scroe >= 4 }}", "no column 'scroe'; did you mean 'score'"),
        ("{{ score > 9 }}", r"\{\{ score > 9 \}\} is true for none of the 6 seed rows"),
        ("{{ text.size > 9 }}", "seed row 0: undefined value"),
    ],
)
def test_what_cannot_be_right_is_said_before_anything_runs(
    tmp_path: Path, where: str, message: str
) -> None:
    with pytest.raises(SeedError, match=message):
        seeded(tmp_path, write_rows(tmp_path, "parquet"), where)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("score >= 4", "is plain text; write a template"),
        ("{{ score >= }}", "not a valid template"),
        ("{{ 1 == 1 }}", "reads no column"),
        ("{{ [score, 2] | random }}", "the filter random is allowed only in prompts"),
    ],
)
def test_a_condition_that_is_none_is_a_problem_of_the_file(
    tmp_path: Path, where: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"seed_config.where.*{message}"):
        seeded(tmp_path, write_rows(tmp_path, "parquet"), where)


def test_the_number_of_the_seed_needs_seed_data_and_its_word(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="num_records.*there is no seed_config"):
        open_dataset(
            tmp_path / "d.yaml",
            dataset_config(uuid(), num_records="seed"),
            root=tmp_path,
        )
    for value in ("seeds", 2.5, True):
        with pytest.raises(
            ConfigError, match="num_records.*expected a whole number|YAML reads"
        ):
            open_dataset(
                tmp_path / "d.yaml",
                dataset_config(uuid(), num_records=value),
                root=tmp_path,
            )


@pytest.mark.parametrize(
    "selection", [None, {"start": 1, "end": 3}, {"index": 1, "num_partitions": 4}]
)
def test_as_many_records_as_the_seed_has_rows(
    tmp_path: Path, selection: dict[str, int] | None
) -> None:
    source, seed = (
        write_rows(tmp_path, "parquet"),
        {"selection_strategy": selection} if selection else {},
    )
    expected = {None: 6, "start": 3, "index": 1}[
        next(iter(selection)) if selection else None
    ]
    assert seeded(tmp_path, source, None, seed=seed).plan.num_records == expected
    assert seeded(tmp_path, source, None, seed=seed).plan.seed_repeats is None


def test_a_seed_that_repeats_is_said_when_validated_run_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path, "parquet")
    dataset = seeded(tmp_path, source, "{{ score >= 4 }}", num_records=8)
    words = "8 records draw from 3 seed rows, so each row is used 2 or 3 times"
    assert dataset.plan.seed_repeats == words
    heard: list[str] = []
    api.generate(
        dataset,
        on_event=lambda event: (
            heard.append(event.message) if isinstance(event, api.Notice) else None
        ),
    )
    assert words in heard
    made = api.report(dataset)
    assert made.report.facts.seed is not None
    assert (made.report.facts.seed.repeats, made.report.facts.seed.num_rows) == (
        words,
        3,
    )
    assert words in Path(str(made.path)).read_text(encoding="utf-8")
    validate(tmp_path / "d.yaml", root=str(tmp_path / "root"))
    assert words in " ".join(capsys.readouterr().out.split())


def test_a_large_source_is_evaluated_once_and_read_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    decoded = 0
    plain = ParquetReader.fetch

    def counting(self: ParquetReader, rows: Any) -> pl.DataFrame:
        nonlocal decoded
        decoded += len(rows)
        return plain(self, rows)

    monkeypatch.setattr(ParquetReader, "fetch", counting)
    total = KEPT_FROM * 2
    pl.DataFrame({"id": range(total)}).write_parquet(tmp_path / "rows.parquet")
    opened = [
        seeded(tmp_path, {"path": "rows.parquet"}, "{{ id % 1000 == 7 }}")
        for _ in range(2)
    ]
    assert decoded == total
    assert [dataset.plan.num_records for dataset in opened] == [20, 20]
    assert opened[1].seeds is not None
    assert opened[1].seeds.read(np.arange(3))["id"].to_list() == [7, 1007, 2007]
    for kept in (tmp_path / "cache" / "sdg-dagster" / "where").iterdir():
        kept.write_bytes(b"cut")
    assert (
        seeded(
            tmp_path, {"path": "rows.parquet"}, "{{ id % 1000 == 7 }}"
        ).plan.num_records
        == 20
    )
    assert decoded == 2 * total + 3


def test_another_content_is_another_outcome(tmp_path: Path) -> None:
    source = write_rows(tmp_path, "parquet")
    before = seeded(tmp_path, source, "{{ score >= 4 }}")
    pl.DataFrame([*ROWS, {"id": 6, "score": 5, "text": "t6"}]).write_parquet(
        tmp_path / "rows.parquet"
    )
    after = seeded(tmp_path, source, "{{ score >= 4 }}")
    assert (before.plan.num_records, after.plan.num_records) == (3, 4)
    assert before.plan.fingerprint.config_hash != after.plan.fingerprint.config_hash


def test_the_expression_sees_seed_columns_only(tmp_path: Path) -> None:
    """Columns of the dataset are made from the rows that it has chosen."""
    source = write_rows(tmp_path, "parquet")
    seed_config = {"source": source, "where": "{{ double > 3 }}"}
    config = dataset_config(
        expression("double", "{{ score * 2 }}"), seed_config=seed_config
    )
    with pytest.raises(SeedError, match="(?s)no column .double.*do not exist yet"):
        open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "root")
