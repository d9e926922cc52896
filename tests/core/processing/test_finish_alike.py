"""A dataset and a pipeline are finished by the same verbs, in the same steps."""

import inspect
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.api.pipelines import OpenPipeline
from sdg_core.errors import IncompleteError, LedgerError
from tests.support.pipelines import Project
from tests.support.sdg import category, dataset_config, open_dataset

Finishable = api.Dataset | OpenPipeline
VERBS = ("process", "report", "export", "push", "reopen")


@pytest.fixture(params=["dataset", "pipeline"])
def generated(request: pytest.FixtureRequest, tmp_path: Path) -> Finishable:
    if request.param == "pipeline":
        project = Project(
            tmp_path,
            [{"stage": "split", "column": "content", "unit": "words", "size": 1}],
        )
        project.write(a="one two")
        project.generate()
        return project.open()
    dataset = open_dataset(
        tmp_path / "d.yaml",
        dataset_config(category("a", "x", "y")),
        root=tmp_path / "data",
    )
    api.generate(dataset)
    return dataset


def break_ledger(data: Finishable) -> None:
    ledger = Path(str(data.layout.root)) / ".sdg" / "ledger.db"
    for path in ledger.parent.glob("ledger.db*"):
        path.unlink()
    ledger.write_text(
        "no database at all, however long the text is that stands here",
        encoding="utf-8",
    )


@pytest.mark.parametrize("verb", VERBS)
def test_both_have_one_verb(verb: str) -> None:
    assert inspect.unwrap(getattr(pipelines, verb)) is inspect.unwrap(
        getattr(api, verb)
    )


def test_what_is_sealed_gets_the_report_that_it_does_not_have(
    generated: Finishable,
) -> None:
    version = api.process(generated).version
    version.report_json.unlink()
    again = api.process(generated)
    assert again.already_done and version.report_json.exists()


def test_what_is_sealed_answers_without_a_ledger(generated: Finishable) -> None:
    rows = api.process(generated).num_rows
    break_ledger(generated)
    again = api.process(generated)
    assert again.already_done and again.num_rows == rows


def test_without_a_ledger_nothing_is_sealed(generated: Finishable) -> None:
    break_ledger(generated)
    with pytest.raises(LedgerError):
        api.process(generated)
    with pytest.raises(IncompleteError, match="is not finished"):
        api.export(generated, Path(str(generated.layout.root)) / "out.jsonl")
