"""What every place that data may be stored in promises: a directory of this machine, or an object store."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core.errors import (
    CorruptFileError,
    MetadataCorruptError,
    MetadataFieldError,
    MetadataMissingError,
    MetadataVersionError,
    SeedError,
    StoreError,
    UnrecognizedFileError,
)
from sdg_core.plan.compile import compile_plan
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.load import load_dataset
from sdg_core.store import footer_index as footers
from sdg_core.store.atomic import (
    atomic_file,
    create_files,
    ensure_writable,
    quarantine,
    read_modify_write,
    read_or_none,
    remove_directory,
    write_atomic,
    write_files,
)
from sdg_core.store.failures import Failure, dump_failures, read_failures
from sdg_core.store.images import ImageFiles
from sdg_core.store.layout import DatasetLayout, VersionLayout, resolve_root
from sdg_core.store.listing import directory_names, list_files, read_end
from sdg_core.store.metadata import (
    change_metadata,
    create_metadata,
    new_metadata,
    parse_metadata,
    read_current,
    read_metadata,
    write_current,
)
from sdg_core.store.objects import ObjectPath, StorePath
from sdg_core.store.parts import finished_parts
from sdg_core.store.publish_files import NewFile
from sdg_core.store.row_group_state import (
    RowGroupState,
    index_row_groups,
    scan_row_groups,
)
from sdg_core.store.row_groups import (
    Footer,
    read_dropped,
    read_footer,
    read_rows,
    write_row_group,
)
from sdg_core.store.staged_output import new_output
from sdg_core.store.temporaries import clean_temporaries
from tests.support.sdg import category, dataset_config, uuid, write_config

PLACES = ("disk", "memory", "s3", "ceph")
object_stores = pytest.mark.parametrize("root", PLACES[1:], indirect=True)
"""For what a file system does not know: there a directory is renamed at once."""
where_races_are_decided = pytest.mark.parametrize(
    "root", ("disk", "memory", "ceph"), indirect=True
)
"""moto looks and then writes, so two writers may both be told that they came first."""


@pytest.fixture(params=PLACES)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> StorePath:
    """An empty root."""
    match request.param:
        case "disk":
            text = str(tmp_path / "root")
        case "memory":
            pytest.importorskip("obstore")
            text = f"memory://{uuid4().hex}/some/prefix"
        case server:
            text = request.getfixturevalue(server).new_root()
    return resolve_root(text, env={}, base=tmp_path)


@pytest.fixture
def plan(tmp_path: Path) -> DatasetPlan:
    config = dataset_config(
        uuid(), category("plan", "free", "pro"), num_records=700, row_group_size=10
    )
    return compile_plan(
        load_dataset(
            write_config(tmp_path / "tickets.yaml", config), env={}, functions=None
        ),
        None,
    )


@pytest.fixture
def version(root: StorePath, plan: DatasetPlan) -> VersionLayout:
    return DatasetLayout(root, "tickets").version(plan.fingerprint.version)


def footer_of(plan: DatasetPlan, index: int, **changes: object) -> Footer:
    group = plan.row_groups[index]
    footer = Footer(
        schema_version=1,
        dataset="tickets",
        config_hash=plan.fingerprint.config_hash,
        column_hashes=dict(plan.fingerprint.column_hashes),
        row_group=index,
        start=group.start,
        size=group.size,
        missing=[],
        resized=False,
        usage={"writer": {"requests": 3}},
        usage_by_column={"answer": {"writer": {"requests": 3}}},
        counted={},
        simulated=False,
        created_at="2026-01-01T00:00:00+00:00",
        run_id="r",
    )
    return footer.model_copy(update=changes)


def write_group(
    version: VersionLayout, plan: DatasetPlan, index: int, **changes: object
) -> Footer:
    footer = footer_of(plan, index, **changes)
    table = pa.table({"n": footer.records()})
    write_row_group(version.row_group(index), table, footer)
    return footer


def test_a_path_behaves_as_one(root: StorePath) -> None:
    path = root / "tickets" / "batch_00001.parquet"
    assert (path.name, path.stem, path.suffix) == (
        "batch_00001.parquet",
        "batch_00001",
        ".parquet",
    )
    assert (
        path.parent == root / "tickets"
        and path.with_name("other") == root / "tickets" / "other"
    )
    assert str(path) == f"{root}/tickets/batch_00001.parquet"
    assert hash(path) == hash(root / "tickets" / "batch_00001.parquet")
    assert (
        path.as_uri().endswith("/tickets/batch_00001.parquet")
        and "://" in path.as_uri()
    )
    assert sorted([root / "b", root / "a"], key=str) == [root / "a", root / "b"]
    assert resolve_root(str(root), env={}, base=Path("elsewhere")) == root


def test_a_file_is_written_replaced_and_listed(root: StorePath) -> None:
    path = root / "tickets" / "file"
    assert (
        not path.exists()
        and not path.is_file()
        and not path.parent.is_dir()
        and read_or_none(path) is None
    )
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new" and path.read_text(encoding="utf-8") == "new"
    assert path.exists() and path.is_file() and not path.is_dir()
    assert path.parent.is_dir() and not path.parent.is_file() and path.parent.exists()
    assert [item.name for item in path.parent.iterdir()] == ["file"]
    assert list(path.parent.glob("f*")) == [path] and list(path.parent.glob("g*")) == []
    path.unlink()
    assert read_or_none(path) is None


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(
    root: StorePath, error: BaseException
) -> None:
    path = root / "file"
    write_atomic(path, b"old")
    with pytest.raises(type(error)), atomic_file(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert [item.name for item in root.iterdir()] == ["file"]


def test_what_refuses_publishing_keeps_the_old_file(root: StorePath) -> None:
    from contextlib import contextmanager

    @contextmanager
    def refuse():  # type: ignore[no-untyped-def]
        raise ValueError("the claim is lost")
        yield

    path = root / "file"
    write_atomic(path, b"old")
    with (
        pytest.raises(ValueError, match="the claim is lost"),
        atomic_file(path, commit_guard=refuse) as file,
    ):
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in root.iterdir()] == ["file"]


@pytest.mark.parametrize("size", [0, 1, 100_000, 20_000_000])
def test_a_file_of_any_size_is_written_and_read(root: StorePath, size: int) -> None:
    content = np.random.default_rng(size).bytes(size)
    write_atomic(root / "file", content)
    assert (root / "file").read_bytes() == content
    assert read_end(root / "file", 1000) == (
        content[-1000:] if size > 1000 else content,
        size,
    )


def test_an_absent_file_is_told_from_an_empty_one(root: StorePath) -> None:
    with pytest.raises(FileNotFoundError):
        (root / "absent").read_bytes()
    with pytest.raises(FileNotFoundError):
        read_end(root / "absent", 10)
    write_atomic(root / "empty", b"")
    assert read_or_none(root / "empty") == b"" and read_or_none(root / "absent") is None


def test_listings_tell_a_changed_file_from_an_unchanged_one(root: StorePath) -> None:
    assert list_files(root / "d") == [] and directory_names(root) == []
    for name in ("a", "b"):
        write_atomic(root / "d" / name, b"same size")
    before = {file.name: file.stamp for file in list_files(root / "d")}
    write_atomic(root / "d" / "b", b"same-size")
    after = {file.name: file.stamp for file in list_files(root / "d")}
    assert before.keys() == after.keys() == {"a", "b"}
    assert (before["a"] == after["a"], before["b"] == after["b"]) == (True, False)
    assert directory_names(root) == ["d"]


@object_stores
def test_two_writers_of_one_file_lose_no_change(root: StorePath) -> None:
    """The second writes between the reading and the writing of the first; on a disk a lock keeps it out (test_atomic.py)."""
    path, calls = root / "count", []

    def add_one(old: bytes | None) -> bytes:
        calls.append(old)
        if len(calls) == 1:
            write_atomic(path, b"41")
        return str(int(old or b"0") + 1).encode()

    assert read_modify_write(path, add_one) == b"42"
    # Ceph refuses the first condition on an etag for its quotation marks, so it is asked twice.
    assert calls[:2] == [None, b"41"] and set(calls[1:]) == {b"41"}, (
        "what others made meanwhile is not replaced unseen"
    )
    calls.clear()
    write_atomic(path, b"1")
    assert read_modify_write(path, add_one) == b"42"
    assert calls[:1] == [b"1"] and set(calls[1:]) == {b"41"}
    assert read_modify_write(path, lambda old: None) == b"42"


@where_races_are_decided
def test_racing_writers_of_one_file_lose_no_change(root: StorePath) -> None:
    path = root / "count"
    start = threading.Barrier(8)

    def count(_: int) -> None:
        start.wait()
        for _ in range(20):
            read_modify_write(path, lambda old: str(int(old or b"0") + 1).encode())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(8)))
    assert path.read_bytes() == b"160"


@where_races_are_decided
def test_of_racing_beginners_one_makes_the_metadata(
    root: StorePath, plan: DatasetPlan
) -> None:
    path = root / "metadata.json"
    start = threading.Barrier(8)

    def begin(number: int) -> int:
        start.wait()
        create_metadata(
            path, lambda: new_metadata(plan).model_copy(update={"seed": number})
        )
        return read_metadata(path).seed

    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(begin, range(8)))
    assert len(set(seen)) == 1, "the second reader gets what the first has written"


def test_a_store_that_compares_etags_without_their_quotation_marks_is_understood() -> (
    None
):
    class Bare:
        """A bucket that hands out quoted etags and compares bare ones."""

        url, content, puts = "s3://bare", b"1", 0

        def get(self, key: str) -> tuple[bytes, str]:
            return self.content, f'"{self.puts}"'

        def put_if(self, key: str, content: bytes, *, etag: str | None) -> None:
            if etag != str(self.puts):
                raise FileExistsError(key)
            self.content, self.puts = content, self.puts + 1

    bucket = Bare()
    read_modify_write(ObjectPath(bucket, "count"), lambda old: (old or b"") + b"1")  # type: ignore[arg-type]
    assert (bucket.content, bucket.puts) == (b"11", 1)


def test_a_file_moved_aside_never_replaces_another(root: StorePath) -> None:
    places = []
    for content in (b"first", b"second"):
        write_atomic(root / "row_groups" / "batch_00000.parquet", content)
        places.append(
            quarantine(root / "row_groups" / "batch_00000.parquet", root / "quarantine")
        )
    assert [place.read_bytes() for place in places] == [b"first", b"second"]
    assert sorted(place.name for place in places) == [
        "batch_00000.0.parquet",
        "batch_00000.1.parquet",
    ]
    assert list_files(root / "row_groups") == []


def files_below(directory: StorePath) -> dict[str, bytes]:
    found = {}
    for path in directory.iterdir():
        if path.is_dir():
            found |= {
                f"{path.name}/{name}": content
                for name, content in files_below(path).items()
            }
        else:
            found[path.name] = path.read_bytes()
    return found


def write_output(target: StorePath, files: dict[str, bytes]) -> None:
    with new_output(target) as output:
        for name, content in files.items():
            file = output.create(name)
            file.file.write(content)
            file.finish()


def test_an_output_replaces_a_larger_one_without_a_rest_of_it(root: StorePath) -> None:
    target = root / "processed"
    write_output(
        target,
        {
            "dataset/part-00000": b"1",
            "dataset/part-00001": b"2",
            "chat/part-00000": b"3",
        },
    )
    write_output(target, {"dataset/part-00000": b"new"})
    assert files_below(root) == {"processed/dataset/part-00000": b"new"}
    remove_directory(target)
    remove_directory(target)
    assert not target.exists()


def test_an_output_that_fails_is_not_mistaken_for_a_finished_one(
    root: StorePath, version: VersionLayout, plan: DatasetPlan
) -> None:
    layout = DatasetLayout(root, "tickets")
    create_metadata(version.metadata, lambda: new_metadata(plan))
    write_current(layout.current, version.name)
    change_metadata(version.metadata, post_generation_state="started")
    with pytest.raises(KeyboardInterrupt), new_output(version.processed) as output:
        file = output.create("dataset/part-00000.parquet")
        file.finish()
        output.create("dataset/part-00001.parquet").abandon()
        raise KeyboardInterrupt
    with pytest.raises(SeedError, match="is not finished"):
        finished_parts(layout)
    write_output(version.processed, {"dataset/part-00000.parquet": b"x"})
    change_metadata(version.metadata, post_generation_state="complete")
    assert [part.name for part in finished_parts(layout)] == ["part-00000.parquet"]


@object_stores
def test_a_version_that_is_half_removed_is_never_mistaken_for_a_whole(
    root: StorePath,
    version: VersionLayout,
    plan: DatasetPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(root, ObjectPath)
    for index in range(3):
        write_group(version, plan, index)
    for path in (
        version.metadata,
        version.config,
        version.footers,
        version.processed_dataset / "part-00000.parquet",
    ):
        write_atomic(path, b"content")
    seen, delete = [], root.bucket.delete

    def deleting(keys: list[str]) -> None:
        delete(keys)
        there = (
            version.existing_row_groups(),
            version.metadata.exists(),
            version.processed.exists(),
        )
        seen.append((bool(there[0]), *there[1:]))

    monkeypatch.setattr(root.bucket, "delete", deleting)
    remove_directory(version.directory)
    assert seen == [(False, True, True), (False, False, True), (False, False, False)]
    assert not version.directory.exists()


def test_a_writable_place_is_proved_and_left_empty(root: StorePath) -> None:
    ensure_writable(root / "tickets")
    assert list((root / "tickets").iterdir()) == []


def test_leftovers_of_dead_processes_are_removed(root: StorePath) -> None:
    import os
    import re
    import socket

    from sdg_core.store.temporaries import temporary_name

    own = temporary_name("probe")
    elsewhere = own.replace(socket.gethostname(), "elsewhere")
    dead = re.sub(rf"(-{os.getpid()}-)[0-9a-f]{{8}}", r"\g<1>00000000", own)
    for name in (own, elsewhere, dead, "file"):
        write_atomic(root / name, b"")
    clean_temporaries(root)
    assert {path.name for path in root.iterdir()} == {own, elsewhere, "file"}
    clean_temporaries(root / "absent")


def test_row_groups_tell_what_they_are(
    version: VersionLayout, plan: DatasetPlan
) -> None:
    footer = write_group(version, plan, 3, missing=[32, 35])
    assert read_footer(version.row_group(3)) == footer
    assert read_rows(version.row_group(3))["n"].to_pylist() == [
        30,
        31,
        33,
        34,
        36,
        37,
        38,
        39,
    ]
    assert read_rows(version.row_group(3), columns=[]).num_rows == 8
    assert version.existing_row_groups() == [3]
    write_row_group(version.dropped(3), pa.table({"d": footer.records() * 2}), footer)
    kept = np.array([31, 39], dtype=np.int64)
    with pytest.raises(CorruptFileError, match="is missing records"):
        read_dropped(version.dropped(3), np.array([32], dtype=np.int64))
    assert read_dropped(version.dropped(3), kept)["d"].to_pylist() == [62, 78]
    with pytest.raises(CorruptFileError, match="is missing; it held"):
        read_dropped(version.dropped(4), kept)


def test_a_footer_longer_than_what_is_read_first_is_read(
    version: VersionLayout, plan: DatasetPlan
) -> None:
    usage = {
        "writer": {f"a kind of token {number}": number for number in range(20_000)}
    }
    footer = write_group(version, plan, 0, usage=usage)
    assert read_footer(version.row_group(0)) == footer


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "beheaded of its end": lambda content: content[:-1],
    "not parquet": lambda content: b"hello" * 100,
    "short": lambda content: b"PAR1",
    "a footer of nonsense length": lambda content: (
        content[:-8] + b"\xff\xff\xff\x7fPAR1"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_row_groups_are_corrupt(
    version: VersionLayout, plan: DatasetPlan, damage: str
) -> None:
    for index in (0, 1):
        write_group(version, plan, index)
    path = version.row_group(1)
    write_atomic(path, DAMAGES[damage](path.read_bytes()))
    with pytest.raises(
        CorruptFileError, match="batch_00001.parquet is not a complete parquet file"
    ):
        read_footer(path)
    states = [status.state for status in scan_row_groups(version, plan)]
    assert states[:3] == [
        RowGroupState.COMPLETE,
        RowGroupState.CORRUPT,
        RowGroupState.MISSING,
    ]


def test_damaged_data_is_corrupt_where_the_footer_is_whole(
    version: VersionLayout, plan: DatasetPlan
) -> None:
    write_group(version, plan, 0)
    content = bytearray(version.row_group(0).read_bytes())
    content[4:60] = b"\xff" * 56
    write_atomic(version.row_group(0), bytes(content))
    read_footer(version.row_group(0))
    with pytest.raises(CorruptFileError, match="is damaged"):
        read_rows(version.row_group(0))


def test_foreign_and_misplaced_files_are_told_apart(
    version: VersionLayout, plan: DatasetPlan
) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": [1]}), sink)
    write_atomic(version.row_group(0), sink.getvalue().to_pybytes())
    with pytest.raises(UnrecognizedFileError, match="was not written by sdg"):
        read_footer(version.row_group(0))
    write_group(version, plan, 1, dataset="other")
    write_group(version, plan, 2, config_hash="sha256:0")
    write_group(version, plan, 3, missing=[31])
    found = scan_row_groups(version, plan)
    assert [status.foreign for status in found[:4]] == [True, False, False, False]
    assert [status.state for status in found[:4]] == [RowGroupState.CORRUPT] * 3 + [
        RowGroupState.PARTIAL
    ]
    assert "'other'" in str(found[1].reason) and "config_hash" in str(found[2].reason)
    assert list(found[3].remaining) == [31]


def test_an_absent_row_group_is_an_error_of_the_store(version: VersionLayout) -> None:
    for read in (read_footer, read_rows):
        with pytest.raises(StoreError, match="cannot read"):
            read(version.row_group(0))


METADATA_FAULTS: dict[
    str, tuple[Callable[[dict[str, object]], bytes], type[Exception], str]
] = {
    "empty": (lambda data: b"", MetadataCorruptError, "is empty"),
    "truncated": (
        lambda data: orjson.dumps(data)[:100],
        MetadataCorruptError,
        "is not JSON",
    ),
    "a list": (lambda data: b"[]", MetadataCorruptError, "holds no JSON object"),
    "a missing field": (
        lambda data: orjson.dumps(
            {k: v for k, v in data.items() if k != "config_hash"}
        ),
        MetadataFieldError,
        "config_hash: field required",
    ),
    "a wrong type": (
        lambda data: orjson.dumps(data | {"seed": "7"}),
        MetadataFieldError,
        "seed",
    ),
    "the future": (
        lambda data: orjson.dumps(data | {"schema_version": 99}),
        MetadataVersionError,
        "schema_version 99",
    ),
}


@pytest.mark.parametrize("fault", METADATA_FAULTS)
def test_metadata_that_cannot_be_trusted_is_told_apart_and_left_alone(
    version: VersionLayout, plan: DatasetPlan, fault: str
) -> None:
    damage, error, message = METADATA_FAULTS[fault]
    content = damage(new_metadata(plan).model_dump())
    write_atomic(version.metadata, content)
    with pytest.raises(error, match=message) as raised:
        read_metadata(version.metadata)
    assert str(version.metadata) in str(raised.value) and raised.value.remedy  # type: ignore[attr-defined]
    with pytest.raises(error):
        change_metadata(version.metadata, num_completed_batches=1)
    create_metadata(version.metadata, lambda: new_metadata(plan))
    assert version.metadata.read_bytes() == content


def test_metadata_is_made_once_changed_and_read(
    root: StorePath, version: VersionLayout, plan: DatasetPlan
) -> None:
    layout = DatasetLayout(root, "tickets")
    with pytest.raises(MetadataMissingError):
        read_metadata(version.metadata)
    assert read_current(layout.current) is None and layout.versions() == []
    create_metadata(version.metadata, lambda: new_metadata(plan))
    create_metadata(version.metadata, lambda: pytest.fail("there is one"))
    changed = change_metadata(version.metadata, num_completed_batches=5)
    assert (
        changed == read_metadata(version.metadata)
        and changed.num_completed_batches == 5
    )
    assert parse_metadata(version.metadata, version.metadata.read_bytes()) == changed
    write_current(layout.current, version.name)
    assert read_current(layout.current) == version.name
    assert layout.versions() == [version.name]


def test_failures_and_images_are_kept(version: VersionLayout) -> None:
    failure = Failure(3, "answer", "permanent", "no", 2)
    assert read_failures(version.failure_list(0)) == []
    write_atomic(version.failure_list(0), dump_failures([failure]))
    assert read_failures(version.failure_list(0)) == [failure]
    images = ImageFiles(version)
    assert images.save("photo", 7, [b"one", b"two"]) == [
        "images/photo/7.png",
        "images/photo/7-1.png",
    ]
    assert (
        images.read("images/photo/7-1.png") == b"two"
        and images.read("images/photo/8.png") is None
    )
    assert [path.name for path in version.image_directories()] == ["photo"]


@pytest.fixture
def footers_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files whose footer is read, as it happens."""
    names: list[str] = []
    read = footers.read_footer

    def reading(path: StorePath) -> Footer:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(footers, "read_footer", reading)
    return names


