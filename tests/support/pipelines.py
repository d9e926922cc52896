"""Pipelines for tests: a folder of sources, a pipeline file, and what its files hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sdg_core.api import pipelines
from sdg_core.pipelines.store import PartitionFooter, read_footer
from sdg_core.store.objects import StorePath
from sdg_core.store.row_groups import read_rows

WORDS: dict[str, Any] = {
    "stage": "split",
    "column": "content",
    "unit": "words",
    "size": 1,
}
"""A stage that makes a task of every word."""


@dataclass
class Project:
    """A pipeline file with its sources beside it, and a root for its data. bucket: a root in an object store instead."""

    directory: Path
    stages: list[dict[str, Any]]
    sources: dict[str, Any] = field(
        default_factory=lambda: {"reader": "files", "path": "docs/*.txt"}
    )
    more: dict[str, Any] = field(default_factory=dict)
    bucket: str | None = None

    @property
    def file(self) -> Path:
        return self.directory / "pipeline.yaml"

    @property
    def root(self) -> str:
        return self.bucket or str(self.directory / "data")

    def write(self, **texts: str | None) -> "Project":
        """Write the pipeline file, and sources by the stem of their name; None removes one."""
        folder = self.directory / "docs"
        folder.mkdir(parents=True, exist_ok=True)
        ending = {"jsonl": "jsonl", "csv": "csv"}.get(self.sources["reader"], "txt")
        for name, text in texts.items():
            path = folder / f"{name}.{ending}"
            if text is None:
                path.unlink()
            else:
                path.write_text(text, encoding="utf-8")
        config = {
            "kind": "pipeline",
            "name": "notes",
            "sources": self.sources,
            "stages": self.stages,
            **self.more,
        }
        self.file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return self

    def open(self, **more: Any) -> pipelines.OpenPipeline:
        return pipelines.open_pipeline(self.file, root=self.root, **more)

    def generate(self, **more: Any) -> pipelines.PipelineSummary:
        return pipelines.generate(self.open(), **more)

    def files(self) -> list[StorePath]:
        """The partitions of the current version."""
        version = self.open().layout.version(pipelines.status(self.open()).version)
        return [version.row_group(index) for index in version.existing_row_groups()]

    def footers(self) -> list[PartitionFooter]:
        return [read_footer(path) for path in self.files()]

    def rows(self) -> list[dict[str, Any]]:
        """Every row, by source and task."""
        rows = [row for path in self.files() for row in read_rows(path).to_pylist()]
        return sorted(
            rows,
            key=lambda row: (
                row["_source"],
                [int(part) for part in row["_task"].split("/")],
            ),
        )


def llm_stage(name: str, prompt: str) -> dict[str, Any]:
    """A stage with one column that a model writes."""
    column = {
        "column_type": "llm-text",
        "name": name,
        "model_alias": "m",
        "prompt": prompt,
    }
    return {"stage": "columns", "columns": [column]}


def served_by(url: str, **parameters: Any) -> dict[str, Any]:
    """Models of a real server."""
    return {
        "model_providers": [
            {"name": "local", "provider_type": "openai", "endpoint": url}
        ],
        "model_configs": [
            {
                "alias": "m",
                "model": "test",
                "provider": "local",
                "inference_parameters": parameters,
            }
            if parameters
            else {"alias": "m", "model": "test", "provider": "local"}
        ],
    }


def check_accounts(footers: list[PartitionFooter]) -> None:
    """The sum of every stage of every source, and that stages hand to each other what they say."""
    for account, following in _pairs(footers):
        assert (
            account["in"]
            == account["on"]
            + account["filtered"]
            + account["failed"]
            + account["expanded"]
        ), account
        if following is not None:
            assert following["in"] == account["on"] + account["made"], (
                account,
                following,
            )
    for footer in footers:
        for entry in footer.sources:
            last = entry.stages[-1]
            assert entry.rows == last.handed_on + last.made
            assert sum(stage.failed for stage in entry.stages) == len(
                [f for f in entry.failed if f.task]
            )
            assert entry.read == entry.stages[0].tasks_in


def _pairs(
    footers: list[PartitionFooter],
) -> Iterator[tuple[Mapping[str, int], Mapping[str, int] | None]]:
    for footer in footers:
        for entry in footer.sources:
            plain = [
                {
                    "in": stage.tasks_in,
                    "on": stage.handed_on,
                    "filtered": sum(stage.filtered.values()),
                    "failed": stage.failed,
                    "expanded": stage.expanded,
                    "made": stage.made,
                }
                for stage in entry.stages
            ]
            yield from zip(plain, [*plain[1:], None], strict=True)
