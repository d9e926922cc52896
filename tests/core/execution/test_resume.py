"""Resuming, by the behaviours that Data Designer tests and by those it gets wrong: docs/design/data-designer-tests.md has both.

Those about seed data: tests/core/seeds/test_in_runs.py. About datasets made from datasets: tests/core/seeds/test_chains.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from sdg_core import api
from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.events import Event, RowGroupFinished, RunStarted
from sdg_core.dataset.resume import choose_version, create_or_resume
from sdg_core.errors import (
    ConfigDriftError,
    MetadataFieldError,
    SealedError,
    ShrinkError,
)
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_groups import read_footer
from sdg_core.store.versions import update_metadata
from tests.support.sdg import (
    category,
    dataset_config,
    open_dataset,
    snapshot,
    stored_records,
    uuid,
)

PLAIN = (uuid(), category("plan", "free", "pro"))
CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {"text": "{{ plan }}"},
}
MODES: list[ResumeMode] = ["if_possible", "always", "never"]
Opener = Callable[..., api.Dataset]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Opens the same dataset file again, with other columns or fields if need be."""

    def open_it(
        *columns: dict[str, Any], root: str = "root", functions: Any = None, **top: Any
    ) -> api.Dataset:
        config = dataset_config(*(columns or PLAIN), **top)
        return open_dataset(
            tmp_path / "tickets.yaml", config, root=tmp_path / root, functions=functions
        )

    return open_it


# --- where a run goes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("empty", "mode"),
    [
        *(("dataset", mode) for mode in MODES),
        ("version", "if_possible"),
        ("version", "always"),
    ],
)
def test_starts_fresh_when_directory_is_empty(
    opened: Opener, empty: str, mode: ResumeMode
) -> None:
    dataset = opened()
    directory, name = dataset.layout.directory, dataset.plan.fingerprint.version
    (directory / name if empty == "version" else directory).mkdir(parents=True)
    summary = api.generate(dataset, resume=mode)
    assert (summary.generated, summary.version.name) == (25, name)


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_without_metadata_never_meets_records_of_another_config(
    opened: Opener, mode: ResumeMode
) -> None:
    """Data Designer's hole R2: 20 rows, 10 of them from the config before, where 10 were asked for."""
    old = api.generate(opened(), row_groups=[0]).version
    old.metadata.unlink()
    before = snapshot(old.directory)
    changed = {"seed": 8, "num_records": 10}
    if mode == "always":
        with pytest.raises(ConfigDriftError, match="seed: 7 is now 8"):
            api.generate(opened(**changed), resume=mode)
    else:
        new = api.generate(opened(**changed), resume=mode).version
        assert stored_records(new) == stored_records(
            api.generate(opened(root="alone", **changed)).version
        )
        assert read_metadata(new.metadata).actual_num_records == 10
    assert snapshot(old.directory) == before


def test_if_possible_goes_on_in_the_version_of_the_changed_config(
    opened: Opener,
) -> None:
    """Data Designer's hole R5: each run with a changed config begins another directory."""
    api.generate(opened())
    api.generate(opened(seed=8), row_groups=[0])
    summary = api.generate(opened(seed=8))
    assert (summary.adopted, summary.generated) == (1, 15)
    assert len(opened().layout.versions()) == 2


DROPPED = (PLAIN[0], PLAIN[1] | {"drop": True})


def test_always_raises_on_dropped_column_mismatch(opened: Opener) -> None:
    api.generate(opened(*DROPPED))
    before = snapshot(opened().layout.directory)
    with pytest.raises(ConfigDriftError, match=r"columns\[1\]\.drop"):
        api.generate(opened(), resume="always")
    assert snapshot(opened().layout.directory) == before


def test_if_possible_starts_fresh_on_dropped_column_mismatch(opened: Opener) -> None:
    old = api.generate(opened(*DROPPED)).version
    before = snapshot(old.directory)
    new = api.generate(opened()).version
    assert new.name != old.name and not new.dropped_columns.exists()
    assert snapshot(old.directory) == before
    assert stored_records(new) == stored_records(old), (
        "only the place of the column differs"
    )


@pytest.mark.parametrize("content", [b"{", b"columns: 3", None])
def test_unreadable_stored_config_decides_nothing(
    opened: Opener, content: bytes | None
) -> None:
    """`config.yaml` is for people: the fingerprint in `metadata.json` says whether a config is the same."""
    version = api.generate(opened()).version
    version.config.unlink() if content is None else version.config.write_bytes(content)
    with pytest.raises(ConfigDriftError, match="so the changes cannot be named"):
        api.generate(opened(seed=8), resume="always")
    assert api.generate(opened(), resume="always").adopted == 3


