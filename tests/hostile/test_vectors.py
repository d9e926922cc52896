"""Vectors that a server answers with: of one length in a column, or the cell fails and says so."""

from pathlib import Path

from sdg_core import api
from sdg_core.models.types import EmbeddingRequest, EmbeddingResponse
from sdg_core.models.usage import Usage
from tests.support.sdg import dataset_config, llm


class Uneven:
    """Gives one of the records a longer vector."""

    def __init__(self) -> None:
        self._given = 0

    async def complete(self, request: object) -> str:
        return "text"

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        self._given += 1
        return EmbeddingResponse(
            ((1.0,) * (4 if self._given == 3 else 3),), Usage(requests=1)
        )


def test_a_vector_of_another_length_fails_its_cell(tmp_path: Path) -> None:
    vector = {
        "column_type": "embedding",
        "name": "v",
        "target_column": "t",
        "model_alias": "vectors",
    }
    config = dataset_config(llm("t", "x"), vector) | {"num_records": 5}
    config["model_providers"] = [{"name": "p", "provider_type": "custom"}]
    embedding = {
        "alias": "vectors",
        "inference_parameters": {"generation_type": "embedding"},
    }
    config["model_configs"] = [{"alias": "writer", "model": "m", "provider": "p"}]
    config["model_configs"].append({**config["model_configs"][0], **embedding})
    dataset = api.open_dataset(config, root=tmp_path, clients={"p": Uneven()})
    summary = api.generate(dataset)
    assert (
        summary.failed == 1
        and "4 dimensions, but those of other records have 3"
        in str(summary.first_failure)
    )
