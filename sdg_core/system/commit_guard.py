"""The guard around the moment at which a file becomes visible."""

from collections.abc import Callable
from contextlib import AbstractContextManager

CommitGuard = Callable[[], AbstractContextManager[None]]
"""Entered around the switch that makes a file visible; what it raises keeps the file from being published."""