def test_if_possible_incompatible_config_keeps_images_apart(opened: Opener) -> None:
    image = {
        "column_type": "image",
        "name": "image",
        "prompt": "{{ plan }}",
        "model_alias": "painter",
    }
    models = {
        "model_providers": [{"name": "p", "provider_type": "simulated"}],
        "model_configs": [
            {
                "alias": "painter",
                "model": "m",
                "provider": "p",
                "inference_parameters": {"generation_type": "image"},
            }
        ],
        "num_records": 3,
    }
    old = api.generate(opened(*PLAIN, image, **models)).version
    before = snapshot(old.directory)
    new = api.generate(opened(*PLAIN, image, **models, seed=8)).version
    assert snapshot(old.directory) == before
    shown = {path for row in stored_records(new).values() for path in row["image"]}
    assert (
        shown == {f"images/{path}" for path in snapshot(new.images)} and len(shown) == 3
    ), "and no orphan"


def test_closure_captured_state_is_not_seen_and_version_is_there_for_that(
    opened: Opener,
) -> None:
    def times(factor: int) -> Callable[[dict[str, Any]], int]:
        return lambda row: factor * len(row["plan"])

    def column(version: int) -> dict[str, Any]:
        own = {
            "column_type": "custom",
            "name": "size",
            "generator_function": "times",
            "output_type": "int",
        }
        return {**own, "required_columns": ["plan"], "version": version}

    api.generate(opened(*PLAIN, column(1), functions={"times": times(2)}))
    same = opened(*PLAIN, column(1), functions={"times": times(7)})
    assert api.generate(same, resume="always").adopted == 3
    with pytest.raises(
        ConfigDriftError, match=r"columns\[2\]\.version: '?1'? is now '?2'?"
    ):
        api.generate(
            opened(*PLAIN, column(2), functions={"times": times(7)}), resume="always"
        )


# --- what is made -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "done", [[0, 1, 2], [0, 1, 2, 3], [5], [0, 1, 2, 4, 5]], ids=str
)
def test_row_group_resume_plan_keeps_offsets_and_completed_ids(
    opened: Opener, done: list[int]
) -> None:
    """Half complete, a little more, complete at the end only, almost complete."""
    top = {"num_records": 17, "row_group_size": 3}
    version = api.generate(opened(**top), row_groups=done).version
    before = snapshot(version.row_groups)
    events: list[Event] = []
    api.generate(opened(**top), on_event=events.append)
    (started,) = (event for event in events if isinstance(event, RunStarted))
    assert (started.row_groups, started.complete) == (6 - len(done), len(done))
    finished = {
        event.group.index: event
        for event in events
        if isinstance(event, RowGroupFinished)
    }
    assert [index for index, event in sorted(finished.items()) if event.adopted] == done
    assert {
        index: (e.footer.start, e.footer.size) for index, e in finished.items()
    } == {index: (3 * index, 2 if index == 5 else 3) for index in range(6)}
    assert before.items() <= snapshot(version.row_groups).items()


def test_not_already_complete_when_extension_fits_in_slack(opened: Opener) -> None:
    version = api.generate(opened()).version
    before = snapshot(version.row_groups)
    summary = api.generate(opened(num_records=28), resume="always")
    assert (summary.generated, summary.adopted, summary.written) == (3, 2, 1)
    after = snapshot(version.row_groups)
    assert {name for name in after if after[name] != before.get(name)} == {
        "batch_00002.parquet"
    }
    assert read_footer(version.row_group(2)).size == 8


async def test_already_complete_does_not_run_post_generation(opened: Opener) -> None:
    for expected in (0, 3):
        summary = await api.agenerate(opened(processors=[CHAT]))
        assert summary.adopted == expected and not summary.version.processed.exists()
        assert read_metadata(summary.version.metadata).post_generation_state == "none"


# --- metadata.json ----------------------------------------------------------------------------------------------------


