"""Each way in which `metadata.json` and `current.json` can be wrong has its own error, and none is papered over."""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.errors import (
    MetadataCorruptError,
    MetadataError,
    MetadataFieldError,
    MetadataMissingError,
    MetadataVersionError,
)
from sdg_core.plan.usage import add_usage
from sdg_core.store.metadata import (
    SCHEMA_VERSION,
    Metadata,
    create_metadata,
    new_metadata,
    read_current,
    read_metadata,
    write_current,
)
from tests.support.sdg import dataset_config, llm, open_dataset, uuid


@pytest.fixture
def metadata(tmp_path: Path) -> Metadata:
    dataset = open_dataset(
        tmp_path / "d.yaml",
        dataset_config(uuid(), llm("text", "{{ id }}")),
        root=tmp_path,
    )
    return new_metadata(dataset.plan)


def test_round_trip(tmp_path: Path, metadata: Metadata) -> None:
    path = tmp_path / "metadata.json"
    changed = metadata.model_copy(
        update={
            "usage": {"writer": {"requests": 3}},
            "post_generation_state": "started",
        }
    )
    create_metadata(path, lambda: changed)
    found = read_metadata(path)
    assert found.model_copy(update={"updated_at": changed.updated_at}) == changed
    assert found.sealed and not metadata.sealed


OPTIONAL = (
    "forced",
    "created_by_run",
    "config_column_hashes",
    "kept_by_processor",
    "removed_by_processor",
    "processor_marks",
    "processor_methods",
    "removal_examples",
    "earlier_versions",
    "retry_reasons",
    "abandoned_usage",
    "estimate",
)
"""Fields that metadata of earlier releases does not have."""


def test_every_field_of_the_design_is_written(
    tmp_path: Path, metadata: Metadata
) -> None:
    path = tmp_path / "metadata.json"
    create_metadata(path, lambda: metadata)
    content = orjson.loads(path.read_bytes())
    fields = """schema_version dataset_name config_hash config_hash_algo config_hash_version seed simulated target_num_records
        original_target_num_records actual_num_records buffer_size total_num_batches num_completed_batches post_generation_state
        post_generation_processed usage created_at updated_at library_versions forced created_by_run config_column_hashes
        kept_by_processor removed_by_processor processor_marks processor_methods removal_examples earlier_versions retry_reasons
        abandoned_usage estimate"""
    assert set(content) == set(fields.split())
    assert (
        content["dataset_name"] == "tickets"
        and content["target_num_records"] == 25
        and content["buffer_size"] == 10
    )
    assert (
        content["total_num_batches"] == 3
        and content["simulated"] is True
        and content["seed"] == 7
    )
    assert {"python", "polars", "pyarrow", "numpy"} <= set(content["library_versions"])


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(MetadataMissingError, match=r"metadata\.json does not exist"):
        read_metadata(tmp_path / "metadata.json")


def test_empty(tmp_path: Path) -> None:
    for content in (b"", b"  \n"):
        (tmp_path / "metadata.json").write_bytes(content)
        with pytest.raises(MetadataCorruptError, match=r"metadata\.json is empty"):
            read_metadata(tmp_path / "metadata.json")


def test_truncated_anywhere(tmp_path: Path, metadata: Metadata) -> None:
    path = tmp_path / "metadata.json"
    create_metadata(path, lambda: metadata)
    whole = path.read_bytes()
    for length in range(1, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(MetadataCorruptError, match="truncated or overwritten"):
            read_metadata(path)


@pytest.mark.parametrize("content", [b"[]", b"null", b'"text"', b"3"])
def test_no_object(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metadata.json").write_bytes(content)
    with pytest.raises(MetadataCorruptError, match="holds no JSON object"):
        read_metadata(tmp_path / "metadata.json")


def altered(tmp_path: Path, metadata: Metadata, **changes: Any) -> Path:
    content = {**metadata.model_dump(), **changes}
    path = tmp_path / "metadata.json"
    path.write_bytes(
        orjson.dumps(
            {key: value for key, value in content.items() if value is not ...},
            default=str,
        )
    )
    return path


@pytest.mark.parametrize(
    "field", [field for field in Metadata.model_fields if field not in OPTIONAL]
)
def test_every_field_is_required(
    tmp_path: Path, metadata: Metadata, field: str
) -> None:
    with pytest.raises(
        MetadataFieldError, match=rf"metadata\.json: {field}: field required"
    ) as raised:
        read_metadata(altered(tmp_path, metadata, **{field: ...}))
    assert "--resume never" in str(raised.value.remedy)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", "7"),
        ("simulated", 1),
        ("buffer_size", 10.0),
        ("config_hash", None),
        ("post_generation_state", "finished"),
        ("usage", {"writer": {"requests": "3"}}),
        ("library_versions", []),
    ],
)
def test_a_field_of_the_wrong_type(
    tmp_path: Path, metadata: Metadata, field: str, value: object
) -> None:
    with pytest.raises(MetadataFieldError, match=field):
        read_metadata(altered(tmp_path, metadata, **{field: value}))


def test_a_file_of_a_newer_release_is_not_guessed_at(
    tmp_path: Path, metadata: Metadata
) -> None:
    path = altered(
        tmp_path,
        metadata,
        schema_version=SCHEMA_VERSION + 1,
        seed=...,
        post_generation_state="archived",
    )
    with pytest.raises(
        MetadataVersionError,
        match=f"schema_version {SCHEMA_VERSION + 1}.*up to {SCHEMA_VERSION}",
    ) as raised:
        read_metadata(path)
    assert "newer release" in str(raised.value.remedy)


def test_an_unknown_field_of_the_same_schema_version_is_accepted(
    tmp_path: Path, metadata: Metadata
) -> None:
    assert read_metadata(altered(tmp_path, metadata, note="hello")) == metadata


def test_random_damage_never_ends_in_another_exception(
    tmp_path: Path, metadata: Metadata
) -> None:
    path = tmp_path / "metadata.json"
    create_metadata(path, lambda: metadata)
    whole = path.read_bytes()
    draw = random.Random(5)
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            read_metadata(path)
        except MetadataError as error:
            assert str(path) in str(error)


def test_current(tmp_path: Path) -> None:
    path = tmp_path / "current.json"
    assert read_current(path) is None
    write_current(path, "0123456789ab-2")
    assert read_current(path) == "0123456789ab-2"
    assert orjson.loads(path.read_bytes()) == {"version": "0123456789ab-2"}
    for content, kind in (
        (b"", MetadataCorruptError),
        (b'{"ver', MetadataCorruptError),
        (b'{"version": 3}', MetadataFieldError),
    ):
        path.write_bytes(content)
        with pytest.raises(kind, match=r"current\.json"):
            read_current(path)


counts = st.dictionaries(
    st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9))
)


@given(counts, counts, counts)
def test_usage_adds_up_in_any_order(a: Any, b: Any, c: Any) -> None:
    total = add_usage(add_usage(a, b), c)
    assert total == add_usage(a, add_usage(b, c)) == add_usage(add_usage(c, a), b)
    for alias, name in ((alias, name) for alias in "ab" for name in "xyz"):
        assert total.get(alias, {}).get(name, 0) == sum(
            x.get(alias, {}).get(name, 0) for x in (a, b, c)
        )
