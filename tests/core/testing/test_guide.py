"""What the guide's page on testing shows works as it stands there."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.support.sdg import PROJECT

PAGE = PROJECT / "docs" / "guide" / "testing.md"


def test_the_page_runs(tmp_path: Path) -> None:
    snippet = re.findall(
        r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )[0]
    found: dict[str, Callable[[Path], None]] = {}
    exec(compile(snippet, str(PAGE), "exec"), found)
    found["test_tickets"](tmp_path)
