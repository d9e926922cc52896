"""Datasets made from datasets, by the behaviours that Data Designer tests of its workflows: docs/design/data-designer-tests.md.

There is no workflow here: a stage is a dataset of its own, and what is made from it follows its content. One run for a whole
chain is Dagster's matter (tests/assets/test_chain.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdg_core import api
from sdg_core.errors import (
    ConfigDriftError,
    MetadataCorruptError,
    MetadataFieldError,
    MetadataMissingError,
    RowGroupSizeError,
    SealedError,
    SeedError,
)
from sdg_core.store.layout import VersionLayout
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    snapshot,
    stored_records,
    uuid,
)

CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {"text": "{{ topic }}"},
}
ROWS = {
    "column_type": "custom",
    "name": "part",
    "generator_function": "rows",
    "version": 1,
    "required_columns": ["id"],
}
RESIZING = {
    **ROWS,
    "generation_strategy": "full_column",
    "allow_resize": True,
    "output_type": "int",
}
ANSWER = llm("answer", "answer {{ id }} on {{ topic }}")


class Chain:
    """Two dataset files, `first` and `second`, which is made from the finished `first`."""

    def __init__(self, base: Path) -> None:
        self.base, self.root = base, base / "root"

    def first(
        self, *columns: dict[str, Any], functions: Any = None, **top: Any
    ) -> api.Dataset:
        config = dataset_config(
            uuid(),
            category("topic", "login", "billing"),
            *columns,
            num_records=20,
            name="first",
        )
        return open_dataset(
            self.base / "first.yaml",
            {**config, **top},
            root=self.root,
            functions=functions,
        )

    def second(self, *columns: dict[str, Any], **top: Any) -> api.Dataset:
        seed_config = {"source": {"seed_type": "dataset", "dataset": "first"}}
        config = dataset_config(
            *(columns or (ANSWER,)),
            num_records=20,
            name="second",
            seed_config=seed_config,
        )
        return open_dataset(
            self.base / "second.yaml", {**config, **top}, root=self.root
        )

    def finish_first(
        self, *columns: dict[str, Any], functions: Any = None, **top: Any
    ) -> VersionLayout:
        dataset = self.first(*columns, functions=functions, **top)
        api.generate(dataset)
        return api.process(dataset).version


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


# --- what is finished is not made again -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "processors", [[], [CHAT]], ids=["plain", "with output processors"]
)
def test_resume_if_possible_skips_completed_stages(
    chain: Chain, processors: list[dict[str, Any]]
) -> None:
    first = chain.finish_first(processors=processors)
    second = api.generate(chain.second()).version
    before = snapshot(first.directory), snapshot(second.row_groups)
    with pytest.raises(SealedError):
        api.generate(chain.first(processors=processors))
    assert api.process(chain.first(processors=processors)).already_done
    again = api.generate(chain.second())
    assert (again.adopted, again.written, again.version) == (2, 0, second)
    assert (snapshot(first.directory), snapshot(second.row_groups)) == before


def test_resume_delegates_matching_resumable_stage(chain: Chain) -> None:
    chain.finish_first()
    api.generate(chain.second(), row_groups=[1])
    summary = api.generate(chain.second(), resume="always")
    assert (summary.adopted, summary.generated, summary.remaining) == (1, 10, 0)


def test_resume_after_a_move_and_from_another_directory(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data Designer's hole R14: with a relative path, finished stages are never found again."""
    chain.finish_first()
    api.generate(chain.second())
    chain.root.rename(tmp_path / "moved")
    for directory, root in (
        (tmp_path, "moved"),
        (tmp_path / "moved", "."),
        (tmp_path / "moved" / "first", ".."),
    ):
        monkeypatch.chdir(directory)
        for name in ("first", "second"):
            dataset = api.open_dataset(tmp_path / f"{name}.yaml", root=root)
            assert not any(
                status.remaining for status in api.row_group_statuses(dataset)
            )
        assert api.generate(dataset, resume="always").adopted == 2


def test_a_lost_finished_dataset_is_made_again_and_what_is_made_from_it_stays(
    chain: Chain,
) -> None:
    """Data Designer makes the descendants again; here the content decides, and it is the same."""
    first = chain.finish_first()
    api.generate(chain.second())
    for part in first.processed_dataset.iterdir():
        part.unlink()
    first.processed_dataset.rmdir()
    with pytest.raises(SeedError, match="is not finished") as raised:
        chain.second()
    assert "sdg process" in str(raised.value)
    assert not api.process(chain.first()).already_done
    assert api.generate(chain.second(), resume="always").adopted == 2


# --- what has changed is made again, and nothing else -----------------------------------------------------------------


