"""Names of before: taken beside the present ones, one at a time."""

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.models.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingResponse,
    ImageResponse,
    Message,
    Usage,
)
from sdg_core.store.metadata import parse_metadata
from sdg_core.store.versions import Version
from sdg_core.system.former_names import takes_former_names
from tests.support.pipelines import WORDS, Project
from tests.support.sdg import PROJECT

BLOCKS = ({"type": "thinking", "signature": "s"},)
USED = {"first": Usage(requests=1)}


def test_fields_of_messages_and_responses() -> None:
    message = Message("assistant", "hm", signed=BLOCKS)
    assert message == Message("assistant", "hm", provider_blocks=BLOCKS)
    assert message.signed == BLOCKS
    assert replace(message, content="ah").provider_blocks == BLOCKS

    response = ChatResponse("hm", "stop", Usage(), signed=BLOCKS, earlier=USED)
    assert (response.provider_blocks, response.prior_usage) == (BLOCKS, USED)
    assert response.earlier == USED
    for kind in (EmbeddingResponse, ImageResponse):
        assert kind((), Usage(), earlier=USED).prior_usage == USED


def test_fields_of_requests() -> None:
    made = ChatRequest("m", (), parameters=None, tools_closed=True)
    assert made.tool_choice_none
    assert made.tools_closed


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(TypeError, match="provider_blocks twice"):
        Message("user", "a", provider_blocks=BLOCKS, signed=BLOCKS)


def test_arguments() -> None:
    @takes_former_names(before="now")
    def plain(*, now: int) -> int:
        return now

    @takes_former_names(before="now")
    async def awaited(*, now: int) -> int:
        return now

    assert plain(before=1) == 1
    assert asyncio.run(awaited(before=2)) == 2


def test_the_run_that_created_a_version(tmp_path: Path) -> None:
    """By its former name it is read from metadata and taken by each way to generate; written is the present name."""
    older = PROJECT / "tests/fixtures/older/store/older/c1e40b3076b4/metadata.json"
    content = orjson.loads(older.read_bytes())
    assert "begun_by" in content
    content["begun_by"] = "the-run"
    metadata = parse_metadata(older, orjson.dumps(content))
    assert metadata.created_by_run == "the-run"
    assert "begun_by" not in metadata.model_dump()
    version = Version(None, metadata, begun_by="x")
    assert version.created_by_run == version.begun_by == "x"

    dataset = api.open_dataset(
        {
            "name": "d",
            "num_records": 2,
            "columns": [
                {
                    "name": "id",
                    "column_type": "sampler",
                    "sampler_type": "uuid",
                    "params": {},
                }
            ],
        },
        root=tmp_path,
    )
    made = api.generate(dataset, resume="never", begun_by="a")
    again = asyncio.run(api.agenerate(dataset, resume="never", begun_by="a"))
    assert made.version.name == again.version.name
    written = orjson.loads(made.version.metadata.read_bytes())
    assert written["created_by_run"] == "a"


def test_pipelines_take_it_as_well(tmp_path: Path) -> None:
    project = Project(tmp_path, [WORDS]).write(a="one two")
    made = [
        pipelines.generate(project.file, resume="never", begun_by="a"),
        pipelines.generate(project.file, resume="never", created_by_run="a"),
    ]
    assert made[0].version == made[1].version
