"""What a command may import: generating ten rows does not wait for libraries that these rows do not use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sdg import environment

NEVER = {
    "dagster",
    "scipy",
    "faker",
    "sqlglot",
    "aiohttp",
    "huggingface_hub",
    "mcp",
    "obstore",
    "pandas",
    "rensa",
    "sqlalchemy",
}
"""Libraries that a dataset of categories and expressions has no use for."""
FILE = """
name: ten
num_records: 10
columns:
  - {column_type: sampler, name: a, sampler_type: category, params: {values: [x, y]}}
  - {column_type: sampler, name: u, sampler_type: uuid, params: {}}
  - {column_type: expression, name: b, expr: "{{ a }}!"}
"""
REHEARSAL = """
  - {column_type: llm-text, name: c, model_alias: m, prompt: "about {{ a }}"}
model_providers: [{name: p, provider_type: simulated}]
model_configs: [{alias: m, model: m, provider: p}]
"""
LISTED = """
import json, sys
from sdg_core.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(*arguments: str | Path) -> set[str]:
    command = [sys.executable, "-c", LISTED, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


UNUSED = {
    "jsonschema_rs",
    "numpy.ma",
    "sdg_core.dataset.shown_tables",
    "sdg_core.execution.carry_over",
    "sdg_core.generators.samplers.datetimes",
    "sdg_core.generators.samplers.rejection",
    "sdg_core.generators.validation",
    "sdg_core.models.types",
    "sdg_core.plan.types.json_schema",
    "sdg_core.generators.models.chat",
    "sdg_core.models.endpoint",
    "sdg_core.execution.estimate",
    "http.client",
    "pyarrow.compute",
    "urllib.request",
}
"""Modules that a dataset without models has no use for."""
UNUSED_BY_TEXT = {
    "jsonschema_rs",
    "numpy.ma",
    "sdg_core.execution.carry_over",
    "sdg_core.generators.models.code",
    "sdg_core.generators.models.embedding",
    "sdg_core.generators.models.image",
    "sdg_core.generators.models.judge",
    "sdg_core.generators.models.structured",
    "sdg_core.models.mcp.server",
    "sdg_core.models.mcp.toolbox",
    "sdg_core.models.request_bounds",
    "sdg_core.plan.types.schema_work",
}
"""Modules that a model which writes text has no use for: other kinds of columns, schemas, tools, budgets."""


@pytest.mark.parametrize(
    ("text", "unused"),
    [(FILE, UNUSED), (FILE + REHEARSAL, UNUSED_BY_TEXT)],
    ids=["no model", "simulated model"],
)
def test_generate_imports_what_its_dataset_uses(
    tmp_path: Path, text: str, unused: set[str]
) -> None:
    (tmp_path / "dataset.yaml").write_text(text)
    modules = imported(
        "generate", tmp_path / "dataset.yaml", "--root", tmp_path / "root"
    )
    assert not modules & (NEVER | unused | {"rich"})


def test_help_and_validate_import_little(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(FILE)
    assert not imported("--help") & (
        NEVER | {"polars", "pyarrow", "numpy", "pydantic", "sqlalchemy"}
    )
    assert not imported("validate", tmp_path / "dataset.yaml") & NEVER


def test_the_code_location_imports_the_engine_when_it_opens_a_file() -> None:
    code = "import sys, dagster, sdg_assets; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(done.stdout.split())
    assert "sdg_assets.components.dataset" in modules
    assert not modules & {
        "polars",
        "pyarrow",
        "sdg_core.plan.load",
        "sdg_core.api.finish",
        "sdg_core.api.pipelines",
    }
