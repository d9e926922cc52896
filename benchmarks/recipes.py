"""The recipes of Data Designer, side by side: both systems load each builder config as it is and ask the same model server.

    python -m benchmarks.recipes --peer-python /path/to/venv/bin/python [--only nb1_basics]

Without an environment that has Data Designer, its side of the table says so, and ours is run alone. Recipes with tools or agents'
sessions are left to the tests, because they need servers and files beside them. Prints a table; asserts nothing.
"""

import argparse
import asyncio
import base64
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sdg_core import api
from sdg_core.testing import ModelServer
from sdg_core.testing.model_answers import PNG
from tests.core.plan.test_recipes import RECIPES, write_seeds

RECORDS = 3


@dataclass(frozen=True)
class Side:
    """What one system made of a recipe. fault: why it made nothing."""

    seconds: float
    rows: int = 0
    columns: tuple[str, ...] = ()
    fault: str | None = None

    def __str__(self) -> str:
        return (
            self.fault
            or f"{self.rows} rows, {len(self.columns)} columns, {self.seconds:.1f} s"
        )


async def ours(recipe: Path, place: Path, endpoint: str) -> Side:
    """The recipe with sdg, providers beside it."""
    began = time.monotonic()
    raw = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    names = sorted(
        {model["provider"] for model in raw["data_designer"]["model_configs"]}
    )
    raw["model_providers"] = [{"name": name, "endpoint": endpoint} for name in names]
    file = place / f"{recipe.stem}.sdg.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    try:
        dataset = api.open_dataset(file, root=str(place / "root"), num_records=RECORDS)
        summary = await api.agenerate(dataset)
    except api.SdgError as error:
        return Side(time.monotonic() - began, fault=str(error).splitlines()[0])
    columns = tuple(sorted(dataset.plan.kept_schema.names))
    return Side(
        time.monotonic() - began, summary.generated, columns, summary.first_failure
    )


async def theirs(recipe: Path, place: Path, endpoint: str, python: str | None) -> Side:
    """The recipe with Data Designer, in its own environment."""
    if python is None:
        return Side(0.0, fault="no environment with data-designer was named")
    began = time.monotonic()
    driver = Path(__file__).with_name("recipes_data_designer.py").resolve()
    target = place / recipe.name
    shutil.copy(recipe, target)
    process = await asyncio.create_subprocess_exec(
        python,
        str(driver),
        str(target),
        endpoint,
        str(RECORDS),
        cwd=place,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NEMO_TELEMETRY_ENABLED": "false"},
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        said = [
            line
            for line in err.decode(errors="replace").splitlines()
            if "Error" in line
        ] or ["it said nothing"]
        return Side(time.monotonic() - began, fault=said[-1].strip()[:120])
    made: dict[str, Any] = json.loads(out.decode().strip().splitlines()[-1])
    return Side(time.monotonic() - began, made["rows"], tuple(made["columns"]))


def server_for(config: dict[str, Any]) -> ModelServer:
    """A server whose models that draw answer with an image."""
    sampler = {
        column["model_alias"]
        for column in config["columns"]
        if column["column_type"] == "image"
    }
    models = {
        model["model"] for model in config["model_configs"] if model["alias"] in sampler
    }
    image = {
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}
    }
    drawn = {"role": "assistant", "content": "", "images": [image]}
    return ModelServer(message=lambda body: drawn if body["model"] in models else None)


async def main(python: str | None, only: str | None) -> None:
    """The table, a recipe a line."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        write_seeds(place)
        print(f"{'recipe':34}{'sdg':38}{'data-designer':60}columns")
        for recipe in RECIPES:
            raw = yaml.safe_load(recipe.read_text(encoding="utf-8"))["data_designer"]
            needs_more = raw["tool_configs"] or "rollout" in recipe.stem
            if needs_more or (only is not None and recipe.stem != only):
                continue
            async with server_for(raw) as server:
                mine = await ours(recipe, place, server.url)
            async with server_for(raw) as server:
                other = await theirs(recipe, place, server.url, python)
            same = ""
            if other.columns:
                same = "same" if mine.columns == other.columns else "differ"
            print(f"{recipe.stem:34}{mine!s:38.37}{other!s:60.59}{same}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer-python", metavar="PYTHON", help="of an environment with data-designer"
    )
    parser.add_argument("--only", help="one recipe, by name")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.peer_python, arguments.only)))
