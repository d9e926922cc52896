"""The recipes and tutorials of Data Designer, by their structure, load unchanged and run to the end with simulated models.

The fixtures are builder configs as its `write_config` writes them: the kinds of columns, references, parameters and processors of
each recipe, with words of our own. Providers, tools and seed files are put beside them, as Data Designer takes them from outside.
"""

import base64
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from sdg_core import api
from sdg_core.models.simulated.media import small_image
from sdg_core.models.simulated.random_stream import RandomStream
from tests.support.mcp_server import stdio_provider

RECIPES = sorted((Path(__file__).parents[2] / "fixtures" / "recipes").glob("*.yaml"))
RECORDS = 2
ONE_LIKE_IT = frozenset({"basic_mcp", "search_agent"})
"""Recipes with tools that are only loaded: a server of its own for each would take seconds, and pdf_qa has all that they have."""


def write_seeds(made: Path) -> None:
    """The seed files that recipes name."""
    image = base64.b64encode(small_image(RandomStream(7, "page")).content).decode()
    kinds = [
        '{"kind": "chart", "confidence": 0.9}',
        '{"kind": "text", "confidence": 0.5}',
    ]
    pages = {
        "png_base64": [image] * 2,
        "page_images": [[image, image]] * 2,
        "text": ["one", "two"],
    }
    pl.DataFrame(
        {**pages, "page_kind": kinds, "file_name": ["a.png", "b.png"]}
    ).write_parquet(made / "pages.parquet")
    pl.DataFrame({"file_name": ["a.pdf", "b.pdf"]}).write_parquet(
        made / "files.parquet"
    )
    (made / "topics.csv").write_text("topic\nhoses\nboats\n", encoding="utf-8")
    (made / "symptoms.csv").write_text(
        "diagnosis,patient_summary\nflu,ill\ncold,tired\n", encoding="utf-8"
    )
    (made / "docs").mkdir()
    for name in ("a", "b"):
        (made / "docs" / f"{name}.md").write_text(
            f"# {name}\nA text.\n", encoding="utf-8"
        )
    message = {"content": [{"type": "text", "text": "Fixed."}]}
    (made / "sessions").mkdir()
    for name in ("a", "b"):
        session = {"type": "assistant", "sessionId": name, "message": message}
        (made / "sessions" / f"{name}.jsonl").write_text(
            orjson.dumps(session).decode(), encoding="utf-8"
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the seed files."""
    made = tmp_path_factory.mktemp("recipes")
    write_seeds(made)
    return made


def beside(raw: dict[str, Any], log: Path) -> dict[str, Any]:
    """A builder config with what Data Designer takes from elsewhere: providers, which are simulated here, and tools."""
    names = sorted(
        {model["provider"] for model in raw["data_designer"]["model_configs"]}
    )
    providers = [{"name": name, "provider_type": "simulated"} for name in names]
    tools = (
        {"mcp_providers": [stdio_provider("mcp", "--log", log)]}
        if raw["data_designer"]["tool_configs"]
        else {}
    )
    return {**raw, "model_providers": providers, **tools}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_runs(recipe: Path, place: Path) -> None:
    raw = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    if raw["data_designer"]["tool_configs"] and find_spec("mcp") is None:
        pytest.skip("the extra mcp is not installed")
    file = place / f"{recipe.stem}.yaml"
    file.write_text(yaml.safe_dump(beside(raw, place / "mcp.log")), encoding="utf-8")
    imported = api.import_builder_config(file)
    assert imported.text
    dataset = api.open_dataset(
        file, root=str(place / "root" / recipe.stem), num_records=RECORDS
    )
    if recipe.stem in ONE_LIKE_IT:
        return
    summary = api.generate(dataset)
    assert (summary.generated, summary.failed, summary.remaining) == (RECORDS, 0, 0), (
        summary.first_failure
    )
    if raw["data_designer"]["processors"]:  # which write a report, too
        assert api.process(dataset).num_rows == RECORDS
    columns = [
        column["name"]
        for column in raw["data_designer"]["columns"]
        if not column.get("drop")
    ]
    dropped = {
        name
        for processor in raw["data_designer"]["processors"]
        for name in processor.get("column_names", ())
    }
    written = dataset.plan.kept_schema.names
    assert [name for name in written if name in columns] == [
        name for name in columns if name not in dropped
    ]
    shutil.rmtree(place / "root" / recipe.stem)


def test_there_are_as_many_as_load_there() -> None:
    assert len(RECIPES) >= 30
