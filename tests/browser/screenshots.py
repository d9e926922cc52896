"""The documentation's screenshots, taken from real runs: python -m tests.browser.screenshots OUT_DIR"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
from PIL import Image

from sdg_core.testing import Fault, ModelServer
from sdg_core.testing.serving import serving
from tests.assets.test_pipeline import make_project
from tests.support.browser import browser_page
from tests.support.dagster_process import PROJECT, Server, dagster_server, make_home
from tests.support.location import MODULE, write_project
from tests.support.model_datasets import (
    SIZE,
    asset,
    held_dataset,
    held_models,
    keys,
    until_recorded,
)
from tests.support.requirements import CHROMIUM, PATIENCE

DATASETS = ("python_docs", "python_qa", "support_tickets")
STEPS = (
    ("python_docs/passages", []),
    ("python_qa/row_groups", ["--partition-range", "00000...00007"]),
    ("python_qa/dataset", []),
    ("support_tickets/row_groups", ["--partition-range", "00000...00002"]),
    ("notes/sources", ["--partition", "00001"]),
    ("answers/row_groups", ["--partition-range", "00000...00002"]),
)
COLOURS = 128
"""Of a screenshot; more make it several times as large and are not to be seen."""
SLOW, GROUPS = "reviews", 40
MADE = 14
"""Row groups of it that are made when it is photographed."""
WIDE = 1500
"""On a narrower page Dagster cuts the right edge of a message off."""
FAULTY = "answers"
_REFUSED = Fault(
    "status", status=400, message="This request was rejected by the safety system"
)
REPLIES: list[Fault | None] = [*[None] * SIZE, *[_REFUSED] * SIZE, None, _REFUSED]
"""Of its model, one request at a time: a row group that is complete, one without a row, one that is partial."""


def main(out_dir: Path) -> None:
    """Make datasets in a temporary place and photograph Dagster's pages of them."""
    out_dir.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="sdg-") as directory,
        held_models({SLOW: MADE * SIZE}) as models,
        serving(ModelServer(faults=REPLIES)) as refusing,
    ):
        home = make_home(Path(directory), module=MODULE)
        config = held_dataset(SLOW, url=models[SLOW].url, groups=GROUPS)
        write_project(
            home.directory,
            {**config, "description": "Product reviews, written by a model."},
            faulty_dataset(refusing.url),
        )
        for name in DATASETS:
            shutil.copytree(
                PROJECT / "sdg_assets" / "defs" / name,
                home.directory / "synthetic" / "defs" / name,
            )
        make_project(home)
        with home.instance() as instance:
            instance.add_dynamic_partitions("notes_sources", ["00000", "00001"])
        for select, options in STEPS:
            result = home.materialize(select, *options)
            if result.returncode != 0:
                sys.exit(result.stderr)
        with (
            dagster_server(home) as server,
            browser_page(server.url, executable=CHROMIUM) as (page, _),
        ):
            page.set_default_timeout(PATIENCE * 1000)
            row_groups(page, server.url, out_dir / "row-groups.png")
            failed(page, server.url, out_dir / "failed-row-group.png")
            partial(page, server.url, out_dir / "partial-row-group.png")
            lineage(page, server.url, out_dir / "lineage.png")
            dataset(page, server.url, out_dir / "dataset.png")
            sources(page, server.url, out_dir / "sources.png")
            checks(page, server.url, out_dir / "checks.png")
            launchpad(page, server.url, out_dir / "launchpad.png")
            run(page, server, out_dir / "run.png")
            backfill_id = server.launch_backfill(asset(SLOW), keys(0, GROUPS - 1))
            rejected_run(page, server, out_dir / "rejected-run.png")
            rejected_backfill(page, server, out_dir / "rejected-backfill.png")
            until_recorded(home, SLOW, MADE)
            backfill(page, server.url, backfill_id, out_dir / "backfill.png")
            catalog(page, server.url, out_dir / "catalog.png")
            models[SLOW].let_go()


def row_groups(page: Any, url: str, path: Path) -> None:
    """The partitions page with one row group's metadata."""
    page.goto(f"{url}/assets/python_qa/row_groups?view=partitions&partition=00003")
    page.get_by_text("Materialized (8)").wait_for()
    page.get_by_role("row").filter(has_text="usage/requests").wait_for()
    save(page, path)


def faulty_dataset(url: str) -> dict[str, Any]:
    """Three row groups of a model that refuses some requests."""
    config = held_dataset(FAULTY, url=url, groups=3, run={"max_missing_rate": 0.5})
    for model in config["model_configs"]:
        model["inference_parameters"]["max_parallel_requests"] = 1
    return config


def failed(page: Any, url: str, path: Path, *, name: str = FAULTY) -> None:
    """A row group none of whose records has a row, and why."""
    usual = page.viewport_size
    page.set_viewport_size({**usual, "width": WIDE})
    page.goto(f"{url}/assets/{name}/row_groups?view=partitions&partition=00001")
    page.get_by_role("row").filter(has_text="first_failure").wait_for()
    settled(page)
    save(page, path)
    page.set_viewport_size(usual)


