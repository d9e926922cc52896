"""Checks of processors: their names do not collide, their columns exist, their templates can be read."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import assert_never

import pyarrow as pa

from sdg_core.config.columns import ImageColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.processors import (
    DecontaminateProcessor,
    DeduplicateProcessor,
    DropColumnsProcessor,
    FilterProcessor,
    Processor,
    QualityBounds,
    RowProcessor,
    SchemaTransformProcessor,
)
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.checks.languages import LANGUAGES
from sdg_core.plan.extras import missing_library
from sdg_core.plan.names import did_you_mean, duplicates, matching_columns
from sdg_core.plan.templates.engine import (
    TemplateSyntaxError,
    chooses,
    template_references,
)
from sdg_core.plan.types.arrow import type_name

FINISHED = "dataset"
"""Name of the directory of the finished dataset, beside those of processors."""
REMOVED = "removed"
"""Name of the directory of records that processors left out."""
WITH_IMAGES = "dataset_with_pictures"
"""Name of the directory of the finished dataset with its images inside, where it has any."""


def check_processors(
    config: DatasetConfig, known: Set[str] | None, *, droppable: Set[str] | None = None
) -> Problems:
    """Problems of all processors. known: the columns there are, None while seed columns are not known. droppable: those that
    may be dropped, where they are others."""
    removes = any(
        isinstance(processor, RowProcessor) for processor in config.processors
    )
    images = {
        column.name for column in config.columns if isinstance(column, ImageColumn)
    }
    names = [processor.name for processor in config.processors]
    for index, name in duplicates(names):
        yield ("processors", index, "name"), f"another processor is named {name!r}"
    for index, processor in enumerate(config.processors):
        if processor.name == FINISHED:
            yield (
                ("processors", index, "name"),
                f"{FINISHED!r} is reserved for the finished dataset; rename this processor",
            )
        if processor.name == REMOVED and removes:
            yield (
                ("processors", index, "name"),
                f"{REMOVED!r} is reserved for removed records; rename this processor",
            )
        if processor.name == WITH_IMAGES and images:
            yield (
                ("processors", index, "name"),
                f"{WITH_IMAGES!r} is reserved for images; rename this processor",
            )
        there = known
        if droppable is not None and isinstance(processor, DropColumnsProcessor):
            there = droppable
        for path, message in _check_processor(processor, there):
            yield ("processors", index, *path), message
        for path, message in _check_images(processor, images):
            yield ("processors", index, *path), message


def _check_processor(processor: Processor, known: Set[str] | None) -> Problems:
    match processor:
        case DropColumnsProcessor():
            for place, pattern in enumerate(processor.column_names):
                if known is not None and not matching_columns(pattern, known):
                    yield (
                        ("column_names", place),
                        f"no column matches {pattern!r}{did_you_mean(pattern, known)}",
                    )
        case SchemaTransformProcessor():
            for path in _mixed_lists(processor.template):
                yield (
                    ("template", *path),
                    "the items of a list must have one type; quote numbers and booleans to make them text",
                )
            for path, source in text_leaves(processor.template):
                for message in _template_faults(source, known):
                    yield ("template", *path), message
        case _:
            yield from _check_row_processor(processor, known)


def _check_images(processor: Processor, images: Set[str]) -> Problems:
    """Processors that would compare the paths of images, of which no two are the same."""
    match processor:
        case FilterProcessor(column=str(name)) if name in images:
            yield (
                ("column",),
                f"{name!r} holds images, but quality rules judge texts; name a column of texts",
            )
        case DeduplicateProcessor() | DecontaminateProcessor():
            for place, name in enumerate(processor.columns):
                if name in images:
                    yield (
                        ("columns", place),
                        f"{name!r} holds image paths, which are all different; compare the columns that "
                        f"the images were made from",
                    )
        case _:
            pass


def check_processor_types(
    config: DatasetConfig, types: Mapping[str, pa.DataType]
) -> Problems:
    """Processors that cannot work on columns of their type. types: of the columns, as far as they are known."""
    for index, processor in enumerate(config.processors):
        match processor:
            case FilterProcessor(column=str(name)) if name in types and not _is_text(
                types[name]
            ):
                kind = type_name(types[name])
                yield (
                    ("processors", index, "column"),
                    f"{name!r} holds {kind}, but quality rules judge texts; name a column of texts, or "
                    f"use `keep`, a template",
                )
            case DeduplicateProcessor(method="embedding", columns=(name,)) if (
                name in types and not _is_vector(types[name])
            ):
                kind = type_name(types[name])
                yield (
                    ("processors", index, "columns", 0),
                    f"{name!r} holds {kind}, but method embedding compares vectors; name an embedding "
                    f"column, or one of lists "
                    "of numbers",
                )
            case _:
                pass


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def _is_vector(kind: pa.DataType) -> bool:
    """Whether a column holds lists of numbers, or what an embedding column does."""
    types = pa.types
    if types.is_struct(kind):
        return bool(kind.get_field_index("embeddings") >= 0)
    if types.is_null(kind):
        return True
    if not (
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
    ):
        return False
    item = kind.value_type
    is_number = (
        types.is_integer(item) or types.is_floating(item) or types.is_decimal(item)
    )
    return bool(is_number or types.is_null(item))


def _check_row_processor(processor: RowProcessor, known: Set[str] | None) -> Problems:
    match processor:
        case FilterProcessor(keep=str(keep)):
            yield from check_condition(keep, "keep", known)
        case FilterProcessor():
            assert processor.column is not None
            if known is not None and processor.column not in known:
                yield ("column",), _unknown(processor.column, known)
        case DeduplicateProcessor() | DecontaminateProcessor():
            for place, name in enumerate(processor.columns):
                if known is not None and name not in known:
                    yield ("columns", place), _unknown(name, known)
        case _:
            assert_never(processor)
    yield from _check_libraries(processor)
    if isinstance(processor, DeduplicateProcessor) and processor.score is not None:
        yield from check_condition(as_template(processor.score), "score", known)


def _check_libraries(processor: RowProcessor) -> Problems:
    match processor:
        case FilterProcessor(quality=rules):
            yield from check_rules(rules)
        case DeduplicateProcessor(method="minhash" | "embedding" as method):
            modules = ("rensa", "scipy") if method == "minhash" else ("scipy",)
            absent = missing_library(
                f"deduplication by {method}", modules=modules, extra="dedup"
            )
            if absent is not None:
                yield ("method",), absent
        case _:
            pass


def check_rules(rules: Sequence[QualityBounds]) -> Problems:
    """Quality rules whose library is not installed, or that name a language that it does not know."""
    for place, bounds in enumerate(rules):
        if bounds.language is not None:
            if bounds.language not in LANGUAGES:
                message = f"unknown language {bounds.language!r}; give its ISO 639-1 code, such as 'en'"
                yield ("quality", place, "language"), message
            absent = missing_library(
                "the quality rule language", modules=("py3langid",), extra="language"
            )
            if absent is not None:
                yield ("quality", place, "rule"), absent


def as_template(source: str) -> str:
    """A template; a bare expression such as a column's name, or `judge.quality.score`, stands for `{{ ... }}`."""
    return source if "{{" in source or "{%" in source else "{{ " + source + " }}"


