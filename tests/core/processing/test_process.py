"""Post-generation: complete row groups in, a finished and sealed dataset out, as often as it takes."""

import asyncio
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core import api
from sdg_core.errors import (
    CorruptFileError,
    IncompleteError,
    SdgError,
    SealedError,
    StoreError,
)
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from sdg_core.store.versions import update_metadata
from tests.core.execution.test_loop import PickyServer, chain
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    fill_disk,
    llm,
    open_dataset,
    small_disk,
    snapshot,
    stored_records,
    uuid,
)

CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {
        "messages": [
            {"role": "system", "content": "fixed"},
            {"role": "user", "content": "{{ secret }} {{ plan }}"},
            {"role": "assistant", "content": "{{ title }}"},
        ],
        "meta": {
            "id": "{{ id }}",
            "weight": 0.5,
            "tags": ["a", "{{ plan }}"],
            "final": True,
            "version": 3,
        },
        "none": [],
    },
}
COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    llm("secret", "about {{ id }}", drop=True),
    expression("title", "{{ plan }}-{{ id }}"),
)


def opened(tmp_path: Path, **top: Any) -> api.Dataset:
    config = dataset_config(*COLUMNS, **{"processors": [CHAT], **top})
    return open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")


def output(version: VersionLayout, name: str) -> pa.Table:
    return pq.read_table(version.processed / name)


def test_the_finished_dataset_has_every_record_in_order_and_the_planned_schema(
    tmp_path: Path,
) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    before = snapshot(version.row_groups)
    told: list[int] = []
    result = api.process(dataset, on_row_group=told.append)
    assert (result.num_rows, result.already_done, told) == (25, False, [0, 1, 2])
    assert result.outputs == (version.processed / "dataset", version.processed / "chat")
    table = output(version, "dataset")
    assert table.schema.remove_metadata() == dataset.plan.kept_schema
    assert table.column_names == ["id", "plan", "title"]
    expected = [
        {k: row[k] for k in table.column_names}
        for _, row in sorted(stored_records(version).items())
    ]
    assert table.to_pylist() == expected
    assert snapshot(version.row_groups) == before
    metadata = read_metadata(version.metadata)
    assert (metadata.post_generation_state, metadata.post_generation_processed) == (
        "complete",
        True,
    )


