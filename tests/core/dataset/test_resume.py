"""Which version a run goes into: the resume table cell by cell, with real files, and the rules that protect data."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from sdg_core import api
from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.drift import describe_drift
from sdg_core.dataset.events import Notice
from sdg_core.errors import (
    ConfigDriftError,
    MetadataCorruptError,
    MetadataFieldError,
    MetadataMissingError,
    RowGroupSizeError,
    SealedError,
    ShrinkError,
)
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.layout import DatasetLayout
from sdg_core.store.metadata import read_current, read_metadata
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

PLAIN = dataset_config(
    uuid(), category("plan", "free", "pro"), expression("title", "{{ plan }} {{ id }}")
)
CHANGED = {
    **PLAIN,
    "columns": [
        uuid(),
        category("plan", "free", "team"),
        expression("title", "{{ plan }} {{ id }}"),
    ],
}
MODES: list[ResumeMode] = ["if_possible", "always", "never"]


class Store:
    """A root with one dataset."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.root = directory, directory / "root"
        self.notices: list[str] = []

    def open(self, config: dict[str, Any] = PLAIN, **more: Any) -> api.Dataset:
        return open_dataset(
            self.directory / "tickets.yaml", {**config, **more}, root=self.root
        )

    def generate(
        self,
        config: dict[str, Any] = PLAIN,
        *,
        resume: ResumeMode | None = None,
        **more: Any,
    ) -> api.RunSummary:
        self.notices.clear()

        def on_event(event: object) -> None:
            if isinstance(event, Notice):
                self.notices.append(event.message)

        return api.generate(self.open(config, **more), resume=resume, on_event=on_event)

    @property
    def layout(self) -> DatasetLayout:
        return DatasetLayout(self.root, "tickets")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def fingerprint(store: Store, config: dict[str, Any] = PLAIN) -> str:
    return store.open(config).plan.fingerprint.version


@pytest.mark.parametrize("mode", MODES)
def test_no_data_yet_starts(store: Store, mode: ResumeMode) -> None:
    summary = store.generate(resume=mode)
    assert summary.generated == 25
    assert summary.version.name == fingerprint(store)
    assert read_current(store.layout.current) == summary.version.name
    assert any("starting" in notice for notice in store.notices)
    metadata = read_metadata(summary.version.metadata)
    assert (
        metadata.actual_num_records,
        metadata.num_completed_batches,
        metadata.target_num_records,
    ) == (25, 3, 25)


@pytest.mark.parametrize("mode", ["if_possible", "always"])
def test_the_same_fingerprint_resumes(store: Store, mode: ResumeMode) -> None:
    api.generate(store.open(), row_groups=[1])
    summary = store.generate(resume=mode)
    assert (summary.adopted, summary.written, summary.generated) == (1, 2, 15)
    before = snapshot(summary.version.row_groups)
    again = store.generate(resume=mode)
    assert (again.adopted, again.written, again.generated) == (3, 0, 0)
    assert snapshot(summary.version.row_groups) == before
    assert store.layout.versions() == [summary.version.name]


def test_never_with_the_same_fingerprint_makes_numbered_versions(store: Store) -> None:
    base = fingerprint(store)
    names = []
    for _ in range(11):
        before = {
            name: snapshot(store.layout.version(name).directory)
            for name in store.layout.versions()
        }
        names.append(store.generate(resume="never").version.name)
        for name, files in before.items():
            assert snapshot(store.layout.version(name).directory) == files
    assert names == [base, *(f"{base}-{number}" for number in range(2, 12))]
    assert store.layout.versions() == names, "by number, not by text"
    records = [stored_records(store.layout.version(name)) for name in names]
    assert all(found == records[0] for found in records)
    assert store.generate().version.name == f"{base}-11", "the last one goes on"


def test_drift_starts_a_new_version_and_keeps_the_old_one(store: Store) -> None:
    old = store.generate().version
    before = snapshot(old.directory)
    for mode in ("if_possible", "never"):
        new = store.generate(CHANGED, resume=mode).version
        assert new.name.startswith(fingerprint(store, CHANGED)) and new.name != old.name
    assert snapshot(old.directory) == before
    assert read_current(store.layout.current) == f"{fingerprint(store, CHANGED)}-2"


def test_drift_is_refused_by_always_before_anything_is_touched(store: Store) -> None:
    old = store.generate().version
    before = snapshot(store.root)
    with pytest.raises(ConfigDriftError) as raised:
        store.generate(CHANGED, resume="always", num_records=40)
    message = str(raised.value)
    assert f"differs from version {old.name}" in message
    assert "columns[1].params.values[1]: 'pro' is now 'team'" in message
    assert "num_records" not in message, "it is no reason to start a new version"
    assert "--resume if_possible" in message
    assert snapshot(store.root) == before


