"""`README.md` of a finished version: a dataset card, by which the directory loads as a dataset.

The YAML block follows the Hugging Face hub's format (https://huggingface.co/docs/hub/datasets-manual-configuration): `configs`
names the files of each output, so that `datasets.load_dataset(<version directory>)` finds those and not the row groups.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import yaml

from sdg_core.config.select import SelectConfig
from sdg_core.counts import counted
from sdg_core.plan.checks.processors import WITH_IMAGES
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import producers_of
from sdg_core.processing.row_processors import Outcome


def dataset_card(
    plan: DatasetPlan,
    *,
    num_rows: int,
    transforms: Sequence[tuple[str, pa.Schema]],
    outcomes: Sequence[Outcome],
    images: Sequence[str] = (),
) -> str:
    """The text of the card. transforms: the other outputs, by name, with their schemas. images: the columns of images."""
    config = plan.config
    header: dict[str, Any] = {"pretty_name": config.name}
    if config.license is not None:
        header["license"] = config.license
    if num_rows:
        header["size_categories"] = [_size_category(num_rows)]
    header["tags"] = ["synthetic"]
    header["configs"] = _configs(
        [name for name, _ in transforms], has_images=bool(images)
    )
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
        f"# {config.name}",
    ]
    if config.description:
        parts.append(config.description)
    if plan.simulated:
        parts.append("**Replies are simulated: no model was asked.**")
    parts.append(f"{counted(num_rows, 'record')}.")
    parts.append("## Columns")
    columns = ("column", "type", "made by", "description")
    parts.append(_table(columns, _column_rows(plan, images)))
    for name, schema in transforms:
        rows = [(f"`{field.name}`", str(field.type)) for field in schema]
        parts.append(f"## Columns of `{name}`")
        parts.append(_table(("column", "type"), rows))
    parts.append("## How it was made")
    parts.append(_how(plan, outcomes))
    return "\n\n".join(parts) + "\n"


def _configs(transforms: Sequence[str], *, has_images: bool) -> list[dict[str, Any]]:
    """Where the files of each output are; the dataset is what is loaded without a name, with its images if it has any."""
    main = "dataset" if "default" in transforms else "default"
    directory = WITH_IMAGES if has_images else "dataset"
    configs = [{"config_name": main, "data_files": _files(directory), "default": True}]
    for name in transforms:
        configs.append({"config_name": name, "data_files": _files(name)})
    return configs


def _files(output: str) -> list[dict[str, str]]:
    return [{"split": "train", "path": f"processed/{output}/*.parquet"}]


def _size_category(num_rows: int) -> str:
    """The hub's word for a size, https://github.com/huggingface/hub-docs/blob/main/datasetcard.md."""
    bounds = {
        10**3: "1K",
        10**4: "10K",
        10**5: "100K",
        10**6: "1M",
        10**7: "10M",
        10**8: "100M",
        10**9: "1B",
    }
    lower = ""
    for bound, name in bounds.items():
        if num_rows < bound:
            return f"{lower}<n<{name}" if lower else f"n<{name}"
        lower = name
    return "n>1B"


def _column_rows(plan: DatasetPlan, images: Sequence[str]) -> list[tuple[str, ...]]:
    columns = {column.name: column for column in plan.config.columns}
    producers = producers_of(plan.config.columns)
    rows: list[tuple[str, ...]] = []
    for field in plan.kept_schema:
        column = columns.get(producers.get(field.name, field.name))
        made_by = "seed data" if column is None else column.column_type
        description = (
            column.description
            if column is not None and column.name == field.name
            else None
        )
        kind = "images" if field.name in images else str(field.type)
        rows.append((f"`{field.name}`", kind, made_by, description or ""))
    return rows


def _how(plan: DatasetPlan, outcomes: Sequence[Outcome]) -> str:
    lines = [
        f"- config fingerprint `{plan.fingerprint.config_hash}`, seed {plan.config.seed}, "
        f"{counted(plan.num_records, 'record')} planned"
    ]
    for alias, (model, provider) in plan.models.items():
        lines.append(
            f"- model `{alias}`: {model.model}, provider {provider.name} ({provider.provider_type})"
        )
    if plan.config.select is not None:
        lines.append(f"- {_how_selected(plan.config.select)}")
    for outcome in outcomes:
        lines.append(
            f"- processor `{outcome.name}` ({outcome.method}): {counted(outcome.kept, 'record')} kept, "
            f"{outcome.removed:,} removed"
        )
    return "\n".join(lines)


def _how_selected(select: SelectConfig) -> str:
    if select.keep is None:
        return f"each record is the one of {counted(select.candidates, 'candidate')} with the highest `{select.best}`"
    best = (
        f", else the candidate with the highest `{select.best}`"
        if select.best is not None
        else ""
    )
    return f"each record drawn up to {counted(select.candidates, 'time')} until `{select.keep}`{best}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for row in [head, ["---"] * len(head), *rows]:
        cells = [_cell(text) for text in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
