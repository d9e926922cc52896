"""Prompts as they were sent: rendered again from stored records, because nothing but the records is kept.

Nobody is asked: the pool that generators want holds simulated models, which need no key. Rendering is a pure function of the
record, so the prompt is the one that was sent, unless what the record reads has been dropped from the files.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sdg_core.config.columns import ModelColumn
from sdg_core.errors import CellError, CorruptFileError, SdgError
from sdg_core.generators.dispatch import PromptedGenerator
from sdg_core.generators.models.chat import message_text
from sdg_core.generators.models.dispatch import model_generator
from sdg_core.generators.skip import SkipRule, skip_rules
from sdg_core.models.open_pool import open_models
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.models import simulated_models
from sdg_core.store.images import ImageFiles
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_group_state import RowGroupStatus
from sdg_core.store.row_groups import read_dropped, read_head

MAX_SHOWN_RECORDS = 2
_MAX_LENGTH = 10_000


@dataclass(frozen=True)
class SentPrompt:
    """The messages, as (role, text), that a model was sent first for a record's cell."""

    column: str
    record: int
    messages: tuple[tuple[str, str], ...]


def prompts_as_sent(
    plan: DatasetPlan, version: VersionLayout, statuses: Sequence[RowGroupStatus]
) -> tuple[SentPrompt, ...]:
    """The prompts of the first stored records. None where rows are no records, or where the values cannot be read."""
    has_prompts = any(isinstance(column, ModelColumn) for column in plan.config.columns)
    if plan.resizes or not has_prompts:
        return ()
    stored = [status for status in statuses if status.footer and status.footer.num_rows]
    if not stored:
        return ()
    try:
        records = _records(version, stored[0])
        with ThreadPoolExecutor(1) as thread:  # there may be a loop in this one
            return thread.submit(
                asyncio.run, _rendered(plan, version, records)
            ).result()
    except (SdgError, OSError):
        return ()


def _records(
    version: VersionLayout, status: RowGroupStatus
) -> dict[int, dict[str, Any]]:
    """The first records of a row group by number, dropped columns included."""
    assert status.footer is not None
    indices = status.footer.records()[:MAX_SHOWN_RECORDS]
    rows = read_head(
        version.row_group(status.group.index), MAX_SHOWN_RECORDS
    ).to_pylist()
    dropped: list[dict[str, Any]] = [{} for _ in rows]
    if version.dropped(status.group.index).exists():
        dropped = read_dropped(version.dropped(status.group.index), indices).to_pylist()
    return {
        int(i): row | more for i, row, more in zip(indices, rows, dropped, strict=False)
    }


async def _rendered(
    plan: DatasetPlan, version: VersionLayout, records: Mapping[int, Mapping[str, Any]]
) -> tuple[SentPrompt, ...]:
    models = simulated_models(plan.models)
    async with open_models(
        models, settings=plan.config.run, env={}, tools=plan.tools
    ) as pool:
        generators = _prompted(plan, pool, version)
    return tuple(_prompts_of(plan, generators, records))


def _prompts_of(
    plan: DatasetPlan,
    generators: Mapping[str, PromptedGenerator],
    records: Mapping[int, Mapping[str, Any]],
) -> Iterator[SentPrompt]:
    """Record by record, in the order of the columns; without those that were skipped or cannot be rendered."""
    rules = skip_rules(plan)
    for record, values in records.items():
        skipped: set[str] = set()
        for column in plan.graph.order:
            if _is_skipped(rules.get(column), values, skipped):
                skipped.update(rules[column].names)
            elif column in generators:
                prompt = _prompt(generators[column], column, record, values)
                if prompt is not None:
                    yield prompt


def _prompted(
    plan: DatasetPlan, models: ModelPool, version: VersionLayout
) -> dict[str, PromptedGenerator]:
    images = ImageFiles(version)
    prompted: dict[str, PromptedGenerator] = {}
    for column in plan.config.columns:
        if isinstance(column, ModelColumn):
            generator = model_generator(plan, column, models=models, images=images)
            if isinstance(generator, PromptedGenerator):
                prompted[column.name] = generator
    return prompted


def _is_skipped(
    rule: SkipRule | None, values: Mapping[str, Any], skipped: set[str]
) -> bool:
    if rule is None:
        return False
    try:
        return rule.inherits_skip(skipped) or rule.holds(values)
    except CellError:
        return False


def _prompt(
    generator: PromptedGenerator, column: str, record: int, values: Mapping[str, Any]
) -> SentPrompt | None:
    try:
        messages = generator.prompt(record=record, values=values)
    except (CellError, CorruptFileError, KeyError):
        return None
    texts = [
        (message.role, message_text(message)[:_MAX_LENGTH]) for message in messages
    ]
    return SentPrompt(column, record, tuple(texts))
