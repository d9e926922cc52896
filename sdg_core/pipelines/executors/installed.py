"""Whether the executor that a pipeline asks for can be used here."""

from importlib.util import find_spec

from sdg_core.config.run import RunSettings
from sdg_core.errors import PlanError


def missing_executor(settings: RunSettings) -> str | None:
    """What to install before a run with these settings can begin; None if everything is there."""
    if settings.executor == "ray" and find_spec("ray") is None:
        return (
            "the executor ray requires a library that is not installed: pip install "
            "'sdg-dagster[ray]', or set it to local"
        )
    return None


def check_executor(settings: RunSettings) -> None:
    """Raise PlanError if the executor of a run cannot be used here."""
    absent = missing_executor(settings)
    if absent is not None:
        raise PlanError(f"run.executor: {absent}")
