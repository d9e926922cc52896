"""What `dg scaffold defs sdg_assets.Dataset <name>` writes: a defs.yaml and a dataset file that load and generate as they are."""

from typing import Any

import dagster as dg

from sdg_core.api import projects

CONFIG = "dataset.yaml"


class DatasetScaffolder(dg.Scaffolder):
    """Writes both files; a dataset file that is there already stays."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the files of a new dataset, named after its folder."""
        attributes = {"config": CONFIG, "max_row_groups_per_run": 1000, "owners": [], "tags": {}}
        dg.scaffold_component(request, attributes)
        folder = request.target_path.parent if request.append else request.target_path
        file = folder / CONFIG
        if not file.exists():
            file.write_text(projects.starter_dataset(dataset_name(folder.name)), encoding="utf-8")


def dataset_name(folder: str) -> str:
    """A folder's name as the name of a dataset: lower case, digits and underscores, beginning with a letter."""
    return projects.name_of_folder(folder, otherwise="dataset")