def test_resume_if_possible_reruns_changed_stage_only(chain: Chain) -> None:
    first = chain.finish_first()
    second = api.generate(chain.second()).version
    before = snapshot(first.directory), snapshot(second.directory)
    changed = chain.second(ANSWER, llm("title", "title for {{ answer }}"))
    with pytest.raises(ConfigDriftError, match=r"columns\[title\]: added"):
        api.generate(changed, resume="always")
    summary = api.generate(changed)
    assert (summary.generated, summary.carried) == (20, 20), "answers are reused"
    assert (snapshot(first.directory), snapshot(second.directory)) == before


def test_a_stage_that_has_grown_is_drift_for_what_is_made_from_it(chain: Chain) -> None:
    chain.finish_first()
    columns = (ANSWER, uuid("own"), llm("tip", "tip for {{ own }}"))
    old = api.generate(chain.second(*columns)).version
    before = snapshot(old.directory)
    api.reopen(chain.first())
    chain.finish_first(num_records=27)
    with pytest.raises(ConfigDriftError, match="seed data: .* changed"):
        api.generate(chain.second(*columns), resume="always")
    summary = api.generate(chain.second(*columns, num_records=27))
    assert (summary.generated, summary.carried) == (27, 40), (
        "answers and tips of unchanged rows are reused"
    )
    assert snapshot(old.directory) == before


def test_a_stage_made_anew_by_word_forces_those_that_its_content_changes(
    chain: Chain,
) -> None:
    """Data Designer's `rerun_from` forces all that follow; here a stage that comes out the same forces nothing."""
    first = chain.finish_first()
    api.generate(chain.second())
    before = snapshot(first.directory)
    again = api.generate(chain.first(), resume="never").version
    assert again.name == f"{first.name}-2" and snapshot(first.directory) == before
    with pytest.raises(SeedError, match=f"its version {again.name} is not finished"):
        chain.second()
    api.process(chain.first())
    assert api.generate(chain.second(), resume="always").adopted == 2
    chain.finish_first(seed=8)
    assert api.generate(chain.second()).generated == 20
    assert len(chain.second().layout.versions()) == 2


@pytest.mark.parametrize("mode", ["if_possible", "always"])
def test_a_stage_does_not_change_its_row_group_size(chain: Chain, mode: Any) -> None:
    """Data Designer's hole R16, kept as a rule with a way out: a version keeps its size, a new one may have another."""
    chain.finish_first()
    old = api.generate(chain.second()).version
    with pytest.raises(
        RowGroupSizeError, match="set row_group_size back to 10, or use --resume never"
    ):
        api.generate(chain.second(row_group_size=4), resume=mode)
    new = api.generate(chain.second(row_group_size=4), resume="never").version
    assert stored_records(new) == stored_records(old)


# --- what cannot be trusted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"{", MetadataCorruptError),
        (b"{}", MetadataFieldError),
        (None, MetadataMissingError),
    ],
)
def test_a_stage_whose_metadata_cannot_be_trusted_stops_what_is_made_from_it(
    chain: Chain, content: bytes | None, error: type[Exception]
) -> None:
    """Whatever the resume mode: a seed that is not known to be finished is not read."""
    first = chain.finish_first()
    api.generate(chain.second())
    first.metadata.unlink() if content is None else first.metadata.write_bytes(content)
    before = snapshot(chain.root)
    with pytest.raises(error, match=str(first.metadata)):
        chain.second()
    for act in (api.process, lambda dataset: api.generate(dataset, resume="always")):
        with pytest.raises(error, match=str(first.metadata)):
            act(chain.first())
    assert snapshot(chain.root) == before


# --- another number of rows -------------------------------------------------------------------------------------------


def twice(df: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([df.with_columns(part=pl.lit(part)) for part in (1, 2)])


def none(df: pl.DataFrame) -> pl.DataFrame:
    return twice(df).clear()


def resized(function: Callable[..., Any]) -> dict[str, Any]:
    return {"functions": {"rows": function}}


def test_a_stage_can_expand_rows_for_the_next(chain: Chain) -> None:
    first = chain.finish_first(RESIZING, **resized(twice))
    rows = (
        pl.read_parquet(first.processed_dataset / "*.parquet")
        .select("id", "part")
        .rows()
    )
    assert len(set(rows)) == 40
    dataset = chain.second(expression("own", "{{ id }} {{ part }}"), num_records=40)
    api.generate(dataset, row_groups=[2])
    made = stored_records(api.generate(dataset).version)
    assert [(made[record]["id"], made[record]["part"]) for record in range(40)] == rows


def test_an_empty_stage_fails_what_is_made_from_it(chain: Chain) -> None:
    """Data Designer can be told to skip what follows; here the reason is named and nothing is started."""
    chain.finish_first(RESIZING, **resized(none))
    with pytest.raises(SeedError, match="no rows"):
        chain.second()
    assert not (chain.root / "second").exists()
