"""Files that were changed by a byte or by many: what is read is rows, or the documented error that names the file.

With `SDG_LONG` set, ten times as many.
"""

import bz2
import gzip
import io
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.config.seeds import LocalSeedSource, SeedConfig
from sdg_core.errors import SdgError, SeedError
from sdg_core.pipelines.readers.base import SourceError
from sdg_core.pipelines.readers.tables import read_parquet
from sdg_core.pipelines.store import PartitionFooter
from sdg_core.pipelines.store import read_footer as read_partition_footer
from sdg_core.seeds import parquet, parquet_batches, tables
from sdg_core.seeds.files import LocalFile
from sdg_core.seeds.readers import open_seeds
from sdg_core.store.row_groups import FOOTER_KEY, Footer, read_footer
from tests.hostile.test_fuzz import with_odd_values
from tests.support.sdg import category, dataset_config

NUMBERS = itertools.count()
FACTOR = 10 if os.environ.get("SDG_LONG") else 1
FEW = settings(
    max_examples=60 * FACTOR,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ROWS = [
    {"a": 1, "b": "é", "c": 2.5, "d": None},
    {"a": -7, "b": 'x,"y\n', "c": 1e300, "d": "z"},
] * 3


def parquet_of(rows: list[dict[str, Any]] = ROWS, **options: Any) -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def arrow() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, pa.Table.from_pylist(ROWS).schema) as writer:
        writer.write_table(pa.Table.from_pylist(ROWS))
    return sink.getvalue()


LINES = "\n".join(json.dumps(row) for row in ROWS).encode()
CONTENTS: dict[str, bytes] = {
    "csv": pl.DataFrame(ROWS).write_csv().encode(),
    "jsonl": LINES,
    "json": json.dumps(ROWS).encode(),
    "parquet": parquet_of(row_group_size=2),
    "parquet2": parquet_of(
        compression="zstd", use_dictionary=False, version="1.0", write_statistics=False
    ),
    "csv.gz": gzip.compress(pl.DataFrame(ROWS).write_csv().encode(), mtime=0),
    "jsonl.zst": pa.compress(LINES, codec="zstd", asbytes=True),
    "arrow": arrow(),
}
ODD = [
    b"\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"PAR1",
    b"{",
    b"[[[[",
    b'"',
    b"\n",
    b",",
    b"\xed\xa0\x80",
    b"9" * 400,
    b"1e999",
]


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some changes, which favour its end, where footers are."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        back = draw(st.integers(1, max(1, min(len(data), 64))))
        at = (
            draw(st.one_of(st.integers(0, len(data) - 1), st.just(len(data) - back)))
            if data
            else 0
        )
        match draw(
            st.sampled_from(["flip", "set", "insert", "cut", "drop", "repeat", "other"])
        ):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if data:
                data[at] = draw(st.sampled_from([0, 1, 127, 128, 255]))
            case "insert":
                data[at:at] = draw(st.sampled_from(ODD))
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + back]
            case "repeat":
                data[at:at] = data[at : at + back] * draw(st.integers(1, 3))
            case "other":
                data[at:] = draw(st.sampled_from([*CONTENTS.values()]))[at:]
    return bytes(data)


def read_all(path: Path) -> int:
    seeds = open_seeds(
        SeedConfig(source=LocalSeedSource(path=str(path))),
        seed=0,
        base=path.parent,
        root=str(path.parent),
    )
    count = seeds.info().num_rows
    seen = 0
    for start in range(0, min(count, 50), 7):
        seen += seeds.read(np.arange(start, min(start + 7, count, 50))).height
    return seen


