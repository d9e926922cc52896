"""What `dg scaffold defs sdg_assets.Dataset <name>` writes: a defs.yaml and a dataset file that load and generate as they are."""

import re
from typing import Any

import dagster as dg

CONFIG = "dataset.yaml"
STARTER = """\
# {name}: what it is made of. `sdg preview` on this file shows records without storing any.
name: {name}
description: Say what this dataset is for.
num_records: 100
row_group_size: 50        # records per parquet file, which is one partition in Dagster
seed: 0                   # root of all randomness
columns:
  - {{column_type: sampler, name: id, sampler_type: uuid, params: {{}}, description: Identifier of the record.}}
  - column_type: sampler
    name: tone
    description: How the text sounds.
    sampler_type: category
    params: {{values: [friendly, neutral, angry], weights: [3, 5, 2]}}
  - column_type: llm-text
    name: text
    description: What the model wrote.
    model_alias: writer
    prompt: "Write one {{{{ tone }}}} sentence."
# Replies are simulated until there is a server:
#   - {{name: local, provider_type: openai, endpoint: "http://127.0.0.1:8000/v1", api_key: MY_KEY_ENV}}
model_providers: [{{name: rehearsal, provider_type: simulated}}]
model_configs: [{{alias: writer, model: simulated, provider: rehearsal}}]
"""


class DatasetScaffolder(dg.Scaffolder):
    """Writes both files; a dataset file that is there already stays."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the files of a new dataset, named after its folder."""
        attributes = {"config": CONFIG, "max_row_groups_per_run": 1000, "owners": [], "tags": {}}
        dg.scaffold_component(request, attributes)
        folder = request.target_path.parent if request.append else request.target_path
        file = folder / CONFIG
        if not file.exists():
            file.write_text(STARTER.format(name=dataset_name(folder.name)), encoding="utf-8")


def dataset_name(folder: str) -> str:
    """A folder's name as the name of a dataset: lower case, digits and underscores, beginning with a letter."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.lower()).strip("_")
    return name if name[:1].isalpha() else f"dataset_{name}".rstrip("_")
