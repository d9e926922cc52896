"""The page about assets of one's own: its files, in a project that `sdg init` makes, load and materialize."""

import importlib
import sys
from pathlib import Path

import dagster as dg
import pytest

from sdg_core import api
from tests.support.guide import files_of


def test_the_assets_of_the_page_read_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = api.make_project(tmp_path / "shop", template="support")
    for place, text in files_of("your-own-project.md").items():
        (project.folder / place).write_text(text, encoding="utf-8")
    dataset = api.open_dataset(project.file)
    api.generate(dataset)
    api.process(dataset)
    monkeypatch.syspath_prepend(project.folder)
    job = importlib.import_module("shop.definitions").defs().resolve_implicit_global_asset_job_def()
    own = [dg.AssetKey(name) for name in ("tickets_by_plan", "longest_tickets", "common_words")]
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, asset_selection=own)
        assert result.output_for_node("tickets_by_plan")["len"].sum() == 200
        assert list(result.output_for_node("longest_tickets")) == ["00000", "00001", "00002", "00003"]
        (event,) = result.asset_materializations_for_node("common_words")
        assert event.metadata["words"].value
        lengths = dg.AssetKey("ticket_lengths")
        one = job.execute_in_process(instance=instance, asset_selection=[lengths], partition_key="00003")
        assert one.output_for_node("ticket_lengths").height == 50
    for module in [module for module in sys.modules if module.partition(".")[0] == "shop"]:
        del sys.modules[module]
