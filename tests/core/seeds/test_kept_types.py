"""Columns of parquet that can be kept, or are refused by name when the data is opened."""

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core.config.seeds import LocalSeedSource, SeedConfig
from sdg_core.errors import SeedError
from sdg_core.plan.dataset_plan import SeedInfo
from sdg_core.seeds.readers import open_seeds

DAY = datetime.date(2024, 2, 29)
EXTENSION = {
    b"ARROW:extension:name": b"pandas.period",
    b"ARROW:extension:metadata": b'{"freq": "D"}',
}


def opened(folder: Path, table: pa.Table, **options: Any) -> SeedInfo:
    """The table as seed data: what planning would be given."""
    pq.write_table(table, folder / "x.parquet", **options)
    config = SeedConfig(source=LocalSeedSource(path="x.parquet"))
    return open_seeds(config, seed=0, base=folder, root=str(folder)).info()


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (pa.field("v", pa.decimal256(50, 2)), "too many digits"),
        (
            pa.field("v", pa.list_(pa.struct([("d", pa.decimal256(50, 2))]))),
            "too many digits",
        ),
        (
            pa.field("v", pa.int64(), metadata=EXTENSION),
            "extension type \\(pandas.period\\)",
        ),
        (pa.field("v", pa.timestamp("us", "+05:30")), "fixed offset"),
    ],
)
def test_a_type_that_cannot_be_kept_is_refused_by_name(
    tmp_path: Path, field: pa.Field, reason: str
) -> None:
    with pytest.raises(SeedError, match=f"seed column 'v' has type .*{reason}"):
        opened(
            tmp_path,
            pa.Table.from_arrays(
                [pa.array([None], field.type)], schema=pa.schema([field])
            ),
        )


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([0, 2**31 - 1, None], pa.int32()).cast(pa.date32()),
        pa.array([-719_163, None, 5], pa.int32()).cast(pa.date32()),
        pa.array([0, 253_402_300_800_000_000, None]).cast(pa.timestamp("us")),
        pa.array([0, 253_402_300_800, None]).cast(pa.timestamp("s")),
        pa.array([[0], [2**31 - 1], None], pa.list_(pa.int32())).cast(
            pa.list_(pa.date32())
        ),
        pa.array([0, 2**62, None]).cast(pa.duration("ms")),
    ],
    ids=str,
)
def test_times_that_python_does_not_have_are_refused(
    tmp_path: Path, values: pa.Array, statistics: bool
) -> None:
    with pytest.raises(SeedError, match="column 'v' holds .*years 1 to 9999"):
        opened(tmp_path, pa.table({"v": values}), write_statistics=statistics)


@pytest.mark.parametrize("statistics", [True, False])
def test_the_first_and_last_times_are_kept(tmp_path: Path, statistics: bool) -> None:
    table = pa.table(
        {
            "day": [datetime.date.min, datetime.date.max],
            "moment": pa.array([datetime.date.min, datetime.date.max]).cast(
                pa.timestamp("us")
            ),
            "second": pa.array([datetime.date.min, None]).cast(pa.timestamp("s")),
            "clock": [datetime.time.min, datetime.time.max],
            "days": pa.array([[DAY], None]),
            "date64": pa.array([DAY, None], pa.date64()),
            "word": pa.array(["a", "b"]).dictionary_encode(),
        }
    )
    assert opened(tmp_path, table, write_statistics=statistics).num_rows == 2


class _Fussy(pa.ExtensionType):
    """A type whose description is read by a library that is not prepared for another one."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "tests.fussy")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"{}"

    @classmethod
    def __arrow_ext_deserialize__(
        cls, storage_type: pa.DataType, serialized: bytes
    ) -> "_Fussy":
        raise KeyError("freq")


def test_an_extension_type_that_cannot_be_read_is_an_error_of_its_file(
    tmp_path: Path,
) -> None:
    pa.register_extension_type(_Fussy())
    try:
        with pytest.raises(SeedError, match="x.parquet"):
            opened(
                tmp_path,
                pa.table(
                    {"v": pa.ExtensionArray.from_storage(_Fussy(), pa.array([1]))}
                ),
            )
    finally:
        pa.unregister_extension_type("tests.fussy")
