"""What the parts of a pipeline's run share, from its start to its end."""

from dataclasses import dataclass

from sdg_core.config.run import RunSettings
from sdg_core.execution.run_state import window_size
from sdg_core.execution.summary import RunCounter
from sdg_core.models.pool import ModelPool
from sdg_core.pipelines.handle import OpenPipeline, Versions
from sdg_core.pipelines.store import SourcesLayout
from sdg_core.store.versions import Version

MAX_CONCURRENT_SOURCES = 256
"""However many requests models take: memory and file descriptors have limits, too."""


@dataclass(frozen=True)
class RunContext:
    """A pipeline, the version that the run writes to, and what the run asks and tells on the way.

    retry: keys of sources that are tried again although they were given up. versions: of sources, as far as they are known.
    """

    pipeline: OpenPipeline
    version: Version
    layout: SourcesLayout
    run_id: str
    models: ModelPool
    counter: RunCounter
    retry: frozenset[str]
    versions: Versions

    @property
    def settings(self) -> RunSettings:
        """The file's `run` section."""
        return self.pipeline.plan.config.run

    @property
    def concurrent_sources(self) -> int:
        """How many sources are made at once."""
        window = window_size(self.models.capacity, calls_out=True)
        return min(window, MAX_CONCURRENT_SOURCES)
