"""One recipe with NeMo Data Designer; runs in that library's own environment. Prints rows and columns as JSON."""

import json
import sys
import tempfile
from pathlib import Path

import data_designer.config as dd
from data_designer.interface import DataDesigner


def main(recipe: Path, endpoint: str, records: int) -> None:
    """Load the builder config as it is, ask `endpoint` for every provider, and keep nothing."""
    builder = dd.DataDesignerConfigBuilder.from_config(recipe)
    names = sorted({model.provider for model in builder.model_configs})
    providers = [
        dd.ModelProvider(name=name, endpoint=endpoint, api_key="none") for name in names
    ]
    with tempfile.TemporaryDirectory() as directory:
        designer = DataDesigner(artifact_path=directory, model_providers=providers)
        frame = designer.create(builder, num_records=records).load_dataset()
    print(json.dumps({"rows": len(frame), "columns": sorted(map(str, frame.columns))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
