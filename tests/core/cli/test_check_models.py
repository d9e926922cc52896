"""`sdg check-models` as people and programs meet it."""

from pathlib import Path

import orjson

from tests.support.sdg import dataset_config, llm, sdg, uuid, write_config

CONFIG = dataset_config(uuid(), llm("text", "about {{ id }}"))


def test_each_model_in_a_row_and_nothing_written(tmp_path: Path) -> None:
    file = write_config(tmp_path / "tickets.yaml", CONFIG)
    outcome = sdg("check-models", file, "--root", tmp_path / "root")
    assert outcome.returncode == 0 and outcome.stderr == ""
    assert "writer" in outcome.stdout and "native" in outcome.stdout
    assert not (tmp_path / "root").exists()


def test_a_model_that_cannot_be_reached_is_named_with_its_remedy(
    tmp_path: Path,
) -> None:
    dead = {
        "model_providers": [
            {
                "name": CONFIG["model_providers"][0]["name"],
                "endpoint": "http://127.0.0.1:9/v1",
            }
        ]
    }
    file = write_config(
        tmp_path / "tickets.yaml", {**CONFIG, **dead, "run": {"num_retries": 0}}
    )
    outcome = sdg("check-models", file, "--root", tmp_path / "root")
    assert outcome.returncode == 2 and "failed" in outcome.stdout
    assert "start the server, or correct model_providers[" in outcome.stdout
    [row] = orjson.loads(
        sdg("check-models", file, "--root", tmp_path / "root", "--json").stdout
    )
    assert (
        row["alias"] == "writer"
        and row["latency"] is None
        and "127.0.0.1:9" in row["error"]
    )
