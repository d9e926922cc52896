"""What `dg scaffold defs sdg_assets.Dataset <name>`, or `sdg_assets.SourcePipeline <name>`, writes: a defs.yaml and files that
load and run as they are."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from sdg_core import api


class DatasetScaffolder(dg.Scaffolder):
    """Writes a defs.yaml and a dataset file named after the folder; files that are there already stay."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the files of a new dataset."""
        attributes = {
            "config": "dataset.yaml",
            "max_row_groups_per_run": 1000,
            "owners": [],
            "tags": {},
        }
        name = _name(request, otherwise="dataset")
        _scaffold(request, attributes, api.projects.starter_dataset(name))


class PipelineScaffolder(dg.Scaffolder):
    """Writes a defs.yaml, a pipeline file named after the folder, and documents to begin with; what is there already stays."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the files of a new pipeline."""
        attributes = {
            "config": "pipeline.yaml",
            "max_partitions_per_run": 1000,
            "owners": [],
            "tags": {},
        }
        name = _name(request, otherwise="pipeline")
        _scaffold(request, attributes, api.projects.starter_pipeline(name))


def _scaffold(
    request: dg.ScaffoldRequest[Any],
    attributes: dict[str, Any],
    files: Mapping[str, str],
) -> None:
    """Write files; where the config is there already, nothing beside it."""
    dg.scaffold_component(request, attributes)
    folder = _folder(request)
    if (folder / attributes["config"]).exists():
        return
    for place, text in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")


def _folder(request: dg.ScaffoldRequest[Any]) -> Any:
    return request.target_path.parent if request.append else request.target_path


def _name(request: dg.ScaffoldRequest[Any], *, otherwise: str) -> str:
    """The folder's name as that of a dataset: lower case, digits and underscores, beginning with a letter."""
    return api.projects.name_of_folder(_folder(request).name, otherwise=otherwise)
