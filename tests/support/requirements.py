"""What a test needs from the machine: without it the test is skipped, or fails where SDG_REQUIRE_ALL=1 forbids skipping."""

import importlib.util
import os
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
LONG = os.environ.get("SDG_LONG") == "1"
"""Whether the long campaigns were asked for; without it a bounded part of each runs, and tests marked `long` do not."""


PATIENCE = 900.0
"""Seconds after which a condition that never comes true fails a test; a slow machine is waited for."""


def require(present: bool, what: str) -> None:
    """Skip the calling test or fixture, and say why, unless `present`."""
    if present:
        return
    if os.environ.get("SDG_REQUIRE_ALL") == "1":
        pytest.fail(
            f"{what} is missing, and SDG_REQUIRE_ALL=1 forbids skipping", pytrace=False
        )
    pytest.skip(f"{what} is missing")


def require_module(name: str) -> None:
    require(importlib.util.find_spec(name) is not None, f"the Python module {name}")


def require_browser() -> Path:
    """Path of a browser that playwright can drive."""
    require_module("playwright")
    require(
        CHROMIUM.exists(), f"{CHROMIUM} (apt-get install chromium fonts-dejavu-core)"
    )
    return CHROMIUM
