"""The page of a report in a real browser, on a desk and on a phone; `python -m tests.browser.test_report_page FILE.png` takes its
screenshot for the documentation."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from tests.support.browser import browser_page
from tests.support.requirements import CHROMIUM, require_browser
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    uuid,
)

pytestmark = [pytest.mark.slow, pytest.mark.browser]

HOSTILE = "<script>document.title = 'taken'</script><img src=https://outside.invalid/x.png onerror=\"document.title='taken'\">"
LONG = "a" * 600


def sampler(name: str, kind: str, **params: Any) -> dict[str, Any]:
    return {
        "column_type": "sampler",
        "name": name,
        "sampler_type": kind,
        "params": params,
    }


def reviews(directory: Path, *more: dict[str, Any]) -> api.Dataset:
    """A dataset that has a bit of everything, finished."""
    judge = {
        "column_type": "llm-judge",
        "name": "quality",
        "model_alias": "writer",
        "prompt": "Judge: {{ review }}",
        "scores": [
            {
                "name": "helpful",
                "description": "Does it help?",
                "options": {1: "not at all", 2: "a bit", 3: "a lot"},
            }
        ],
    }
    config = dataset_config(
        uuid(),
        sampler("plan", "category", values=["free", "pro", "team"], weights=[6, 3, 1]),
        sampler("opened", "datetime", start="2026-01-01", end="2026-07-01", unit="m"),
        sampler("price", "gaussian", mean=40, stddev=12, decimal_places=2),
        sampler("items", "poisson", mean=3),
        llm("review", "Review a lamp, {{ plan }}, {{ opened }}"),
        judge,
        *more,
        description="Reviews of products, with scores of a judge.",
        parallel=32,
    ) | {"name": "reviews", "num_records": 200, "row_group_size": 100}
    dataset = open_dataset(directory / "reviews.yaml", config, root=directory / "data")
    api.generate(dataset)
    api.process(dataset)
    return dataset


@pytest.mark.parametrize("width", [1100, 360])
def test_the_page_runs_nothing_fetches_nothing_and_fits(
    tmp_path: Path, width: int
) -> None:
    browser = require_browser()
    dataset = reviews(
        tmp_path,
        expression("hostile", f"{HOSTILE} {LONG}"),
        category("plain", LONG, "b"),
    )
    url = api.report(dataset, output=tmp_path / "report.html").path.as_uri()
    with browser_page(url, executable=browser, width=width) as (page, outside):
        trouble: list[str] = []
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(url)
            page.evaluate(
                "() => document.querySelectorAll('details').forEach(element => element.open = true)"
            )
            assert page.title() == "reviews: report"
            assert page.evaluate(
                "() => document.documentElement.scrollWidth <= window.innerWidth"
            )
        page.get_by_role("link", name="price").click()
        assert page.get_by_role("heading", name="price").is_visible()
    assert outside == [] and trouble == []


def take_screenshot(path: Path) -> None:
    """The upper part of the page, as it is on a desk."""
    with tempfile.TemporaryDirectory(prefix="sdg-") as directory:
        version = api.report(reviews(Path(directory))).path
        with browser_page(
            version.as_uri(), executable=CHROMIUM, width=1000, height=900
        ) as (
            page,
            _,
        ):
            page.goto(f"{version.as_uri()}#c2")
            page.screenshot(path=str(path), animations="disabled")
    print(f"{path}  {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    take_screenshot(Path(sys.argv[1]))
