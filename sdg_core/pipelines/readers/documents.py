"""Web pages, PDF and Word documents to text, in processes whose time and memory are bounded.

What a page or a heading is survives as Markdown, so that `split` by `unit: markdown` works on all of them. A document without
text is left out and counted: a navigation page, or a scan that nobody has run through OCR.

The libraries take from seconds to all memory for what a stranger's small file says, and some end the process. In a process of
their own this costs one source, by its name, while requests to models go on; several documents are read at once.
"""

import os
from collections.abc import Iterator

from sdg_core.config.sources import DocumentSources, HtmlSources
from sdg_core.custom import Filtered
from sdg_core.pipelines.readers.base import Record, SourceError
from sdg_core.pipelines.readers.text import read_whole
from sdg_core.seeds.files import SeedFile
from sdg_core.system.bounded_process import BoundedPool, WorkEndedError, shared_pool

_MAX_PROCESSES = 4


def read_document(
    file: SeedFile, config: DocumentSources | HtmlSources
) -> Iterator[Record]:
    """One record: `content`, `title`, and the `pages` of a PDF. Raises SourceError, also if it takes more than it may."""
    encoding = config.encoding if isinstance(config, HtmlSources) else None
    request = {"kind": config.reader, "encoding": encoding}
    try:
        found = _pool(config.timeout, config.memory_mib).call(
            request, content=read_whole(file)
        )
    except WorkEndedError as error:
        raise SourceError(
            f"was stopped: {error} ({config.timeout:g} s, {config.memory_mib:,} MiB); exclude it, or "
            f"raise sources.timeout "
            "or sources.memory_mib"
        ) from error
    if "error" in found:
        raise SourceError(found["error"])
    if "filtered" in found:
        yield Filtered(found["filtered"])
    else:
        yield found["values"]


def _pool(seconds: float, memory_mib: int) -> BoundedPool:
    size = min(_MAX_PROCESSES, os.cpu_count() or 1)
    function = "sdg_core.pipelines.readers.document_text:document_record"
    return shared_pool(function, size=size, seconds=seconds, memory=memory_mib * 2**20)
