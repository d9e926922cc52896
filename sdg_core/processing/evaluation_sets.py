"""Evaluation sets of `decontaminate`: opened by `validate` to see that they can be read, and again when processing starts.

Errors name the processor and the place of the set in it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sdg_core.config.processors import DecontaminateProcessor, EvaluationSet, Processor
from sdg_core.config.seeds import DirectorySeedSource, LocalSeedSource, SeedSource
from sdg_core.errors import CellError, FilterError, SeedError
from sdg_core.seeds.readers import Seeds

OpenSource = Callable[[SeedSource], Seeds]


def check_evaluation_sets(
    processors: Sequence[Processor], open_source: OpenSource
) -> list[str]:
    """Open the evaluation sets that are files, and list the others, which are read when processing starts.

    Raises SeedError or FilterError, naming the processor, for one that is not there, cannot be read, or has no such column.
    """
    unread = []
    for processor in processors:
        if not isinstance(processor, DecontaminateProcessor):
            continue
        for place, evaluation in enumerate(processor.evaluation_sets):
            source = evaluation.source
            if _is_there_already(source):
                with named_processor(processor.name):
                    opened_evaluation_set(place, evaluation, open_source)
            else:
                where = f"processor {processor.name!r}: evaluation_sets[{place}]"
                unread.append(
                    f"{where} ({source.seed_type}) is not checked now; it is read when processing starts"
                )
    return unread


def _is_there_already(source: SeedSource) -> bool:
    """Whether it is files that no asset is yet to write."""
    match source:
        case LocalSeedSource():
            return source.upstream_asset is None
        case DirectorySeedSource():
            return True
        case _:
            return False


def opened_evaluation_set(
    place: int, evaluation: EvaluationSet, open_source: OpenSource
) -> Seeds:
    """An evaluation set that has the columns that are named of it. Raises SeedError or FilterError."""
    with of_evaluation_set(place):
        seeds = open_source(evaluation.source)
        names = seeds.info().schema.names
    unknown = [name for name in evaluation.columns if name not in names]
    if unknown:
        raise FilterError(
            f"evaluation_sets[{place}] has no column {unknown[0]!r}; it has {', '.join(names)}",
            remedy="name columns of the evaluation set",
        )
    return seeds


@contextmanager
def named_processor(name: str) -> Iterator[None]:
    """Names the processor in what is raised inside."""
    try:
        yield
    except SeedError as error:
        raise SeedError(
            f"processor {name!r}: {error.message}", remedy=error.remedy
        ) from error
    except CellError as error:
        remedy = (
            error.remedy
            or "fix the processor (if a value may be missing, use `| default('')`)"
        )
        raise FilterError(
            f"processor {name!r}: {error.message}", remedy=remedy
        ) from error
    except FilterError as error:
        remedy = error.remedy or "fix the processor, then process again"
        raise FilterError(
            f"processor {name!r}: {error.message}", remedy=remedy
        ) from error


@contextmanager
def of_evaluation_set(place: int) -> Iterator[None]:
    """Says of which evaluation set something is raised that is otherwise said of seed data."""
    name = f"evaluation_sets[{place}]"
    try:
        yield
    except SeedError as error:
        message = error.message.replace("seed file", "the file").replace(
            "the seed data", "its source"
        )
        remedy = error.remedy
        if remedy is not None:
            remedy = remedy.replace("seed_config.source", f"{name}.source")
        raise SeedError(f"{name}: {message}", remedy=remedy) from error
