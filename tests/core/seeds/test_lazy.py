"""A parquet seed is read lazily: counted in bytes and decoded rows, not in seconds."""

import gc
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl
import pytest

from sdg_core.seeds.files import LocalFile
from sdg_core.seeds.parquet import CHUNK_ROWS, ChunkCache, ParquetReader

ROWS = 1_000_000
GROUP = 100_000


class CountedFile(LocalFile):
    """A file that counts the bytes read from it, and the handles left open."""

    def __init__(self, path: Path) -> None:
        self.bytes_read = self.opened = self.closed = 0
        super().__init__(path)

    def open(self) -> IO[bytes]:
        self.opened += 1
        return cast(IO[bytes], _Counted(self))


class _Counted:
    def __init__(self, file: CountedFile) -> None:
        self._file, self._inner = file, file.path.open("rb")

    def read(self, size: int = -1) -> bytes:
        content = self._inner.read(size)
        self._file.bytes_read += len(content)
        return content

    def seek(self, place: int, whence: int = 0) -> int:
        return self._inner.seek(place, whence)

    def tell(self) -> int:
        return self._inner.tell()

    @property
    def closed(self) -> bool:
        return self._inner.closed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def flush(self) -> None:
        return

    def close(self) -> None:
        self._file.closed += not self._inner.closed
        self._inner.close()

    def __enter__(self) -> "_Counted":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seed") / "million.parquet"
    words = np.random.default_rng(0).integers(0, 2**62, ROWS)
    frame = pl.DataFrame(
        {
            "row": np.arange(ROWS),
            "word": words,
            "text": [f"text {i}" for i in range(ROWS)],
        }
    )
    frame.write_parquet(path, row_group_size=GROUP, use_pyarrow=True)
    return path


def opened(
    path: Path, *, limit: int | None = None
) -> tuple[ParquetReader, CountedFile]:
    file = CountedFile(path)
    return ParquetReader(
        file, cache=ChunkCache(limit) if limit is not None else None
    ), file


def test_schema_and_length_need_the_footer_only(path: Path) -> None:
    reader, file = opened(path)
    assert reader.num_rows == ROWS and reader.schema.names == ["row", "word", "text"]
    assert file.bytes_read < 100_000 and reader.rows_decoded == 0


def test_a_slice_reads_its_row_group_up_to_its_end(path: Path) -> None:
    reader, file = opened(path)
    assert reader.read(np.arange(500_000, 501_000))["row"].to_list() == [
        *range(500_000, 501_000)
    ]
    assert reader.rows_decoded <= CHUNK_ROWS
    assert file.bytes_read < 0.25 * path.stat().st_size
    assert reader.read(np.arange(599_000, 601_000))["row"].to_list() == [
        *range(599_000, 601_000)
    ]
    assert GROUP < reader.rows_decoded <= GROUP + CHUNK_ROWS


def test_reading_on_in_order_decodes_every_row_once(path: Path) -> None:
    reader, file = opened(path, limit=2**20)
    for start in range(0, ROWS, 2_500):
        frame = reader.read(np.arange(start, start + 2_500))
        assert frame["row"][0] == start and frame["text"][-1] == f"text {start + 2_499}"
    assert reader.rows_decoded == ROWS
    assert file.bytes_read < 1.1 * path.stat().st_size


def test_random_rows_decode_data_that_fits_the_cache_once(path: Path) -> None:
    reader, _ = opened(path)
    order = np.random.default_rng(1).permutation(ROWS)
    for start in range(0, 20_000, 1_000):
        assert (
            reader.read(order[start : start + 1_000])["row"].to_list()
            == order[start : start + 1_000].tolist()
        )
    assert reader.rows_decoded == ROWS


def test_random_rows_beyond_the_cache_are_right_and_cost_one_pass_each(
    path: Path,
) -> None:
    reader, file = opened(path, limit=1)
    order = np.random.default_rng(1).permutation(ROWS)
    for place in range(3):
        rows = order[place * 1_000 : (place + 1) * 1_000]
        assert reader.read(rows)["row"].to_list() == rows.tolist()
    assert reader.rows_decoded <= 3 * ROWS
    del reader
    gc.collect()
    assert file.opened == file.closed, "every handle is closed"


def test_memory_is_bounded_whatever_the_order(tmp_path: Path) -> None:
    """480 MB of text once decoded, in row groups of 120; the process may grow by one of those and a little."""
    path = tmp_path / "wide.parquet"
    frame = pl.DataFrame(
        {"row": np.arange(1000), "text": [f"{i:03d} " * 300 for i in range(1000)]}
    )
    pl.concat([frame] * 400).write_parquet(
        path, row_group_size=100_000, use_pyarrow=True
    )
    script = (
        "import resource, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from sdg_core.seeds.files import LocalFile\n"
        "from sdg_core.seeds.parquet import ChunkCache, ParquetReader\n"
        "reader = ParquetReader(LocalFile(Path(sys.argv[1])), cache=ChunkCache(2**24))\n"
        "rows = np.random.default_rng(0).permutation(reader.num_rows)[:1000]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert reader.read(rows)['row'].to_list() == (rows % 1000).tolist()\n"
        "for start in range(0, 120_000, 10_000):\n"
        "    assert reader.read(np.arange(start, start + 10_000)).height == 10_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) < 100_000, "kilobytes"
