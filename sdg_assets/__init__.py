"""Dagster components for synthetic datasets: `type: sdg_assets.Dataset` in a `defs.yaml`."""

from sdg_assets.components.dataset import Dataset

__all__ = ["Dataset"]
