"""A real browser on Dagster's UI. It reaches the given server and nothing else."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextlib.contextmanager
def browser_page(
    url: str, *, executable: Path, width: int = 1400, height: int = 800
) -> Iterator[tuple[Any, list[str]]]:
    """A page, and the list of requests to other servers that it tried; those are blocked."""
    from playwright.sync_api import Route, sync_playwright

    outside: list[str] = []

    def only_this_server(route: Route) -> None:
        if route.request.url.startswith(url) or route.request.url.startswith(
            ("data:", "blob:")
        ):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(executable), args=OPTIONS
        )
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.route("**/*", only_this_server)
            yield page, outside
        finally:
            browser.close()
