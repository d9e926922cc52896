"""Custom readers: found beside the dataset file or installed, checked, and part of the digest with their source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdg_core.config.seeds import CustomSeedSource
from sdg_core.errors import SeedError
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.custom import open_custom

COUNTING = """
import polars as pl, pyarrow as pa
from sdg_core.seeds.base import SeedReader

class Counting(SeedReader):
    schema = pa.schema([("n", pa.int64())])
    def __init__(self, *, upto: int, step: int = 1):
        self.upto, self.step = upto, step
    num_rows = property(lambda self: self.upto)
    def digest(self):
        return f"sha256:{self.upto}/{self.step}"
    def fetch(self, rows):
        return pl.DataFrame({"n": rows * self.step})
"""


def opened(
    base: Path,
    text: str = COUNTING,
    *,
    reader: str = "./readers.py:Counting",
    **params: Any,
) -> SeedReader:
    (base / "readers.py").write_text(text)
    return open_custom(
        CustomSeedSource(reader=reader, params=params), base=base, root="unused"
    )


def test_parameters_reach_the_constructor(tmp_path: Path) -> None:
    assert opened(tmp_path, upto=5, step=3).read(np.array([4, 0]))["n"].to_list() == [
        12,
        0,
    ]


@pytest.mark.parametrize(
    "reader", ["./readers.py:Counting", "readers.py:Counting", "readers:Counting"]
)
def test_a_file_beside_the_dataset_file_is_found_by_either_name(
    tmp_path: Path, reader: str
) -> None:
    assert opened(tmp_path, reader=reader, upto=2).num_rows == 2


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first = opened(tmp_path, upto=2)
    second = opened(
        tmp_path / "b", COUNTING.replace("rows * self.step", "rows + 100"), upto=2
    )
    assert (first.read(np.array([0])).item(), second.read(np.array([0])).item()) == (
        0,
        100,
    )


def test_an_installed_class_needs_a_mark(tmp_path: Path) -> None:
    with pytest.raises(
        SeedError,
        match="not defined in the dataset's project and not declared for use in dataset files",
    ):
        open_custom(
            CustomSeedSource(reader="json:JSONDecoder"), base=tmp_path, root="unused"
        )


def test_what_a_reader_says_of_its_data_is_heard(tmp_path: Path) -> None:
    text = (
        COUNTING
        + """
    def files(self):
        return {"counting.txt": "sha256:1"}
    def notices(self):
        return ("counted by hand",)
    def check_values(self):
        raise SeedError("row 3 has no number")
"""
    )
    text = "from sdg_core.api import SeedError\n" + text
    reader = opened(tmp_path, text, upto=2)
    assert reader.files() == {"counting.txt": "sha256:1"}
    assert reader.notices() == ("counted by hand",)
    with pytest.raises(SeedError, match="row 3 has no number"):
        reader.check_values()


def test_an_abstract_reader_is_none(tmp_path: Path) -> None:
    text = "from sdg_core.seeds.base import ItemReader\nclass Half(ItemReader):\n    pass\n"
    with pytest.raises(SeedError, match="readers.py:Half does not define"):
        opened(tmp_path, text, reader="./readers.py:Half")


def test_the_source_and_the_data_make_the_digest(tmp_path: Path) -> None:
    digest = opened(tmp_path, upto=5).digest()
    assert opened(tmp_path, upto=5).digest() == digest
    assert opened(tmp_path, upto=6).digest() != digest
    assert opened(tmp_path, COUNTING + "# a change\n", upto=5).digest() != digest


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        (
            COUNTING,
            {},
            r"params: missing a required argument: 'upto'\n  -> .* takes: upto, step",
        ),
        (
            COUNTING,
            {"upto": 1, "stride": 2},
            "params: got an unexpected keyword argument 'stride'",
        ),
        (
            COUNTING.replace("self.upto, self.step =", "1 / 0 #"),
            {"upto": 1},
            "constructor raised ZeroDivisionError",
        ),
        (
            COUNTING.replace("num_rows =", "rows ="),
            {"upto": 1},
            "does not define num_rows",
        ),
        (COUNTING.replace("(SeedReader)", ""), {"upto": 1}, "is not a seed reader"),
        (
            COUNTING.replace("class Counting", "class Other"),
            {"upto": 1},
            "readers.py has no 'Counting'",
        ),
        ("raise KeyError('x')", {}, "cannot be imported: KeyError"),
        ("def (", {}, "cannot be imported: SyntaxError"),
        (
            COUNTING.replace('pa.schema([("n", pa.int64())])', "None"),
            {"upto": 1},
            r"schema must be a pyarrow.Schema",
        ),
        (
            COUNTING.replace("pl.DataFrame(", "dict("),
            {"upto": 1},
            "fetch must return a polars DataFrame, not a dict",
        ),
        (
            COUNTING.replace('{"n": rows', '{"m": rows'),
            {"upto": 1},
            r"columns are \['m'\], but the schema says \['n'\]",
        ),
        (
            COUNTING.replace("rows * self.step", '["x"]'),
            {"upto": 1},
            "column 'n' does not fit its type",
        ),
        (
            COUNTING.replace("rows * self.step", "[1, 2, 3]"),
            {"upto": 1},
            "returned 3 seed rows, and 1 were requested",
        ),
        (
            COUNTING.replace("rows * self.step", "rows / 0 / nope"),
            {"upto": 1},
            "fetch raised NameError",
        ),
    ],
)
@pytest.mark.filterwarnings(
    "ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning"
)
def test_what_is_wrong_with_a_reader_is_said(
    tmp_path: Path, text: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(SeedError, match=message):
        reader = opened(tmp_path, text, **params)
        assert reader.schema.names and reader.num_rows
        reader.read(np.array([0]))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"readers/none\.py does not exist"):
        open_custom(
            CustomSeedSource(reader="./readers/none.py:X"), base=tmp_path, root="unused"
        )
    with pytest.raises(
        SeedError, match="no_such_module cannot be imported: no module named"
    ):
        open_custom(
            CustomSeedSource(reader="no_such_module:X"), base=tmp_path, root="unused"
        )
