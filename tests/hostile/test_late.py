"""Runs whose leases ran out while they stood still: they go on, and change nothing of what others have done meanwhile."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.dataset import prune
from sdg_core.dataset.prune import prunable, remove_versions
from sdg_core.errors import ClaimLostError
from sdg_core.store.atomic import remove_directory
from sdg_core.store.objects import StorePath
from tests.core.dataset.test_prune import History
from tests.support.sdg import llm, snapshot


def let_leases_run_out(root: Path) -> None:
    """What standing still for longer than a lease does."""
    ledger = sqlite3.connect(root / ".sdg" / "ledger.db")
    with ledger:
        assert ledger.execute("UPDATE claims SET expires_at = 0").rowcount
    ledger.close()


def finished_files(version: Path) -> dict[str, str]:
    """Digests of all files but temporaries, which a process that is not done has."""
    return {
        name: digest
        for name, digest in snapshot(version).items()
        if not name.startswith(".tmp-")
    }


def without_account(files: dict[str, str]) -> dict[str, str]:
    """Without metadata.json, where a run writes down what it has spent even if it came to nothing."""
    return {
        name: digest
        for name, digest in files.items()
        if not name.endswith("metadata.json")
    }


def test_a_late_process_leaves_what_another_has_finished(tmp_path: Path) -> None:
    history = History(tmp_path)
    version = tmp_path / "root" / "tickets" / history.generate(1)
    finished: list[object] = []

    def stand_still(row_group: int) -> None:
        if not finished:
            let_leases_run_out(history.root)
            assert not api.process(history.open(1)).already_done
            finished.append(finished_files(version))

    late = api.process(history.open(1), on_row_group=stand_still)
    assert late.already_done
    assert [finished_files(version)] == finished


def test_a_late_process_does_not_seal_what_another_has_reopened_and_extended(
    tmp_path: Path,
) -> None:
    history = History(tmp_path)
    history.generate(1)
    done: list[int] = []

    def stand_still(row_group: int) -> None:
        if not done:
            done.append(row_group)
            let_leases_run_out(history.root)
            api.process(history.open(1))
            api.reopen(history.open(1))
            history.generate(1, row_groups=[0])

    with pytest.raises(ClaimLostError):
        api.process(history.open(1), on_row_group=stand_still)
    assert not api.status(history.open(1)).sealed


def test_a_late_prune_leaves_the_version_that_a_run_has_gone_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path)
    first, second, third = (history.generate(number) for number in (1, 2, 3))
    removed: list[str] = []

    def slowly(directory: StorePath) -> None:
        remove_directory(directory)
        removed.append(directory.name)
        if len(removed) == 1:
            let_leases_run_out(history.root)
            history.generate(1 if first != directory.name else 2)

    monkeypatch.setattr(prune, "remove_directory", slowly)
    gone = remove_versions(history.open(3), prunable(history.open(3)))
    assert [version.name for version in gone] == removed and len(removed) == 1
    assert {*history.names()} == {first, second, third} - {*removed}


class Standstill:
    """A model or stage that stands still at its first call, for so long that another run makes everything meanwhile."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.finished: dict[str, str] | None = None
        self.opened: Callable[[], pipelines.OpenPipeline]

    def text(self) -> str:
        if self.finished is not None:
            return "of the successor"
        self.finished = {}
        let_leases_run_out(self._root)
        pipelines.generate(self.opened())
        self.finished = finished_files(self._root / "notes")
        return "late"

    def stage(self, record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "made": self.text()}

    async def complete(self, request: object) -> str:
        return await asyncio.to_thread(self.text)


@pytest.mark.parametrize("what", ["checkpoint", "cells"])
def test_a_late_pipeline_leaves_what_another_run_has_paid_for(
    tmp_path: Path, what: str
) -> None:
    """Checkpoints, and cells that are kept beside the rows, are the successor's, as the rows are."""
    still = Standstill(tmp_path)
    stages: dict[str, Any] = {
        "checkpoint": {"stage": "function", "function": "still", "checkpoint": True},
        "cells": {"stage": "columns", "columns": [llm("made", "{{ content }}")]},
    }
    models = {
        "model_providers": [{"name": "p", "provider_type": "custom"}],
        "model_configs": [{"alias": "writer", "model": "m", "provider": "p"}],
    }
    config = {
        "kind": "pipeline",
        "name": "notes",
        "sources": {"reader": "files", "path": "*.md"},
        "stages": [stages[what]],
    }
    config |= models if what == "cells" else {}
    (tmp_path / "a.md").write_text("some text")
    (tmp_path / "notes.yaml").write_text(yaml.safe_dump(config))

    def opened() -> pipelines.OpenPipeline:
        given: dict[str, Any] = (
            {"functions": {"still": still.stage}}
            if what == "checkpoint"
            else {"clients": {"p": still}}
        )
        return pipelines.open_pipeline(tmp_path / "notes.yaml", root=tmp_path, **given)

    still.opened = opened
    with pytest.raises(ClaimLostError):
        pipelines.generate(opened())
    assert still.finished and [name for name in still.finished if what in name]
    assert without_account(finished_files(tmp_path / "notes")) == without_account(
        still.finished
    )
    assert pipelines.generate(opened()).made == 0
