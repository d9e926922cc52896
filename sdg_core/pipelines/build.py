"""Pipelines written in Python: the same reader, stages and sink as in a file, with stages that are objects.

    pipeline = Pipeline("notes", {"reader": "files", "path": "docs/*.md"}, [Chunk(size=800), {"stage": "filter", ...}])
    print(pipeline.describe())
    pipelines.generate(pipelines.open_pipeline(pipeline))

It is turned into what a file would have said and goes through the same checks; nothing else knows that there was no file.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdg_core.custom import STAGE_SETTINGS, SourceReader, Stage
from sdg_core.errors import PlanError
from sdg_core.plan.foreign import json_text

AnyStage = Stage | Mapping[str, Any] | Callable[..., Any]


@dataclass(frozen=True)
class WrittenPipeline:
    """A pipeline as a file would say it. objects: stages, functions and the reader by the name that it gives them."""

    data: dict[str, Any]
    objects: Mapping[str, Any]
    base: Path


class Pipeline:
    """A reader, stages and a sink. It is checked by `open_pipeline` and run by `generate`.

    name: directory name below the storage root. reader: the `sources` mapping of a file, or a `SourceReader`. stages:
    `Stage` objects, functions, or stage mappings as in a file. settings: the other keys of a file (`sink`, `seed`,
    `model_providers`, `model_configs`, `processors`, `run`, `description`). base: directory that relative paths are
    relative to; default: the working directory.
    """

    def __init__(
        self,
        name: str,
        reader: Mapping[str, Any] | SourceReader,
        stages: Sequence[AnyStage] = (),
        *,
        base: str | Path | None = None,
        **settings: Any,
    ) -> None:
        self.name = name
        self.reader = reader
        self.stages: list[AnyStage] = [*stages]
        self.settings = settings
        self._base = Path(base) if base is not None else None

    def add_stage(self, stage: AnyStage) -> "Pipeline":
        """Append a stage; returns the pipeline."""
        self.stages.append(stage)
        return self

    def describe(self) -> str:
        """The pipeline as text: the reader, every stage with its resources, the sink."""
        written = self.written()
        lines = [f"Pipeline: {self.name}"]
        if "description" in self.settings:
            lines.append(f"  {self.settings['description']}")
        lines.append(f"  reader: {_shown(written.data['sources'])}")
        stages = zip(self.stages, written.data["stages"], strict=True)
        for place, (stage, data) in enumerate(stages):
            if isinstance(stage, Stage):
                wanted = f"{stage.resources.cpus:g} CPU, {stage.resources.gpus:g} GPU"
                lines.append(
                    f"  stage {place}: {_name(stage)} (batches of {stage.batch_size}, {wanted})"
                )
            else:
                lines.append(f"  stage {place}: {_shown(data)}")
        sink = self.settings.get("sink") or {"columns": "all"}
        lines.append(f"  sink: {_shown(sink)}")
        return "\n".join(lines)

    def written(self) -> WrittenPipeline:
        """The equivalent file content."""
        objects: dict[str, Any] = {}
        reader: Any = self.reader
        if isinstance(reader, SourceReader):
            named = f"python:{type(reader).__name__}"
            objects[named] = reader
            reader = {"reader": "custom", "reader_class": named}
        stages = [_written(stage, objects) for stage in self.stages]
        data = {
            "kind": "pipeline",
            "name": self.name,
            "sources": reader,
            "stages": stages,
            **self.settings,
        }
        return WrittenPipeline(
            _plain(data), objects, (self._base or Path.cwd()).resolve()
        )


def _plain(value: Any) -> Any:
    """A copy made of mappings and lists only, as a file is."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return deepcopy(value)


def _written(stage: AnyStage, objects: dict[str, Any]) -> dict[str, Any]:
    if isinstance(stage, Mapping):
        return dict(stage)
    name = _name(stage)
    while name in objects and objects[name] is not stage:
        name += "_"
    objects[name] = stage
    data: dict[str, Any] = {"stage": "function", "function": name}
    if isinstance(stage, Stage):
        data |= {"checkpoint": stage.checkpoint, "params": _params(stage)}
        if stage.version is not None:
            data["version"] = stage.version
    return data


def _params(stage: Stage) -> dict[str, Any]:
    """What a stage was made with, for the fingerprint. Raises PlanError for what has no form in JSON and no version to stand
    for it."""
    found = {}
    for name, value in vars(stage).items():
        if name.startswith("_") or name in STAGE_SETTINGS:
            continue
        try:
            json_text(value)
        except ValueError as error:
            if stage.version is None:
                raise PlanError(
                    f"stage {_name(stage)}: its attribute {name} cannot be part of the fingerprint: {error}",
                    remedy="give the stage a `version`, or start the attribute's name with an "
                    "underscore if it does not affect results",
                ) from error
        else:
            found[name] = value
    return found


def _name(stage: Any) -> str:
    if isinstance(stage, Stage):
        return stage.name or type(stage).__name__
    return str(getattr(stage, "__name__", type(stage).__name__))


def _shown(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in data.items())
