"""What belongs to whom: the project of a path, and whether a dataset file is the user's own.

A project is the nearest directory upwards that holds `pyproject.toml`, `setup.py` or `.git`; without one it is the directory
itself. A dataset file is the user's own if it lies in the project of the working directory.
"""

import os
from pathlib import Path

_MARKS = ("pyproject.toml", "setup.py", ".git")


def project_of(directory: Path) -> Path:
    """The project that a directory belongs to. A home directory and the root of the file system are nobody's project."""
    start = directory.resolve()
    too_wide = {Path("/"), Path("/tmp"), Path.home().resolve()}
    for place in (start, *start.parents):
        if place in too_wide:
            break
        for mark in _MARKS:
            if os.path.exists(place / mark):  # what may not be looked at is no mark
                return place
    return start


def is_own(path: Path, *, working_directory: Path) -> bool:
    """Whether a dataset file lies in the project of the working directory."""
    return Path(os.path.realpath(path)).is_relative_to(project_of(working_directory))