def test_the_schema_transform_nests_and_may_use_dropped_columns(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    api.process(dataset)
    rows = output(version, "chat").to_pylist()
    for record, row in zip(stored_records(version).values(), rows, strict=True):
        assert row == {
            "messages": [
                {"role": "system", "content": "fixed"},
                {"role": "user", "content": f"{record['secret']} {record['plan']}"},
                {"role": "assistant", "content": record["title"]},
            ],
            "meta": {
                "id": record["id"],
                "weight": 0.5,
                "tags": ["a", record["plan"]],
                "final": True,
                "version": 3,
            },
            "none": [],
        }


def test_processing_twice_writes_nothing_the_second_time(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    first = api.process(dataset)
    before = snapshot(version.directory)
    second = api.process(dataset)
    assert (second.num_rows, second.outputs, second.already_done) == (
        first.num_rows,
        first.outputs,
        True,
    )
    assert snapshot(version.directory) == before


def test_other_outputs_of_a_sealed_dataset_need_a_reopening(tmp_path: Path) -> None:
    api.generate(opened(tmp_path))
    api.process(opened(tmp_path))
    other = opened(tmp_path, processors=[{**CHAT, "name": "talk"}])
    with pytest.raises(
        SealedError,
        match="sealed with outputs chat, dataset, but the config now has dataset, talk",
    ):
        api.process(other)
    assert api.reopen(other)
    assert api.process(other).outputs[1].name == "talk"


def test_another_template_of_a_sealed_dataset_needs_a_reopening(tmp_path: Path) -> None:
    """The old output does not pass for that of the new template."""
    api.generate(opened(tmp_path))
    version = api.process(opened(tmp_path)).version
    before = snapshot(version.directory)
    other = opened(
        tmp_path, processors=[{**CHAT, "template": {"text": "{{ title }}!"}}]
    )
    with pytest.raises(
        SealedError, match="the template of processor 'chat' has changed"
    ) as raised:
        api.process(other)
    assert "sdg reopen" in str(raised.value)
    assert snapshot(version.directory) == before
    assert api.process(opened(tmp_path)).already_done
    api.reopen(other)
    api.process(other)
    assert all(
        text.endswith("!") for text in output(version, "chat")["text"].to_pylist()
    )


def test_no_data_and_missing_row_groups_are_listed(tmp_path: Path) -> None:
    dataset = opened(tmp_path, num_records=100)
    with pytest.raises(IncompleteError, match="holds no data of this config") as raised:
        api.process(dataset)
    assert "generate it first" in str(raised.value)
    version = api.generate(dataset, row_groups=[0, 3, 4]).version
    version.row_group(4).write_bytes(b"damaged")
    for allow in (False, True):
        with pytest.raises(
            IncompleteError,
            match=r"8 of 10 row groups are incomplete \(corrupt, missing\): 1-2, 4-9",
        ):
            api.process(dataset, allow_missing=allow)
    assert not version.processed.exists() and not read_metadata(version.metadata).sealed


def incomplete(tmp_path: Path, **top: Any) -> tuple[api.Dataset, VersionLayout]:
    """A dataset in which some records have failed permanently."""
    columns = (
        uuid(),
        category("plan", "good", "bad"),
        llm("secret", "{{ plan }} {{ id }}", drop=True),
    )
    chat = {**CHAT, "template": {"text": "{{ secret }}"}}

    async def generate() -> tuple[api.Dataset, VersionLayout]:
        async with PickyServer("bad") as server:
            run = {"max_failure_rate": 1.0, **top.pop("run", {})}
            dataset = chain(
                server, tmp_path, *columns, processors=[chat], run=run, **top
            )
            return dataset, (await api.agenerate(dataset)).version

    return asyncio.run(generate())


def test_failed_records_are_left_out_only_by_word(tmp_path: Path) -> None:
    dataset, version = incomplete(tmp_path)
    kept = stored_records(version)
    with pytest.raises(
        IncompleteError,
        match=f"{25 - len(kept)} of 25 records have no row, in row groups 0-2",
    ) as raised:
        api.process(dataset)
    assert "--allow-missing" in str(raised.value) and "max_missing_rate" in str(
        raised.value
    )
    result = api.process(dataset, allow_missing=True)
    assert result.num_rows == len(kept)
    assert output(version, "chat")["text"].to_pylist() == [
        row["secret"] for _, row in sorted(kept.items())
    ]


def test_failed_records_may_be_left_out_by_a_rate(tmp_path: Path) -> None:
    dataset, version = incomplete(tmp_path / "enough", run={"max_missing_rate": 0.9})
    assert api.process(dataset).num_rows == len(stored_records(version))
    dataset, _ = incomplete(tmp_path / "too_little", run={"max_missing_rate": 0.01})
    with pytest.raises(IncompleteError):
        api.process(dataset)


def test_dropped_columns_that_are_ahead_of_their_row_group_are_cut_to_it(
    tmp_path: Path,
) -> None:
    """A crash between the two writes of a retried row group leaves them so."""
    dataset, version = incomplete(tmp_path, row_group_size=25)
    behind = version.row_group(0).read_bytes()
    kept = stored_records(version)

    async def retry() -> None:
        async with PickyServer() as server:
            await api.agenerate(
                chain(server, tmp_path, *_columns_of(dataset), row_group_size=25)
            )

    asyncio.run(retry())
    assert len(stored_records(version)) == 25
    version.row_group(0).write_bytes(behind)
    api.process(dataset, allow_missing=True)
    assert output(version, "chat")["text"].to_pylist() == [
        row["secret"] for _, row in sorted(kept.items())
    ]


def _columns_of(dataset: api.Dataset) -> list[dict[str, Any]]:
    return [
        column.model_dump(mode="json", exclude_none=True)
        for column in dataset.plan.config.columns
    ]


def test_sealed_refuses_generation_until_reopened(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    assert api.seal_of(dataset) is None and not api.reopen(dataset)
    api.process(dataset)
    assert api.seal_of(dataset) is not None and api.status(dataset).sealed
    before = snapshot(version.directory)
    for more in ({}, {"num_records": 50}):
        with pytest.raises(SealedError, match="has been applied"):
            api.generate(opened(tmp_path, **more))
    assert snapshot(version.directory) == before
    assert api.reopen(dataset)
    assert not version.processed.exists() and api.seal_of(dataset) is None
    assert api.generate(opened(tmp_path, num_records=50)).generated == 25
    assert api.process(opened(tmp_path, num_records=50)).num_rows == 50


def test_a_crash_between_publishing_and_sealing_runs_again(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    api.process(dataset)
    before = snapshot(version.processed)
    update_metadata(
        version, post_generation_state="started", post_generation_processed=False
    )
    with pytest.raises(
        SealedError, match=r"has started; `sdg process FILE` finishes it"
    ):
        api.generate(dataset)
    result = api.process(dataset)
    assert not result.already_done
    assert snapshot(version.processed) == before
    assert read_metadata(version.metadata).post_generation_processed


def test_processed_output_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    api.process(dataset)
    before = snapshot(version.processed)
    for path in sorted(version.processed.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    version.processed.rmdir()
    assert api.process(dataset).num_rows == 25
    assert snapshot(version.processed) == before


def test_output_left_by_a_crash_while_reopening_can_be_removed(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    api.process(dataset)
    update_metadata(
        version, post_generation_state="none", post_generation_processed=False
    )
    assert api.reopen(dataset)
    assert not version.processed.exists()


def test_a_damaged_page_is_found_and_named(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    version = api.generate(dataset).version
    content = bytearray(version.row_group(1).read_bytes())
    content[4:200] = b"\xff" * 196
    version.row_group(1).write_bytes(content)
    with pytest.raises(
        CorruptFileError, match=r"batch_00001\.parquet is damaged"
    ) as raised:
        api.process(dataset)
    assert "generate again" in str(raised.value)
    assert not version.processed.exists()


def test_a_transform_that_cannot_be_rendered_says_which_and_leaves_no_output(
    tmp_path: Path,
) -> None:
    bad = {**CHAT, "template": {"text": "{{ title / 2 }}"}}
    dataset = opened(tmp_path, processors=[bad])
    version = api.generate(dataset).version
    with pytest.raises(SdgError, match="processor 'chat'") as raised:
        api.process(dataset)
    assert "fix its template" in str(raised.value)
    assert not version.processed.exists() and not list(version.directory.glob(".tmp*"))
    assert api.process(opened(tmp_path)).num_rows == 25, "fixed, it goes on"


def test_a_full_disk_stops_processing_and_leaves_row_groups_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "root", megabytes=16):
        dataset = opened(tmp_path, num_records=8000, row_group_size=2000)
        version = api.generate(dataset).version
        before = snapshot(version.row_groups)
        filler = fill_disk(tmp_path / "root", leave=100_000)  # enough for the ledger
        with pytest.raises(StoreError, match="No space left on device") as raised:
            api.process(dataset)
        assert "free some space" in str(raised.value)
        assert not version.processed.exists() and not list(
            version.directory.glob(".tmp*")
        )
        assert snapshot(version.row_groups) == before
        assert capfd.readouterr().err == "", "no writer complains when it is collected"
        filler.unlink()
        assert api.process(dataset).num_rows == 8000
