"""Faults of the first attack on this project that no other test shows: see `docs/design/hostile-inputs.md`."""

import os
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.errors import ConfigError
from sdg_core.testing import Fault, ModelServer
from tests.support.sdg import category, dataset_config, llm, uuid


def test_a_csv_with_an_empty_heading_is_read_as_it_was_checked(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(",a\n0,x\n1,y\n")
    config = dataset_config(
        uuid(), {"column_type": "expression", "name": "e", "expr": "{{ a }}"}
    ) | {"num_records": 2}
    config["seed_config"] = {"source": {"seed_type": "local", "path": "rows.csv"}}
    dataset = api.open_dataset(config, root=tmp_path / "root", base=tmp_path)
    assert api.preview(dataset).table.num_rows > 0
    assert api.generate(dataset).remaining == 0


@pytest.mark.parametrize(
    "pattern",
    [
        "(?x)a # comment",
        "(?x: a # comment\n)",
        "a)|(b",
        "a\\",
        "(?P<n>a)",
        "(?i)a$",
        "\\Qa",
        "[a&&b]",
        "a{1001}",
        "(",
        "",
    ],
)
def test_a_pattern_is_refused_where_it_is_checked_or_works(
    tmp_path: Path, pattern: str
) -> None:
    column = {
        "column_type": "validation",
        "name": "v",
        "target_columns": ["plan"],
        "validator_type": "regex",
    }
    config = dataset_config(
        category("plan", "a"), column | {"validator_params": {"pattern": pattern}}
    ) | {"num_records": 2}
    try:
        dataset = api.open_dataset(config, root=tmp_path)
    except ConfigError as error:
        assert "columns[1]" in str(error)
        return
    assert api.generate(dataset).remaining == 0


async def test_texts_that_are_cut_off_filtered_or_blank_are_no_cells(
    tmp_path: Path,
) -> None:
    blank = {"role": "assistant", "content": " \n\t"}
    for number, faults in enumerate(([Fault("cut")], [Fault("length")], [])):
        message = (lambda body: blank) if not faults else (lambda body: None)
        async with ModelServer(faults=faults, message=message) as server:
            config = dataset_config(llm("t", "x"), endpoint=server.url) | {
                "num_records": 1,
                "run": {"num_retries": 0},
            }
            summary = await api.agenerate(
                api.open_dataset(config, root=tmp_path / str(number))
            )
        assert summary.failed == 1


def test_new_directories_are_synced_in_their_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may forget a directory whose parent was never synced, however well its files were."""
    synced: set[str] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    root = tmp_path / "root"
    dataset = api.open_dataset(dataset_config(uuid()) | {"num_records": 3}, root=root)
    summary = api.generate(dataset)
    version = summary.version.directory
    assert isinstance(version, Path)
    assert {
        str(place) for place in (root, version.parent, version, version / "row_groups")
    } <= synced