def test_drift_is_found_even_if_current_json_is_lost(store: Store) -> None:
    store.generate()
    store.layout.current.unlink()
    with pytest.raises(ConfigDriftError, match="'pro' is now 'team'"):
        store.generate(CHANGED, resume="always")
    assert store.generate(resume="always").adopted == 3


def test_changing_back_resumes_the_old_version(store: Store) -> None:
    api.generate(store.open(), row_groups=[0])
    store.generate(CHANGED)
    summary = store.generate()
    assert (summary.version.name, summary.adopted, summary.written) == (
        fingerprint(store),
        1,
        2,
    )
    assert read_current(store.layout.current) == fingerprint(store)


@pytest.mark.parametrize("mode", ["if_possible", "always"])
@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", MetadataCorruptError),
        (b"{}", MetadataFieldError),
        (None, MetadataMissingError),
    ],
)
def test_unreadable_metadata_stops_a_run(
    store: Store, mode: ResumeMode, content: bytes | None, error: type[Exception]
) -> None:
    version = store.generate().version
    version.metadata.unlink() if content is None else version.metadata.write_bytes(
        content
    )
    before = snapshot(store.root)
    for act in (
        lambda: store.generate(resume=mode),
        lambda: api.status(store.open()),
        lambda: api.process(store.open()),
    ):
        with pytest.raises(error, match=str(version.metadata)) as raised:
            act()
        assert "--resume never" in str(raised.value)
    assert snapshot(store.root) == before


def test_never_leaves_unreadable_metadata_behind(store: Store) -> None:
    version = store.generate().version
    version.metadata.write_bytes(b"{")
    store.layout.current.write_bytes(b"{")
    before = snapshot(version.directory)
    assert store.generate(resume="never").version.name == f"{version.name}-2"
    assert snapshot(version.directory) == before
    assert store.generate().adopted == 3


def test_an_unreadable_current_json_stops_a_run(store: Store) -> None:
    store.generate()
    store.layout.current.write_bytes(b'{"version": ')
    before = snapshot(store.root)
    with pytest.raises(MetadataCorruptError, match=r"current\.json"):
        store.generate()
    assert snapshot(store.root) == before


def test_metadata_of_another_dataset_is_not_used(store: Store) -> None:
    version = store.generate().version
    other = store.generate(CHANGED).version
    version.metadata.write_bytes(other.metadata.read_bytes())
    with pytest.raises(
        MetadataFieldError, match=r"config_hash is 'sha256:.*belongs to"
    ):
        store.generate()


def test_a_version_cut_off_before_its_metadata_is_begun_again(store: Store) -> None:
    version = store.layout.version(fingerprint(store))
    version.directory.mkdir(parents=True)
    version.config.write_text("half: a conf")
    assert store.generate(resume="always").generated == 25
    assert read_metadata(version.metadata).num_completed_batches == 3
    assert "half" not in version.config.read_text()


def test_extension_to_any_number_equals_one_run(store: Store, tmp_path: Path) -> None:
    versions = [store.generate(num_records=number).version for number in (25, 38, 51)]
    whole = Store(tmp_path / "whole").generate(num_records=51).version
    assert len(set(versions)) == 1
    assert stored_records(versions[0]) == stored_records(whole)
    for index in range(6):
        assert versions[0].row_group(index).exists()
    metadata, wanted = (
        read_metadata(versions[0].metadata),
        read_metadata(whole.metadata),
    )
    assert (
        metadata.original_target_num_records,
        wanted.original_target_num_records,
    ) == (25, 51)
    for field in (
        "target_num_records",
        "actual_num_records",
        "total_num_batches",
        "num_completed_batches",
    ):
        assert getattr(metadata, field) == getattr(wanted, field)


def test_rows_that_exist_are_not_made_again_by_an_extension(store: Store) -> None:
    simulated = dataset_config(uuid(), llm("text", "about {{ id }}"))
    counted = [
        store.generate(simulated, num_records=number) for number in (25, 38, 38, 51)
    ]
    assert [summary.generated for summary in counted] == [25, 13, 0, 13]
    assert [summary.adopted for summary in counted] == [0, 2, 4, 3]
    assert (
        api.status(store.open(simulated, num_records=51)).usage["writer"]["requests"]
        == 51
    )


def test_shrinking_below_what_exists_is_refused(store: Store) -> None:
    version = store.generate(num_records=38).version
    before = snapshot(store.layout.directory)
    for number in (37, 30, 29, 1):
        with pytest.raises(
            ShrinkError, match=f"num_records is {number}, .*records up to 37"
        ) as raised:
            store.generate(num_records=number)
        assert "38 or more" in str(raised.value)
        with pytest.raises(ShrinkError):
            api.process(store.open(num_records=number))
    assert snapshot(store.layout.directory) == before
    assert store.generate(num_records=38).adopted == 4
    version.row_group(3).unlink()
    assert store.generate(num_records=30).adopted == 3, (
        "records 30 to 37 do not exist any more"
    )


