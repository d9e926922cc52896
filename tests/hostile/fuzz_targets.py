"""`python -m tests.hostile.fuzz_targets -runs=N`: every decoder of foreign bytes under atheris, which mutates by what it reaches.

The first byte chooses the decoder. What a decoder raises is of its documented errors, or the fuzzer stops and writes the input
to the working directory as `crash-...`. Options are those of libFuzzer (https://llvm.org/docs/LibFuzzer.html#options).
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["sdg_core"]):
    import orjson
    import pyarrow as pa
    from pydantic import TypeAdapter, ValidationError

    from sdg_core.config.load import parse_config, parse_pipeline
    from sdg_core.config.replies import ImageContext
    from sdg_core.config.seeds import (
        AgentRolloutSeedSource,
        LocalSeedSource,
        SeedConfig,
    )
    from sdg_core.config.sources import FileSources
    from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
    from sdg_core.errors import SdgError
    from sdg_core.generators.models.code import fenced_blocks
    from sdg_core.generators.models.media import media_parts
    from sdg_core.models.providers.http_errors import error_from_status, retry_after
    from sdg_core.models.providers.images import check_content
    from sdg_core.models.providers.openai_media import image_of_data_url
    from sdg_core.models.structured import (
        InvalidResponseError,
        extract_json,
        is_exactly,
        validate,
    )
    from sdg_core.pipelines.checkpoints import SourceCheckpoints
    from sdg_core.pipelines.readers.base import SourceError
    from sdg_core.pipelines.readers.text import read_csv, read_json_lines, read_text
    from sdg_core.pipelines.source_cells import read_cells
    from sdg_core.plan.foreign import dump_exactly, load_exactly, read_json
    from sdg_core.plan.templates.engine import (
        TemplateSyntaxError,
        condition_fault,
        template_references,
    )
    from sdg_core.plan.types.json_schema import compile_schema, shape_of
    from sdg_core.seeds.files import LocalFile
    from sdg_core.seeds.readers import open_seeds
    from sdg_core.store.failures import parse_failures
    from sdg_core.store.footer_index import _read_index
    from sdg_core.store.layout import VersionLayout
    from sdg_core.store.metadata import parse_metadata, read_current
    from sdg_core.store.row_groups import Footer, read_footer
    from sdg_core.store.seed_manifest import read_seed_content
    from sdg_core.store.spending import models_of_version
    from tests.hostile.test_files import CONTENTS, parquet_of
    from tests.hostile.test_fuzz import CALLER, DECODERS

DOCUMENTED = (
    SdgError,
    InvalidResponseError,
    SourceError,
    DocumentSyntaxError,
    TemplateSyntaxError,
    ValidationError,
)
PLACE = Path(
    tempfile.mkdtemp(
        prefix="sdg-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    )
)
FOOTER = TypeAdapter(Footer)


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace")


def text(data: bytes) -> str:
    try:
        return text_of(data)
    except UnicodeDecodeError:
        return data.decode("latin-1")


def reply(decode: Callable[[bytes], Any]) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        try:
            decode(CALLER.redaction.body(data))
        except (ValueError, RecursionError):
            pass  # `HttpSender.post` takes these for a reply that cannot be used

    return target


def fault(data: bytes) -> None:
    status = 400 + (data[0] if data else 0)
    words = text(data[1:])
    error_from_status(
        status, {"retry-after": words}, data[1:], caller=CALLER, model="m", now=0.0
    )
    retry_after({"retry-after-ms": words}, now=0.0)


def json_in_text(data: bytes) -> None:
    value = extract_json(text(data)).value
    assert load_exactly(dump_exactly(value)) == value or value != value
    is_exactly(text(data), {"type": "array"})
    validate(
        value, {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}}
    )


def documents(data: bytes) -> None:
    parse_document(text(data), is_json=bool(data) and data[0] == 123)


def templates(data: bytes) -> None:
    condition_fault(text(data))
    template_references(text(data))


def seeds(suffix: str) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        path = PLACE / f"file.{suffix}"
        path.write_bytes(data)
        source = SeedConfig(source=LocalSeedSource(path=str(path)))
        open_seeds(source, seed=0, base=PLACE, root=str(PLACE)).info()

    return target


def files_of_ours(data: bytes) -> None:
    path = PLACE / "batch_00000.parquet"
    path.write_bytes(data)
    read_footer(path)


def small_files_of_ours(data: bytes) -> None:
    parse_failures(data)
    (PLACE / "cells").mkdir(exist_ok=True)
    from sdg_core.pipelines.store import SourcesLayout

    layout = SourcesLayout(PLACE)
    Path(str(layout.cells(0))).write_bytes(data)
    read_cells(layout, 0)
    try:
        FOOTER.validate_json(data)
    finally:
        parse_metadata(PLACE / "metadata.json", data)


def damaged_indexes(data: bytes) -> None:
    """What is packed, as it is packed: the index of footers, a checkpoint; and what says which version is current."""
    version = VersionLayout(PLACE)
    packed = pa.compress(data, codec="zstd", asbytes=True)
    Path(str(version.footers)).write_bytes(packed)
    _read_index(version)
    checkpoints = SourceCheckpoints(PLACE / "checkpoints", key="k", version="v")
    place = checkpoints._place("sha256:0") / checkpoints._name(0)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(len(data).to_bytes(8, "big") + packed)
    checkpoints.load("sha256:0", 0)
    current = PLACE / "current.json"
    current.write_bytes(data)
    read_current(current)


def configs(data: bytes) -> None:
    content = (
        b"columns: [{name: a, column_type: sampler, sampler_type: category, params: {values: [x]}}]\n"
        + data
    )
    parse_config(text(content), source="a.yaml", default_name="a", env={})


def pipeline_configs(data: bytes) -> None:
    document = parse_document(text(b"sources: {reader: files, path: a}\n" + data))
    parse_pipeline(document, source="a.yaml", default_name="a", env={})


def sessions(data: bytes) -> None:
    """Sessions of agents in each format."""
    directory = PLACE / "sessions"
    directory.mkdir(exist_ok=True)
    for format, name in (
        ("atif", "a.json"),
        ("claude_code", "a.jsonl"),
        ("codex", "rollout-a.jsonl"),
    ):
        (directory / name).write_bytes(data)
        source = SeedConfig(
            source=AgentRolloutSeedSource(
                path=str(directory), format=format, file_pattern=name
            )
        )
        try:
            open_seeds(source, seed=0, base=PLACE, root=str(PLACE)).info()
        except SdgError:
            pass


def sources(data: bytes) -> None:
    """Files of a pipeline."""
    path = PLACE / "source.txt"
    path.write_bytes(data)
    for reader, read in (
        ("files", read_text),
        ("jsonl", read_json_lines),
        ("csv", read_csv),
    ):
        config = FileSources(reader=reader, path="a", front_matter=reader == "files")  # type: ignore[arg-type]
        try:
            list(read(LocalFile(path), config))
        except (SdgError, SourceError):
            pass


def notes_of_ours(data: bytes) -> None:
    version = VersionLayout(PLACE)
    Path(str(version.config)).write_bytes(data)
    models_of_version(version)
    path = PLACE / "seeds.json"
    path.write_bytes(data)
    read_seed_content(path)


def schemas(data: bytes) -> None:
    try:
        schema = read_json(data)
    except ValueError:
        return
    if isinstance(schema, dict):
        shape_of(schema)
        try:
            compile_schema(schema)
        except ValueError:
            pass  # reported as no schema


def images(data: bytes) -> None:
    try:
        check_content(data, where="x")
    finally:
        image_of_data_url(text(data), caller=CALLER, model="m")


def journal(data: bytes) -> None:
    try:
        value = load_exactly(data)
    except (ValueError, TypeError, RecursionError):
        return  # a cell that cannot be understood counts as absent
    dump_exactly(value)


def foreign_json(data: bytes) -> None:
    try:
        value = read_json(data)
        orjson.dumps(value)
    except (ValueError, TypeError):
        pass


TARGETS: list[Callable[[bytes], None]] = [
    *map(reply, DECODERS.values()),
    fault,
    json_in_text,
    documents,
    templates,
    *(
        seeds(suffix)
        for suffix in ("csv", "jsonl", "json", "parquet", "csv.gz", "arrow")
    ),
    files_of_ours,
    small_files_of_ours,
    damaged_indexes,
    configs,
    pipeline_configs,
    sessions,
    sources,
    notes_of_ours,
    schemas,
    images,
    journal,
    foreign_json,
    lambda data: (
        media_parts(ImageContext(modality="image", column_name="c"), text(data), None)
        and None
    ),
    lambda data: fenced_blocks(text(data)) and None,
]


def one_input(data: bytes) -> None:
    """Give the bytes to the decoder that the first of them names."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except DOCUMENTED:
        pass


def write_corpus(directory: Path) -> None:
    """Something valid for each decoder to begin with."""
    examples = [
        *CONTENTS.values(),
        parquet_of(),
        b'{"choices": [{"message": {"content": "x"}}]}',
        b"name: a\nb: &x [1, *x]\n",
    ]
    examples += [
        b"{{ a|upper }}{% if b %}x{% endif %}",
        b"data:image/png;base64,aGk=",
        b'```json\n{"a": 1}\n```',
        b'[1, "a"]',
    ]
    for number, example in enumerate(examples):
        for target in range(len(TARGETS)):
            (directory / f"{number}-{target}").write_bytes(
                bytes([target]) + example[:4_000]
            )


def main() -> None:
    corpus = PLACE / "corpus"
    corpus.mkdir()
    write_corpus(corpus)
    try:
        atheris.Setup([*sys.argv, str(corpus)], one_input)
        atheris.Fuzz()
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)


if __name__ == "__main__":
    main()
