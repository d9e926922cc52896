"""Removing what no run will look for again: old versions of a pipeline, and checkpoints that neither its file nor a version that
stays would find.

A version writes down under which fingerprints it keeps checkpoints, before its run makes the first one. Checkpoints go only while
every version is claimed, so never under a live run; what is lost with one is work, never paid replies or rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from sdg_core.dataset.prune import prunable, remove_versions
from sdg_core.pipelines.checkpoints import prefix_directory, source_directory
from sdg_core.pipelines.handle import OpenPipeline
from sdg_core.pipelines.spending import note_costs
from sdg_core.pipelines.store import PipelineLayout, SourcesLayout
from sdg_core.store.access import storage_of
from sdg_core.store.atomic import read_or_none, remove_directory, write_atomic
from sdg_core.store.listing import directory_names
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.version_list import VersionInfo


@dataclass(frozen=True)
class Prunable:
    """What may go. checkpoints: directories of stages, or of sources that are gone. size: bytes of the checkpoints."""

    versions: tuple[VersionInfo, ...]
    checkpoints: tuple[StorePath, ...] = ()
    size: int = 0

    def __bool__(self) -> bool:
        return bool(self.versions or self.checkpoints)


def note_checkpoints(pipeline: OpenPipeline, version: SourcesLayout) -> None:
    """Write down which checkpoints a version uses. Raises StoreError."""
    found = orjson.dumps(sorted(_own_prefixes(pipeline)))
    if read_or_none(version.checkpoint_list) != found:
        write_atomic(version.checkpoint_list, found)


def prunable_of(pipeline: OpenPipeline, *, keep: int = 0) -> Prunable:
    """The old versions but the `keep` changed last, and the checkpoints that nothing that stays would use.

    Raises a MetadataError, StoreError.
    """
    versions = prunable(pipeline.as_dataset(), keep=keep)
    checkpoints = _unused(pipeline, going={version.name for version in versions})
    with store_errors("measure", pipeline.layout.checkpoints):
        size = sum(storage_of(place).total_size() for place in checkpoints)
    return Prunable(versions, tuple(checkpoints), size)


def prune_pipeline(
    pipeline: OpenPipeline, found: Prunable, *, keep: int = 0
) -> Prunable:
    """Remove it; returns what was removed. Raises ClaimedError, before anything is removed, if a live run holds a version;
    StoreError or LedgerError."""
    removed: list[StorePath] = []

    def remove_checkpoints(gone: Sequence[VersionInfo]) -> None:
        unused = _unused(pipeline, going={version.name for version in gone})
        for place in found.checkpoints:
            if place in unused:
                remove_directory(place)
                removed.append(place)

    versions = remove_versions(
        pipeline.as_dataset(),
        found.versions,
        keep=keep,
        then=remove_checkpoints,
        note_costs=partial(note_costs, pipeline),
    )
    return Prunable(versions, tuple(removed), found.size)


def _unused(pipeline: OpenPipeline, *, going: set[str]) -> list[StorePath]:
    """Directories of checkpoints that neither the file nor a version that stays uses; and of sources that are gone."""
    layout = pipeline.layout
    used = _own_prefixes(pipeline)
    for name in layout.versions():
        if name not in going:
            used |= _noted(layout, name)
    with store_errors("list", layout.checkpoints):
        found = [
            layout.checkpoints / name for name in directory_names(layout.checkpoints)
        ]
        kept = [place for place in found if place.name in used]
        unused = [place for place in found if place.name not in used]
        if pipeline.is_current:
            sources = {source_directory(key) for key in pipeline.sources}
            for place in kept:
                names = directory_names(place)
                unused += [place / name for name in names if name not in sources]
    return unused


def _own_prefixes(pipeline: OpenPipeline) -> set[str]:
    return {
        prefix_directory(stage.prefix)
        for stage in pipeline.plan.stages
        if stage.stage.checkpoint
    }


def _noted(layout: PipelineLayout, name: str) -> set[str]:
    content = read_or_none(layout.version(name).checkpoint_list)
    try:
        return {str(prefix) for prefix in orjson.loads(content or b"[]")}
    except (orjson.JSONDecodeError, TypeError):
        return set()
