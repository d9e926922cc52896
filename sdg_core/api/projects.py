"""New projects, and what scaffolds beside the command need of them."""

from sdg_core.config.load import name_in
from sdg_core.scaffold.project import (
    Project,
    make_project,
    name_of_folder,
    starter_dataset,
    starter_pipeline,
)

__all__ = [
    "Project",
    "make_project",
    "name_in",
    "name_of_folder",
    "starter_dataset",
    "starter_pipeline",
]