def test_writes_metadata_before_the_first_row_group_and_at_the_end(
    opened: Opener,
) -> None:
    dataset = opened()
    metadata = dataset.layout.version(dataset.plan.fingerprint.version).metadata
    seen: list[bytes] = []

    def on_event(event: Event) -> None:
        if isinstance(event, RowGroupFinished):
            seen.append(metadata.read_bytes())

    api.generate(dataset, on_event=on_event)
    assert len(seen) == 3 and len({*seen}) == 1
    first, last = orjson.loads(seen[0]), read_metadata(metadata)
    assert (
        first["target_num_records"],
        first["total_num_batches"],
        first["actual_num_records"],
    ) == (25, 3, 0)
    assert (last.actual_num_records, last.num_completed_batches) == (25, 3)


@pytest.mark.parametrize(
    "stale",
    [{"actual_num_records": 999, "num_completed_batches": 0}, {"total_num_batches": 9}],
)
def test_resume_already_complete_refreshes_metadata_from_filesystem(
    opened: Opener, stale: dict[str, int]
) -> None:
    version = api.generate(opened()).version
    wanted = read_metadata(version.metadata)
    update_metadata(version, **stale)
    assert api.generate(opened(), resume="always").adopted == 3
    assert (
        read_metadata(version.metadata).model_copy(
            update={"updated_at": wanted.updated_at}
        )
        == wanted
    )


@pytest.mark.parametrize("original", [7, 25, 100])
def test_a_stale_original_target_decides_nothing(opened: Opener, original: int) -> None:
    """Neither below what is on disk nor above the target: offsets come from the plan, counts from the files."""
    version = api.generate(opened()).version
    update_metadata(version, original_target_num_records=original)
    assert api.generate(opened(), resume="always").adopted == 3
    assert api.generate(opened(num_records=38), resume="always").generated == 13
    assert read_metadata(version.metadata).actual_num_records == 38
    assert stored_records(version) == stored_records(
        api.generate(opened(root="at_once", num_records=38)).version
    )


def test_actual_num_records_in_the_crash_window_of_an_extension(opened: Opener) -> None:
    """The new target is on disk and no record of it: the way back is open, and so is the way on."""
    api.generate(opened())
    grown = opened(num_records=51)
    chosen = choose_version(grown.layout, grown.plan, mode="if_possible")
    version = create_or_resume(grown.layout, chosen, grown.plan).layout
    found = read_metadata(version.metadata)
    assert (found.target_num_records, found.actual_num_records) == (51, 25)
    assert (api.status(grown).records, api.status(grown).remaining) == (25, 26)
    assert api.generate(opened(), resume="always").adopted == 3
    assert read_metadata(version.metadata).target_num_records == 25
    assert api.generate(grown, resume="always").generated == 26


# --- post-generation --------------------------------------------------------------------------------------------------


def sealed(opened: Opener) -> VersionLayout:
    version = api.generate(opened()).version
    api.process(opened())
    return version


def test_marks_post_generation_started_before_running_processors(
    opened: Opener,
) -> None:
    dataset = opened(processors=[CHAT])
    version = api.generate(dataset).version
    states: list[str] = []
    api.process(
        dataset,
        on_row_group=lambda index: states.append(
            read_metadata(version.metadata).post_generation_state
        ),
    )
    assert states == ["started"] * 3
    assert read_metadata(version.metadata).post_generation_state == "complete"


def test_post_generation_processed_smaller_target_raises(opened: Opener) -> None:
    version = sealed(opened)
    before = snapshot(version.directory)
    with pytest.raises(SealedError):
        api.generate(opened(num_records=20))
    with pytest.raises(ShrinkError):
        api.process(opened(num_records=20))
    assert snapshot(version.directory) == before


def test_post_generation_processed_extension_raises(opened: Opener) -> None:
    version = sealed(opened)
    before = snapshot(version.directory)
    for num_records in (26, 50):
        for act in (api.generate, api.process):
            with pytest.raises(SealedError, match="sealed") as raised:
                act(opened(num_records=num_records))
            assert "sdg reopen" in str(raised.value)
    assert snapshot(version.directory) == before
    api.reopen(opened())
    assert api.generate(opened(num_records=50)).generated == 25


@pytest.mark.parametrize(
    "field",
    ["target_num_records", "original_target_num_records", "post_generation_state"],
)
def test_post_generation_processed_missing_target_raises_clearly(
    opened: Opener, field: str
) -> None:
    version = sealed(opened)
    content = orjson.loads(version.metadata.read_bytes())
    del content[field]
    version.metadata.write_bytes(orjson.dumps(content))
    before = snapshot(version.directory)
    for act in (api.generate, api.process, api.reopen):
        with pytest.raises(MetadataFieldError, match=field):
            act(opened())
    assert snapshot(version.directory) == before
