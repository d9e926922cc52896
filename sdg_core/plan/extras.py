"""Libraries that the base install does without, because few files ask for them: each comes with an extra of the distribution.

A file that asks for one is refused where it is checked, not after its records have been paid for.
"""

from importlib.util import find_spec
from typing import Literal

Extra = Literal["dedup", "distributions", "documents", "hf", "language"]


def missing_library(
    wanting: str, *, modules: tuple[str, ...], extra: Extra
) -> str | None:
    """What to install before `wanting` works, naming the first of its modules that cannot be imported; None if all can."""
    for module in modules:
        if find_spec(module) is None:
            return (
                f"{wanting} requires the library {module}, which is not installed: pip install "
                f"'sdg-dagster[{extra}]'"
            )
    return None
