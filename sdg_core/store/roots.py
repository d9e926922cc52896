"""Which storage root the data of a file lies below, and where else data of it may lie.

The root does not depend on the working directory, so that the same file has the same data for every command, for Dagster and for
a notebook, wherever they are started: it is what the caller says, else SDG_ROOT, else `data` in the project of the file. What is
relative in SDG_ROOT starts at the project; only what the caller says starts at the working directory, as any argument does.

Before 0.2 the default was `data` in the working directory. Those places are remembered as `others`: a dataset that was paid for
there is not silently started again here.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sdg_core.store.layout import DEFAULT_ROOT, ROOT_VARIABLE, resolve_root
from sdg_core.store.objects import StorePath

PROJECT_MARKS = (
    "pyproject.toml",
    "dg.toml",
    "dagster.yaml",
    "workspace.yaml",
    "setup.py",
    ".git",
)
"""A folder that holds one of these is a project."""


@dataclass(frozen=True)
class ChosenRoot:
    """given: the caller, or an absolute SDG_ROOT, names it. others: directories that may be the root of older data."""

    path: StorePath
    given: bool
    others: tuple[Path, ...]


def project_of_data(folder: Path) -> Path:
    """The folder that contains `data`: the nearest project folder from `folder` upwards, otherwise `folder` itself.

    A home directory, /tmp and the root of the file system never count as a project.
    """
    for place in _upwards(folder):
        if any(os.path.exists(place / mark) for mark in PROJECT_MARKS):
            return place
    return folder.resolve()


def choose_root(
    root: str | Path | None, *, env: Mapping[str, str], folder: Path
) -> ChosenRoot:
    """The root for a file in `folder`. Raises StoreError for a URL of no store."""
    named_root = str(root) if root else None
    path = resolve_root(named_root, env=env, base=project_of_data(folder))
    variable = env.get(ROOT_VARIABLE, "")
    relative = (
        bool(variable)
        and "://" not in variable
        and not Path(variable).expanduser().is_absolute()
    )
    others = [
        place / DEFAULT_ROOT
        for place in (Path.cwd(), folder.resolve(), *_upwards(folder))
    ]
    if relative:
        others += [place / variable for place in (Path.cwd(), project_of_data(folder))]
    elif (
        variable
        and root
        and isinstance(named := resolve_root(None, env=env, base=folder), Path)
    ):
        others.append(named)
    here = path.resolve() if isinstance(path, Path) else None
    distinct = dict.fromkeys(other.resolve() for other in others)
    elsewhere = [other for other in distinct if other != here]
    given = bool(root) or (bool(variable) and not relative)
    return ChosenRoot(path, given, tuple(elsewhere))


def _upwards(folder: Path) -> Iterator[Path]:
    start = folder.resolve()
    too_wide = {Path(start.anchor), Path("/tmp"), Path.home().resolve()}
    for place in (start, *start.parents):
        if place in too_wide:
            return
        yield place