def _template_faults(source: str, known: Set[str] | None) -> Iterator[str]:
    try:
        names = template_references(source)
    except TemplateSyntaxError as error:
        yield f"not a valid template: {error}"
        return
    if chooses(source):
        yield (
            "the filter random is allowed only in prompts and expressions; draw the value in a "
            "separate column and read that column"
        )
    for name in sorted(names - known) if known is not None else ():
        yield _unknown(name, known or ())


def check_condition(source: str, field: str, known: Set[str] | None) -> Problems:
    """Problems of a template that is asked of records, in the field that holds it. known: as in `check_processors`."""
    if "{{" not in source and "{%" not in source:
        yield (
            (field,),
            f"is plain text; write a template, such as {{{{ {source.strip()} }}}}",
        )
        return
    faults = list(_template_faults(source, known))
    if not faults and not template_references(source):
        faults = [
            "reads no column, so it is the same for every record; read at least one"
        ]
    for message in faults:
        yield (field,), message


def _unknown(name: str, known: Set[str] | tuple[()]) -> str:
    return f"unknown column {name!r}{did_you_mean(name, known)}"


def _mixed_lists(value: object, path: Path = ()) -> Iterator[Path]:
    """Lists that no column can hold, because their items are of different kinds."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _mixed_lists(child, (*path, key))
    elif isinstance(value, list):
        kinds = {type(item) for item in value if item is not None}
        if len(kinds) > 1:
            yield path
        for index, child in enumerate(value):
            yield from _mixed_lists(child, (*path, index))


def text_leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string in nested lists and mappings, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from text_leaves(child, (*path, key))
    elif isinstance(value, list | tuple):
        for place, child in enumerate(value):
            yield from text_leaves(child, (*path, place))
