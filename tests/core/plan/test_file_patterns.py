"""Patterns match what `glob` matches, also where links lead back to where they lie."""

import glob
import os
from pathlib import Path

import pytest

from sdg_core.errors import SeedError
from sdg_core.plan import file_patterns
from sdg_core.plan.file_patterns import matching

FILES = (
    "a.md",
    "b[1].md",
    ".hidden/c.md",
    "d/e.md",
    "d/.f.md",
    "d/g/h.md",
    "d/g/i.txt",
    "x*/j.md",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text("x")
    (tmp_path / "tree" / "link").symlink_to("d")
    (tmp_path / "tree" / "dangling").symlink_to("nosuch")
    return tmp_path / "tree"


@pytest.mark.parametrize(
    "pattern",
    [
        "**",
        "**/*",
        "**/*.md",
        "*/**/*.md",
        "d/**",
        "**/g/*",
        "**/**/h.md",
        "x[*]/**/*.md",
        "*",
        "no/**",
        "a.md/**/*",
    ],
)
@pytest.mark.parametrize("is_relative", [False, True])
def test_what_matches(
    tree: Path, pattern: str, is_relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    full = pattern if is_relative else os.path.join(glob.escape(str(tree)), pattern)
    wanted = {name for name in glob.iglob(full, recursive=True) if os.path.isfile(name)}
    found = [name for name in matching(full) if os.path.isfile(name)]
    assert {*found} == wanted and len(found) == len(wanted)


def test_links_that_lead_back_give_no_file_a_second_name(tree: Path) -> None:
    (tree / "loop").symlink_to(".")
    (tree / "d" / "up").symlink_to("..")
    (tree / "self.md").symlink_to("self.md")
    names = [*matching(str(tree / "**" / "*.md"))]
    assert sum(name.endswith("h.md") for name in names) == 2, "as it is, and by `link`"


def test_links_that_cross_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_patterns, "MAX_BEHIND_LINKS", 500)
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
    for place in "abcdefgh":
        for other in "abcdefgh":
            (tmp_path / place / other).symlink_to(f"../{other}")
    with pytest.raises(
        SeedError, match=r"\*\*/nosuch: links lead to more than 500 directories"
    ):
        next(matching(str(tmp_path / "**" / "nosuch")), None)