@pytest.mark.parametrize("kind", CONTENTS)
@FEW
@given(data=st.data())
def test_seed_files(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    suffix = kind.rstrip("2")
    path = tmp_path / f"file{next(NUMBERS)}.{suffix}"
    path.write_bytes(data.draw(mutated(CONTENTS[kind])))
    try:
        read_all(path)
    except SeedError as error:
        assert path.name in str(error), str(error)
    finally:
        path.unlink()


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_TEXT_BYTES", 2**16)
    for name, content in (("a.csv.gz", gzip.compress), ("a.jsonl.bz2", bz2.compress)):
        (tmp_path / name).write_bytes(content(b"a\n" + b"1\n" * 2**16))
        with pytest.raises(SeedError, match=f"{name} is larger than"):
            read_all(tmp_path / name)


def reserved_mib() -> int:
    """The addresses that this process has, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def test_damaged_compressed_files_reserve_no_memory_for_good(tmp_path: Path) -> None:
    """pyarrow reserves all that it is told to read, here 2 GiB, and does not free it when it fails."""
    whole = CONTENTS["jsonl.zst"]
    (tmp_path / "a.jsonl.zst").write_bytes(whole[:-9] + b"\0" + whole[-8:])
    before = reserved_mib()
    for _ in range(4):
        with pytest.raises(SeedError, match="a.jsonl.zst cannot be read as jsonl"):
            read_all(tmp_path / "a.jsonl.zst")
    assert reserved_mib() - before < 2_000


MIB = 2**20


def repeated(text: str, times: int) -> pa.Table:
    places = pa.array(np.zeros(times, dtype=np.int32))
    return pa.table({"a": pa.DictionaryArray.from_arrays(places, [text])})


def long_list(length: int) -> pa.Table:
    items = pa.array(np.zeros(length, dtype=np.int8))
    return pa.table(
        {"a": pa.ListArray.from_arrays(pa.array([0, length], pa.int32()), items)}
    )


BOMBS: dict[str, tuple[Callable[[], pa.Table], dict[str, Any]]] = {
    "one text in every row": (lambda: repeated("x" * MIB, 2**14), {}),
    "beginnings of texts": (
        lambda: repeated("x" * MIB, 2**7),
        {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}},
    ),
    "wide nulls": (lambda: pa.table({"a": pa.nulls(2**11, pa.binary(2**16))}), {}),
    "one long list": (lambda: long_list(2**24), {}),
}


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """64 MiB for decoding parquet, in processes of their own."""
    processes = parquet_batches._Processes()
    monkeypatch.setattr(parquet_batches, "processes", processes)
    monkeypatch.setattr(parquet_batches, "MEMORY", 64 * MIB)
    yield
    processes.close()


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("kind", BOMBS)
def test_parquet_that_decodes_to_too_much_is_refused(tmp_path: Path, kind: str) -> None:
    table, options = BOMBS[kind]
    path = tmp_path / "a.parquet"
    pq.write_table(
        table(),
        path,
        compression="zstd",
        store_schema=False,
        write_statistics=False,
        **options,
    )
    assert path.stat().st_size < 100_000
    with pytest.raises(
        SeedError, match=r"a\.parquet cannot be read as parquet: .*was stopped"
    ):
        read_all(path)
    handle = LocalFile(path)
    with pytest.raises(SourceError, match="was stopped"):
        list(read_parquet(handle, None))
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    assert read_all(path) == len(ROWS)


@pytest.mark.usefixtures("little_memory")
def test_what_a_chunk_decodes_to_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MAX_BYTES", MIB)
    path = tmp_path / "a.parquet"
    pq.write_table(repeated("x" * 500, 2**13), path, store_schema=False)
    with pytest.raises(SeedError, match="of its rows take more than"):
        read_all(path)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "b.jsonl", "a.parquet"])
def test_a_zero_character_in_a_name_is_refused(tmp_path: Path, name: str) -> None:
    if name == "a.parquet":
        pq.write_table(pa.table({"a\0": [1]}), tmp_path / name)
    else:
        texts = {
            "a.csv": "a\0,b\n1,2\n",
            "a.jsonl": '{"a\\u0000": 1}',
            "b.jsonl": '{"a": {"b\\u0000": 1}}',
        }
        (tmp_path / name).write_text(texts[name])
    with pytest.raises(SeedError, match="NUL character"):
        read_all(tmp_path / name)


COLUMN = {
    "column_type": "llm-text",
    "name": "t",
    "prompt": "{{ plan }}",
    "model_alias": "writer",
}


def dataset(root: Path) -> api.Dataset:
    config = dataset_config(category("plan", "a", "b"), COLUMN) | {
        "num_records": 8,
        "row_group_size": 4,
    }
    config |= {"model_providers": [{"name": "p", "provider_type": "simulated"}]}
    config |= {"model_configs": [{"alias": "writer", "model": "m", "provider": "p"}]}
    return api.open_dataset(config, root=root)


def notes(root: Path) -> pipelines.OpenPipeline:
    stages = [{"stage": "split", "column": "content", "size": 4, "checkpoint": True}]
    config = {
        "kind": "pipeline",
        "name": "notes",
        "sources": {"reader": "files", "path": "*.md"},
        "stages": stages,
    }
    (root / "notes.yaml").write_text(yaml.safe_dump(config))
    (root / "a.md").write_text("some text")
    return pipelines.open_pipeline(root / "notes.yaml", root=root)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stored")
    api.generate(dataset(root), row_groups=[0])
    pipelines.generate(notes(root))
    return root


def looked_at(root: Path) -> None:
    status = api.status(dataset(root)).to_dict()
    assert sum(found["count"] for found in status["states"].values()) == 2


def gone_on_with(root: Path) -> None:
    assert api.generate(dataset(root)).remaining == 0


def pipeline_gone_on_with(root: Path) -> None:
    opened = notes(root)
    pipelines.status(opened).to_dict()
    pipelines.plan(opened)
    assert pipelines.generate(opened).rows == 3


OWN: dict[str, tuple[str, Callable[[Path], None]]] = {
    "row group": ("tickets/*/row_groups/batch_00000.parquet", looked_at),
    "row group, continued": ("tickets/*/row_groups/batch_00000.parquet", gone_on_with),
    "ledger": (".sdg/ledger.db", gone_on_with),
    "current": ("tickets/current.json", gone_on_with),
    "partition": ("notes/*/sources/00000.parquet", pipeline_gone_on_with),
    "partitions": ("notes/partitions/00000.json", pipeline_gone_on_with),
    "checkpoint": ("notes/checkpoints/*/*/*.zst", pipeline_gone_on_with),
}


@pytest.mark.parametrize("kind", OWN)
@settings(FEW, max_examples=25 * FACTOR)
@given(data=st.data())
def test_files_of_ours(
    tmp_path: Path, stored: Path, kind: str, data: st.DataObject
) -> None:
    """A damaged file of ours is found out, or does no harm; what names it is an error of ours."""
    pattern, use = OWN[kind]
    root = tmp_path / f"copy{next(NUMBERS)}"
    shutil.copytree(stored, root)
    (path,) = root.glob(pattern)
    path.write_bytes(data.draw(mutated(path.read_bytes())))
    try:
        use(root)
    except SdgError as error:
        assert path.name in str(error) or root.name in str(error), str(error)
    finally:
        shutil.rmtree(root)


def with_footer(source: Path, target: Path, footer: bytes) -> Path:
    table = pq.read_table(source)
    pq.write_table(table.replace_schema_metadata({FOOTER_KEY: footer}), target)
    return target


@st.composite
def odd_json(draw: st.DrawFn, content: bytes) -> bytes:
    """A document with odd values in some places."""
    return json.dumps(draw(with_odd_values(json.loads(content), most=2))).encode()


FOOTERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "row group": ("tickets/*/row_groups/batch_00000.parquet", read_footer),
    "partition": ("notes/*/sources/00000.parquet", read_partition_footer),
}


ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "row group": TypeAdapter(Footer),
    "partition": TypeAdapter(PartitionFooter),
}


@pytest.mark.parametrize("kind", FOOTERS)
@settings(FEW, max_examples=25 * FACTOR)
@given(data=st.data())
def test_footers(tmp_path: Path, stored: Path, kind: str, data: st.DataObject) -> None:
    """A footer is what it should be in every part, or the file is corrupt."""
    pattern, read = FOOTERS[kind]
    (source,) = stored.glob(pattern)
    footer = pq.read_metadata(source).metadata[FOOTER_KEY]
    path = with_footer(source, tmp_path / "odd.parquet", data.draw(odd_json(footer)))
    try:
        found = read(path)
    except SdgError as error:
        assert "odd.parquet" in str(error)
    else:
        ADAPTERS[kind].dump_python(found, mode="json", warnings="error")


@pytest.mark.parametrize(
    ("everywhere", "claimed"), [(True, 2**62), (False, 2**31), (False, 3)]
)
def test_rows_that_a_parquet_file_only_claims(
    tmp_path: Path, everywhere: bool, claimed: int
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [*range(100)]}), path, write_statistics=False)
    content = path.read_bytes()
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    said = b"\x16" + varint(100)  # a field of 64 bits in Thrift's compact form
    footer = content[start:-8].replace(
        said, b"\x16" + varint(claimed), -1 if everywhere else 1
    )
    path.write_bytes(
        content[:start] + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    )
    with pytest.raises(SeedError, match="its footer says"):
        open_seeds(
            SeedConfig(source=LocalSeedSource(path=str(path))),
            seed=0,
            base=tmp_path,
            root=str(tmp_path),
        ).info()


def varint(number: int) -> bytes:
    """A number that is not negative, in zigzag form, seven bits a byte."""
    left = 2 * number
    found = bytearray()
    while left > 127:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])
