"""What a new user meets in the first week: a pipeline where a dataset is expected, JSON for programs, counts in words."""

from pathlib import Path

import orjson
import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.cli.output import counted
from sdg_core.errors import ConfigError
from tests.support.pipelines import Project, llm_stage
from tests.support.sdg import dataset_config, sdg, uuid, write_config

FAILS_ON_BAD = """
def careful(record):
    if "bad" in record["content"]:
        raise ValueError("not this one")
    return record
"""


def test_the_history_of_a_pipeline_counts_its_sources(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FAILS_ON_BAD, encoding="utf-8")
    project = Project(tmp_path, [{"stage": "function", "function": "./own.py:careful"}])
    project.write(a="good", b="bad", c="good")
    project.generate()
    project.write(d="good")
    project.generate()
    second, first = pipelines.status(project.open()).runs
    assert (first.outcome, first.generated, first.failed, first.adopted) == ("failed_records", 2, 1, 0)
    assert "docs/b.txt" in (first.message or "") and "not this one" in (first.message or "")
    assert (second.outcome, second.generated, second.failed, second.adopted) == ("failed_records", 1, 1, 2)
    assert (first.written, second.written) == (3, 2)


def test_models_of_a_pipeline_are_checked_and_nothing_is_estimated(tmp_path: Path) -> None:
    models = {
        "model_providers": [{"name": "p", "provider_type": "simulated"}],
        "model_configs": [{"alias": "m", "model": "any", "provider": "p"}],
    }
    file = Project(tmp_path, [llm_stage("summary", "Sum up {{ content }}")], more=models).write(a="text").file
    checked = sdg("check-models", file, "--json")
    assert checked.returncode == 0 and len(orjson.loads(checked.stdout)) == 1
    refused = sdg("estimate", file)
    assert refused.returncode == 2
    assert "is a pipeline, of which nothing is estimated" in refused.stderr and "`sdg plan`" in refused.stderr
    with pytest.raises(ConfigError, match=r"1 problem\n.*kind: a pipeline, where a dataset is needed"):
        api.open_dataset(file)


def test_prune_as_json_is_one_value_however_it_ends(tmp_path: Path) -> None:
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"
    for seed in (1, 2):
        write_config(file, dataset_config(uuid(), seed=seed))
        api.generate(api.open_dataset(file, root=root))
    refused = sdg("prune", file, "--root", root, "--json")
    assert refused.returncode == 2 and orjson.loads(refused.stdout)["error"]["remedy"] == "add --yes"
    removed = sdg("prune", file, "--root", root, "--json", "--yes")
    assert removed.returncode == 0 and len(orjson.loads(removed.stdout)) == 1


def test_the_next_command_keeps_the_number_of_records(tmp_path: Path) -> None:
    file = write_config(tmp_path / "tickets.yaml", dataset_config(uuid()))
    made = sdg("generate", file, "--root", tmp_path / "root", "--num-records", "31")
    assert made.stdout.rstrip().endswith(f"next: sdg process {file} --root {tmp_path / 'root'} --num-records 31")


def test_one_is_singular() -> None:
    assert [counted(count, "row group") for count in (0, 1, 1200)] == [
        "0 row groups",
        "1 row group",
        "1,200 row groups",
    ]
