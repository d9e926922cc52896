"""Times at the edges: clocks that are put forward and back, zones nobody knows, leap seconds, the ends of the calendar."""

import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.errors import SeedError
from sdg_core.generators.samplers.datetimes import time_values

ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Etc/GMT+5",
    "EST5EDT",
]


def config(path: Path, *, records: int) -> dict[str, Any]:
    later = {"dt_min": 1, "dt_max": 2, "unit": "h", "reference_column_name": "t"}
    return {
        "name": "times",
        "num_records": records,
        "seed_config": {"source": {"seed_type": "local", "path": str(path)}},
        "columns": [
            {"column_type": "seed-dataset", "name": "t"},
            {"column_type": "expression", "name": "shown", "expr": "{{ t }}"},
            {
                "column_type": "sampler",
                "name": "later",
                "sampler_type": "timedelta",
                "params": later,
            },
        ],
    }


def preview(folder: Path, values: pa.Array) -> api.Preview:
    pq.write_table(pa.table({"t": values}), folder / "t.parquet")
    return api.preview(
        config(folder / "t.parquet", records=len(values)), num_records=len(values)
    )


@pytest.mark.parametrize("zone", ZONES)
def test_moments_of_a_zone_are_moments(tmp_path: Path, zone: str) -> None:
    """Every half hour of days on which clocks are put forward or back: no two are one, and an hour later is an hour later."""
    days = [
        (2024, 3, 10),
        (2024, 3, 31),
        (2024, 11, 3),
        (2024, 10, 27),
        (2024, 4, 6),
        (2024, 10, 5),
    ]
    starts = [
        int(datetime.datetime(*day, tzinfo=datetime.UTC).timestamp()) for day in days
    ]
    moments = [
        (start + 1800 * step) * 1_000_000 for start in starts for step in range(60)
    ]
    made = preview(tmp_path, pa.array(moments, pa.timestamp("us", tz=zone)))
    assert made.failures == ()
    shown = [
        datetime.datetime.fromisoformat(row["shown"]) for row in made.table.to_pylist()
    ]
    assert [int(moment.timestamp()) * 1_000_000 for moment in shown] == moments
    assert all(
        moment.utcoffset() == moment.astimezone(ZoneInfo(zone)).utcoffset()
        for moment in shown
    )
    later = [
        datetime.datetime.fromisoformat(f"{row['later']}+00:00")
        for row in made.table.to_pylist()
    ]
    assert [int(moment.timestamp() - 3600) * 1_000_000 for moment in later] == moments


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Z", "US/Pacific-New", "local"])
def test_a_zone_that_nobody_knows_is_named(
    tmp_path: Path, zone: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for values in (
        pa.array([0], pa.timestamp("us", tz=zone)),
        pa.array([[0]], pa.list_(pa.timestamp("ns", tz=zone))),
    ):
        with pytest.raises(
            SeedError,
            match="seed column 't'.*a zone that is not in the time zone database",
        ):
            preview(tmp_path, values)
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-11-03T01:30:00-04:00", "2024-11-03T05:30:00"),
        ("2024-11-03 01:30:00-05:00", "2024-11-03T06:30:00"),
        ("2024-03-10T02:30:00", "2024-03-10T02:30:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.5"),
        ("2017-01-01T08:59:60+09:00", "2017-01-01T00:00:00"),
        ("2024-02-29T24:00", "2024-03-01T00:00:00"),
        ("2024-12-31T24:00:00+01:00", "2024-12-31T23:00:00"),
        ("0001-01-01", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"),
        ("2024-01-15T10:30:00.123456789Z", "2024-01-15T10:30:00.123456"),
    ],
)
def test_text_that_is_a_moment(text: str, moment: str) -> None:
    assert time_values(pl.Series([text])).to_list() == [
        datetime.datetime.fromisoformat(moment)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01",
        "-0044-03-15",
        "10000-01-01",
        "2024-02-30",
        "2024-01-15T24:01",
        "2024-01-15T25:00",
        "2024-01-15T10:60",
    ]
    + [
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "9999-12-31T24:00",
        "2024-01-15T10:30 Europe/Berlin",
        "60",
    ],
)
def test_text_that_is_none(text: str) -> None:
    assert time_values(pl.Series([text])).to_list() == [None]


@given(st.datetimes(timezones=st.sampled_from(ZONES).map(ZoneInfo)), st.integers(0, 1))
def test_text_with_a_zone_is_exact(moment: datetime.datetime, fold: int) -> None:
    moment = moment.replace(fold=fold)
    try:
        meant = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except OverflowError:
        meant = None
    offset = moment.utcoffset()
    if offset is not None and offset.microseconds == 0:
        assert time_values(pl.Series([moment.isoformat()])).to_list() == [meant]


def test_what_leads_out_of_the_calendar_fails_its_record(tmp_path: Path) -> None:
    texts = pa.array(["9999-12-31T22:30:00", "9999-12-31T23:30:00", "2024-01-01"])
    made = preview(tmp_path, texts)
    assert made.table.column("later").to_pylist() == [
        "9999-12-31T23:30:00",
        "2024-01-01T01:00:00",
    ]
    (failure,) = made.failures
    assert (
        failure.message
        == "t is '9999-12-31T23:30:00', from where 1 h leave the years 1 to 9999"
    )
