"""A person backfills two row groups in Dagster's UI and sees them done: partitions, the run, its checks, the next launch."""

from pathlib import Path

import dagster as dg
import pytest

from tests.support.browser import browser_page
from tests.support.dagster_process import Server, wait_for
from tests.support.requirements import PATIENCE

ASSET = "support_tickets/row_groups"
CHOSEN = ["00001", "00002"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.daemon,
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
]


def runs(server: Server) -> list[dg.DagsterRun]:
    """Runs of the row groups; other tests share the server."""
    return [
        run
        for run in server.home.runs()
        if run.asset_selection == {dg.AssetKey(ASSET.split("/"))}
    ]


def test_backfill_of_two_partitions_turns_green_with_row_counts(
    server: Server, browser: Path
) -> None:
    partitions = f"{server.url}/assets/{ASSET}?view=partitions"
    with browser_page(server.url, executable=browser, height=1400) as (page, outside):
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(partitions)
        page.get_by_text("Missing (4)").wait_for()

        page.get_by_role("button", name="Materialize").first.click()
        dialog = page.get_by_role("dialog").filter(has_text="Partition selection")
        dialog.get_by_text("Select a partition").click()
        filter_box = page.get_by_placeholder("Filter partitions")
        for key in CHOSEN:
            filter_box.fill(key)
            page.get_by_text("Select all (1)").wait_for()
            page.get_by_role("menuitem").filter(has_text=key).click()
        page.keyboard.press("Escape")
        dialog.get_by_text("2 partitions", exact=True).first.wait_for()
        dialog.get_by_role("button", name="Launch backfill").click()
        dialog.wait_for(state="hidden")

        # The daemon looks at backfills every 30 s.
        page.goto(partitions)
        run_id = wait_for(
            lambda: next((run.run_id for run in runs(server)), None), what="a run"
        )
        assert server.finished(run_id) == "SUCCESS", server.home.messages(run_id)
        page.get_by_text("Materialized (2)").wait_for()
        page.get_by_text("Missing (2)").wait_for()

        for key in CHOSEN:
            page.goto(f"{partitions}&partition={key}")
            page.get_by_text("Materialized", exact=True).first.wait_for()
            row = page.get_by_role("row").filter(has_text="dagster/partition_row_count")
            row.get_by_text("250", exact=True).wait_for()
            assert "Unsynced" not in page.inner_text("body")

        page.goto(f"{server.url}/runs/{run_id}")
        page.get_by_text("RUN_SUCCESS").wait_for()
        page.get_by_text("500 records generated, 0 failed; in ").first.wait_for()

        page.goto(f"{server.url}/assets/{ASSET}?view=checks")
        page.get_by_text("Warns of records that have no row.").wait_for()
        page.get_by_text("Passed").first.wait_for()

        page.goto(f"{server.url}/assets/{ASSET}?view=overview")
        page.get_by_role("button", name="Materialize").first.click(modifiers=["Shift"])
        page.get_by_text("No errors").wait_for()
        offered = page.get_by_role("dialog").inner_text()
        for setting in (
            "max_failure_rate",
            "num_retries",
            "resume",
            "stall_timeout",
            "when_claimed",
        ):
            assert f"{setting}:" in offered
    assert outside == []
    assert server.home.materialized_partitions(ASSET) == set(CHOSEN)
    [run] = runs(server)
    assert "dagster/backfill" in run.tags
    files = sorted(
        path.name
        for path in server.home.root.glob("support_tickets/*/row_groups/*.parquet")
    )
    assert files == [f"batch_{key}.parquet" for key in CHOSEN]
