"""A person materializes one source of a pipeline in Dagster's UI and sees what became of it."""

from pathlib import Path

import dagster as dg
import pytest

from tests.support.browser import browser_page
from tests.support.dagster_process import Server, wait_for
from tests.support.requirements import PATIENCE

ASSET = "notes/sources"
KEY = "00001"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.daemon,
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
]


def test_one_source_turns_green_and_says_what_became_of_it(
    server: Server, browser: Path, tmp_path: Path
) -> None:
    partitions = f"{server.url}/assets/{ASSET}?view=partitions"
    with browser_page(server.url, executable=browser, height=1400) as (page, outside):
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(partitions)
        page.get_by_text("Missing (2)").wait_for()

        page.get_by_role("button", name="Materialize").first.click()
        dialog = page.get_by_role("dialog").filter(has_text="Partition selection")
        dialog.get_by_text("Select a partition").click()
        page.get_by_placeholder("Filter partitions").fill(KEY)
        page.get_by_role("menuitem").filter(has_text=KEY).click()
        page.keyboard.press("Escape")
        dialog.get_by_role("button", name="Launch").click()
        dialog.wait_for(state="hidden")

        key = dg.AssetKey(ASSET.split("/"))
        found = wait_for(
            lambda: next(
                (
                    run.run_id
                    for run in server.home.runs()
                    if key in (run.asset_selection or ())
                ),
                None,
            ),
            what="a run",
        )
        assert server.finished(found) == "SUCCESS", server.home.messages(found)
        page.goto(f"{partitions}&partition={KEY}")
        page.get_by_text("Materialized (1)").wait_for()
        for name, value in (
            ("rows", "1"),
            ("tasks_read", "1"),
            ("filtered/skipped", "1"),
            ("candidates_rejected", "1"),
            ("usage/requests", "2"),
        ):
            row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))
            row.get_by_text(value, exact=True).first.wait_for()
        page.get_by_text("docs/b.txt").first.wait_for()
        page.screenshot(path=str(tmp_path / "sources.png"), animations="disabled")
    assert outside == []
    assert server.home.materialized_partitions(ASSET) == {KEY}
    assert [path.name for path in server.home.root.glob("notes/*/sources/*")] == [
        f"{KEY}.parquet"
    ]