def test_a_plan_that_never_reached_its_end_may_shrink_to_what_exists(
    store: Store,
) -> None:
    api.generate(store.open(num_records=100), row_groups=[0, 1])
    assert store.generate(num_records=21).generated == 1


def test_another_row_group_size_needs_a_new_version(store: Store) -> None:
    version = store.generate().version
    before = snapshot(version.directory)
    for act in (
        lambda: store.generate(row_group_size=5),
        lambda: store.generate(row_group_size=5, resume="always"),
        lambda: api.process(store.open(row_group_size=5)),
        lambda: api.status(store.open(row_group_size=5)),
    ):
        with pytest.raises(
            RowGroupSizeError, match="row_group_size is 5, but .* was started with 10"
        ) as raised:
            act()
        assert "set row_group_size back to 10" in str(raised.value)
    assert snapshot(version.directory) == before
    new = store.generate(row_group_size=5, resume="never").version
    assert new.name == f"{version.name}-2"
    assert stored_records(new) == stored_records(version)


def test_a_sealed_version_is_refused_and_never_starts_another(store: Store) -> None:
    version = store.generate().version
    api.process(store.open())
    before = snapshot(store.root)
    for act in (
        store.generate,
        lambda: store.generate(num_records=60),
        lambda: store.generate(resume="always"),
    ):
        with pytest.raises(
            SealedError, match="is sealed: post-generation processing has been applied"
        ) as raised:
            act()
        assert "sdg reopen" in str(raised.value)
    assert snapshot(store.root) == before
    assert store.generate(resume="never").version.name == f"{version.name}-2"


def test_run_settings_and_paths_do_not_make_a_version(store: Store) -> None:
    store.generate()
    same = {
        **PLAIN,
        "description": "something else",
        "run": {"num_retries": 1, "max_failure_rate": 0.1},
    }
    assert store.generate(same, resume="always").adopted == 3


def drift(store: Store, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    plan: DatasetPlan = store.open(after).plan
    return describe_drift(store.generate(before).version, plan)


def test_drift_names_added_removed_and_reordered_columns(store: Store) -> None:
    columns = PLAIN["columns"]
    more = [category("size", 1, 2), *columns]
    assert drift(store, PLAIN, {**PLAIN, "columns": more}) == ["columns[size]: added"]
    assert drift(store, {**PLAIN, "columns": more}, PLAIN) == ["columns[size]: removed"]
    turned = [columns[1], columns[0], columns[2]]
    assert drift(store, PLAIN, {**PLAIN, "columns": turned}) == [
        "columns: their order changed"
    ]
    assert drift(store, PLAIN, {**PLAIN, "seed": 8}) == ["seed: 7 is now 8"]


def test_drift_of_seed_content_is_named(store: Store) -> None:
    seeds = store.directory / "seeds.csv"
    config = {
        **PLAIN,
        "seed_config": {"source": {"seed_type": "local", "path": "seeds.csv"}},
    }
    seeds.write_text("word\none\ntwo\n")
    store.generate(config)
    seeds.write_text("word\none\nthree\n")
    with pytest.raises(
        ConfigDriftError, match=r"seed data: 1 of 1 file changed \(seeds\.csv\)"
    ):
        store.generate(config, resume="always")
    seeds.write_text("word\none\ntwo\n")
    assert store.generate(config, resume="always").adopted == 3


def test_the_resolved_config_is_stored_and_gives_the_same_version(
    store: Store, tmp_path: Path
) -> None:
    version = store.generate(num_records=38).version
    reopened = api.open_dataset(version.config, root=str(store.root))
    assert reopened.plan.fingerprint.version == version.name
    assert reopened.plan.num_records == 38
    assert orjson.loads(version.metadata.read_bytes())["config_hash"].startswith(
        f"sha256:{version.name}"
    )


def test_status_says_what_is_there_when_num_records_was_lowered(store: Store) -> None:
    store.generate(num_records=38)
    lowered = api.status(store.open(num_records=1))
    assert lowered.records == 38 and lowered.to_dict()["records"]["actual"] == 38
    assert lowered.to_dict()["least_num_records"] == lowered.least_num_records == 38
    assert lowered.records_text.startswith(
        "38 records, more than num_records asks for now (1); "
    )
    assert (
        "set it to 38 or more" in lowered.records_text
        and "--resume never" in lowered.records_text
    )
    assert api.status(store.open(num_records=38)).records_text == "38 of 38 records"
    assert api.status(store.open(num_records=38)).least_num_records is None
