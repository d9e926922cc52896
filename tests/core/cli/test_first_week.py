"""What a new user meets in the first week: JSON for programs, the command to run next, counts in words."""

from pathlib import Path

import orjson

from sdg_core import api
from sdg_core.counts import counted
from tests.support.sdg import dataset_config, sdg, uuid, write_config


def test_prune_as_json_is_one_value_however_it_ends(tmp_path: Path) -> None:
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"
    for seed in (1, 2):
        write_config(file, dataset_config(uuid(), seed=seed))
        api.generate(api.open_dataset(file, root=root))
    refused = sdg("prune", file, "--root", root, "--json")
    assert (
        refused.returncode == 2
        and orjson.loads(refused.stdout)["error"]["remedy"] == "add --yes"
    )
    removed = sdg("prune", file, "--root", root, "--json", "--yes")
    assert removed.returncode == 0 and len(orjson.loads(removed.stdout)) == 1


def test_the_next_command_keeps_the_number_of_records(tmp_path: Path) -> None:
    file = write_config(tmp_path / "tickets.yaml", dataset_config(uuid()))
    made = sdg("generate", file, "--root", tmp_path / "root", "--num-records", "31")
    assert made.stdout.rstrip().endswith(
        f"next: sdg process {file} --root {tmp_path / 'root'} --num-records 31"
    )


def test_one_is_singular() -> None:
    assert [counted(count, "row group") for count in (0, 1, 1200)] == [
        "0 row groups",
        "1 row group",
        "1,200 row groups",
    ]
