"""The README's pictures, taken from a real run: python -m tests.browser.screenshots OUT_DIR"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.browser import browser_page
from tests.support.dagster_process import DagsterHome, dagster_server, make_home
from tests.support.requirements import CHROMIUM

WAIT = 60_000.0
STEPS = (
    ("python_docs/passages", []),
    ("python_qa/row_groups", ["--partition-range", "00000...00007"]),
    ("python_qa/dataset", []),
)


def main(out_dir: Path) -> None:
    """Make the demo dataset in a temporary place and photograph Dagster's pages of it."""
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sdg-") as directory:
        home = make_home(Path(directory))
        materialize(home)
        with dagster_server(home) as server, browser_page(server.url, executable=CHROMIUM) as (page, _):
            page.set_default_timeout(WAIT)
            row_groups(page, server.url, out_dir / "row-groups.png")
            lineage(page, server.url, out_dir / "lineage.png")


def materialize(home: DagsterHome) -> None:
    """Passages, all row groups, the finished dataset."""
    for select, options in STEPS:
        result = home.materialize(select, *options)
        if result.returncode != 0:
            sys.exit(result.stderr)


def row_groups(page: Any, url: str, path: Path) -> None:
    """The partitions page with one row group's metadata."""
    page.goto(f"{url}/assets/python_qa/row_groups?view=partitions&partition=00003")
    page.get_by_text("Materialized (8)").wait_for()
    page.get_by_role("row").filter(has_text="usage/requests").wait_for()
    save(page, path)


def lineage(page: Any, url: str, path: Path) -> None:
    """Upstream asset, row groups, finished dataset."""
    page.goto(f"{url}/assets/python_qa/row_groups?view=lineage")
    page.get_by_text("8 partitions").wait_for()
    for name in ("passages", "row_groups", "dataset"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("100% filled").wait_for()
    page.get_by_text("Loading").first.wait_for(state="hidden")
    page.wait_for_function("() => !document.body.innerText.includes('Loading')")
    save(page, path)


def save(page: Any, path: Path) -> None:
    """Write the picture once fonts are there."""
    page.evaluate("() => document.fonts.ready")
    page.screenshot(path=str(path), animations="disabled")
    print(f"{path}  {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