def test_what_is_known_is_not_read_again(
    version: VersionLayout, plan: DatasetPlan, footers_read: list[str]
) -> None:
    for index in range(70):
        write_group(version, plan, index)
    before = scan_row_groups(version, plan)
    assert len(footers_read) == 70
    footers_read.clear()
    write_group(version, plan, 5, missing=[51])
    after = scan_row_groups(version, plan, known=before)
    assert footers_read == ["batch_00005.parquet"]
    assert [
        status.group.index for status in after if status.state is RowGroupState.PARTIAL
    ] == [5]
    assert after[4].footer == before[4].footer


def test_the_index_stands_for_the_files_as_long_as_they_are_the_same(
    version: VersionLayout, plan: DatasetPlan, footers_read: list[str]
) -> None:
    for index in range(70):
        write_group(version, plan, index)
    before = scan_row_groups(version, plan)
    index_row_groups(version, before)
    written = version.footers.read_bytes()
    footers_read.clear()
    indexed = scan_row_groups(version, plan)
    assert footers_read == [] and [replace(s, file=None) for s in indexed] == [
        replace(s, file=None) for s in before
    ]
    index_row_groups(version, indexed)
    assert version.footers.read_bytes() == written, "nothing new, nothing written"
    write_group(version, plan, 5, missing=[51])
    version.row_group(6).unlink()
    write_atomic(version.row_group(7), b"damaged")
    found = scan_row_groups(version, plan)
    assert sorted(footers_read) == ["batch_00005.parquet", "batch_00007.parquet"]
    states = [status.state.value for status in found[4:9]]
    assert states == ["complete", "partial", "missing", "corrupt", "complete"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not zstd",
        pa.compress(b"{}", codec="zstd", asbytes=True),
        pa.compress(b'{"format', codec="zstd", asbytes=True),
    ],
)
def test_an_index_that_is_damaged_or_gone_loses_nothing(
    version: VersionLayout, plan: DatasetPlan, footers_read: list[str], content: bytes
) -> None:
    for index in range(70):
        write_group(version, plan, index)
    write_atomic(version.footers, content)
    found = scan_row_groups(version, plan)
    assert len(footers_read) == 70 and {status.state for status in found} == {
        RowGroupState.COMPLETE
    }
    index_row_groups(version, found)
    footers_read.clear()
    scan_row_groups(version, plan)
    assert footers_read == []
    version.footers.unlink()
    scan_row_groups(version, plan)
    assert len(footers_read) == 70


