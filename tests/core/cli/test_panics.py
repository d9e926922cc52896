"""A panic of a library in Rust ends a command as an internal error, not with its traceback and exit status 1."""

import polars as pl
import pyarrow as pa
import pytest
import typer

from sdg_core.cli.app import BUG, REFUSED, reports_errors


def test_a_panic_is_an_internal_error_of_one_sentence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    @reports_errors
    def command() -> None:
        pl.from_arrow(pa.table({"v": pa.array([None], pa.decimal256(50, 2))}))

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == BUG == 70
    shown = capfd.readouterr().err
    assert "internal error: a library failed" in shown and "Traceback" not in shown


def test_memory_that_is_used_up_is_no_internal_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    @reports_errors
    def command() -> None:
        bytes(2**62)

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == REFUSED
    shown = capfd.readouterr().err
    assert "out of memory" in shown and "row_group_size" in shown
