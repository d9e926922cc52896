"""Opening what a file describes: a dataset or a pipeline."""

from pathlib import Path

from sdg_assets.opened.base import Opened
from sdg_assets.opened.dataset import OpenedDataset
from sdg_assets.opened.pipeline import OpenedPipeline
from sdg_core import api


def open_file(path: Path, *, root: str | None, offline: bool = True) -> Opened:
    """What a file describes, for looking at it. offline: run none of its code and open no connection. Raises SdgError."""
    if api.is_pipeline(path):
        return OpenedPipeline(
            api.pipelines.open_pipeline(path, root=root, offline=offline)
        )
    return OpenedDataset(api.open_dataset(path, root=root, offline=offline))


def open_unread(path: Path, *, root: str | None) -> "api.Dataset":
    """Its versions and its seal, without a look at seed data or sources. Raises SdgError."""
    if api.is_pipeline(path):
        return api.pipelines.open_unread(path, root=root).as_dataset()
    return api.open_dataset(path, root=root, offline=True)