def partial(page: Any, url: str, path: Path, *, name: str = FAULTY) -> None:
    """The checks page of a dataset with partial row groups, which names them."""
    page.goto(f"{url}/assets/{name}/row_groups?view=checks")
    page.get_by_text("records have no row").first.wait_for()
    settled(page)
    save(page, path)


def lineage(page: Any, url: str, path: Path) -> None:
    """Upstream asset, row groups, finished dataset."""
    page.goto(f"{url}/assets/python_qa/row_groups?view=lineage")
    page.get_by_text("8 partitions").wait_for()
    for name in ("passages", "row_groups", "dataset"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("100% filled").wait_for()
    settled(page)
    save(page, path)


def dataset(page: Any, url: str, path: Path) -> None:
    """The finished dataset: row count, columns, samples."""
    page.goto(f"{url}/assets/python_qa/dataset?view=overview")
    page.get_by_text("Columns").first.wait_for()
    settled(page)
    save(page, path)


def sources(page: Any, url: str, path: Path) -> None:
    """A partition of a pipeline: what it read, filtered and made."""
    page.goto(f"{url}/assets/notes/sources?view=partitions&partition=00001")
    page.get_by_role("row").filter(has_text="filtered/skipped").wait_for()
    settled(page)
    save(page, path)


def checks(page: Any, url: str, path: Path) -> None:
    """The checks of a finished dataset."""
    page.goto(f"{url}/assets/python_qa/dataset?view=checks")
    page.get_by_text("Latest execution").wait_for()
    page.get_by_text("Passed").first.wait_for()
    settled(page)
    save(page, path)


def launchpad(page: Any, url: str, path: Path) -> None:
    """The settings of a run, as the dataset file has them."""
    page.goto(f"{url}/assets/support_tickets/row_groups?view=overview")
    page.get_by_text("Latest materialization").first.wait_for()
    page.get_by_role("button", name="Materialize").first.click(modifiers=["Shift"])
    page.get_by_text("max_failure_rate").first.wait_for()
    page.get_by_text("No errors").wait_for()
    settled(page)
    save(page, path)


def run(page: Any, server: Server, path: Path) -> None:
    """A finished run and the end of its log."""
    key = dg.AssetKey(["support_tickets", "row_groups"])
    made = next(run for run in server.home.runs() if run.asset_selection == {key})
    page.goto(f"{server.url}/runs/{made.run_id}")
    page.get_by_text("RUN_SUCCESS").wait_for()
    settled(page)
    save(page, path)


def rejected_run(page: Any, server: Server, path: Path) -> None:
    """A run that is aimed at a sealed dataset, and why it was cancelled."""
    run_id = server.launch_range("python_qa/row_groups", "00000", "00001")
    if server.finished(run_id) != "CANCELED":
        sys.exit(f"run {run_id} was not rejected")
    page.goto(f"{server.url}/runs/{run_id}")
    page.get_by_text("Run rejected").first.wait_for()
    settled(page)
    save(page, path)


def rejected_backfill(page: Any, server: Server, path: Path) -> None:
    """The runs of a backfill that is aimed at a sealed dataset, each with its reason."""
    backfill_id = server.launch_backfill("python_qa/row_groups", keys(0, 1))
    if server.backfill_ended(backfill_id) != "COMPLETED_FAILED":
        sys.exit(f"backfill {backfill_id} was not rejected")
    rejected_runs(page, server.url, backfill_id, path)


def rejected_runs(page: Any, url: str, backfill_id: str, path: Path) -> None:
    """The page of such a backfill."""
    page.goto(f"{url}/runs/b/{backfill_id}?tab=runs")
    page.get_by_text("sdg/reason").first.wait_for()
    settled(page)
    save(page, path)


def backfill(page: Any, url: str, backfill_id: str, path: Path) -> None:
    """A backfill that has come some way; the daemon counts what is made twice a minute."""
    page.goto(f"{url}/runs/b/{backfill_id}")
    page.get_by_text(f"{100 * MADE // GROUPS}% completed").wait_for()
    settled(page)
    save(page, path)


def catalog(page: Any, url: str, path: Path) -> None:
    """All assets."""
    page.goto(f"{url}/assets")
    page.get_by_text("support_tickets").first.wait_for()
    settled(page)
    save(page, path)


def settled(page: Any) -> None:
    """Wait until nothing on the page is loading."""
    page.wait_for_function("() => !document.body.innerText.includes('Loading')")


def save(page: Any, path: Path) -> None:
    """Write the screenshot once fonts are there."""
    page.evaluate("() => document.fonts.ready")
    page.screenshot(path=str(path), animations="disabled")
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)
    print(f"{path}  {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