def test_an_index_of_another_release_is_not_believed(
    version: VersionLayout,
    plan: DatasetPlan,
    footers_read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for index in range(70):
        write_group(version, plan, index)
    before = scan_row_groups(version, plan)
    with monkeypatch.context() as other:
        other.setattr(footers, "_fields", lambda: ["fewer"])
        index_row_groups(version, before)
    footers_read.clear()
    scan_row_groups(version, plan)
    assert len(footers_read) == 70


def _new(path: StorePath, content: bytes | None) -> NewFile:
    """A file with a content; None for one that cannot be filled."""

    def write(file: IO[bytes]) -> None:
        if content is None:
            raise ValueError("no content")
        file.write(content)

    return NewFile(path, write)


def test_files_that_are_written_together_are_all_there_or_none(root: StorePath) -> None:
    write_atomic(root / "a" / "0", b"old")
    paths = [root / folder / str(number) for folder in "ab" for number in range(20)]
    with pytest.raises(ValueError, match="no content"):
        write_files(
            [*(_new(path, b"new") for path in paths), _new(root / "a" / "last", None)]
        )

    @contextmanager
    def refused() -> Iterator[None]:
        raise RuntimeError("the claim is lost")
        yield

    with pytest.raises(RuntimeError, match="lost"):
        write_files([_new(path, b"new") for path in paths], commit_guard=refused)
    assert [file.name for file in list_files(root / "a")] == ["0"] and not list_files(
        root / "b"
    )
    assert (root / "a" / "0").read_bytes() == b"old"
    write_files([_new(path, str(path).encode()) for path in paths])
    assert all(path.read_bytes() == str(path).encode() for path in paths)
    assert sorted(file.name for file in list_files(root / "b")) == sorted(
        map(str, range(20))
    )


def test_of_two_writers_who_create_files_one_is_first(root: StorePath) -> None:
    mine = {root / "p" / f"{number:02d}": b"mine" for number in range(5)}
    theirs = {root / "p" / f"{number:02d}": b"theirs" for number in range(2, 7)}
    assert create_files({}) and create_files(mine) and not create_files(theirs)
    assert sorted(
        file.name for file in list_files(root / "p") if file.name[0] != "."
    ) == [path.name for path in mine]
    assert all(path.read_bytes() == b"mine" for path in mine)
