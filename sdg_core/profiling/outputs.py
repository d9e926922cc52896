"""What processors wrote beside the finished dataset, chat messages for example: how much there is, and the first of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdg_core.plan.types.polars_columns import exact_column
from sdg_core.profiling.model import Tokens
from sdg_core.profiling.samples import plain
from sdg_core.profiling.tokens import measure_tokens
from sdg_core.store.layout import VersionLayout, part_files
from sdg_core.store.parts import scan_parts
from sdg_core.store.row_groups import damage_errors

MAX_SHOWN = 2
_MESSAGE_KEYS = frozenset({"role", "content"})
_REMEDY = "sdg reopen it, then process it again"


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True)
class OutputSample:
    """A row of an output: its conversations by column, and the other columns."""

    row: int
    conversations: Mapping[str, tuple[Message, ...]]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Output:
    """An output by the name of its processor. tokens: estimated, of whole conversations, by the column that holds them."""

    name: str
    num_rows: int
    tokens: Mapping[str, Tokens]
    samples: tuple[OutputSample, ...]


def describe_outputs(
    version: VersionLayout, names: Sequence[str]
) -> tuple[Output, ...]:
    """The outputs of processors that are there. Raises CorruptFileError, StoreError."""
    found = []
    for name in names:
        directory = version.processed / name
        parts = part_files(directory)
        if parts:
            with damage_errors(directory, remedy=_REMEDY), scan_parts(parts) as frame:
                found.append(_describe(name, frame))
    return tuple(found)


def _describe(name: str, frame: pl.LazyFrame) -> Output:
    schema = frame.collect_schema()
    count = frame.select(pl.len()).collect()
    rows = int(count.item())
    chats = [column for column, kind in schema.items() if _is_chat(kind)]
    tokens: dict[str, Tokens] = {}
    for column in chats:
        if not rows:
            break
        content = pl.element().struct.field("content").cast(pl.String)
        text = (
            exact_column(column).list.eval(content).list.join("\n", ignore_nulls=True)
        )
        measured = measure_tokens(frame, text, rows=rows, mean_length=4_000)
        if measured is not None:
            tokens[column] = measured
    records = frame.head(MAX_SHOWN).collect().iter_rows(named=True)
    samples = tuple(_sample(row, record, chats) for row, record in enumerate(records))
    return Output(name, rows, tokens, samples)


def _sample(row: int, record: Mapping[str, Any], chats: Sequence[str]) -> OutputSample:
    conversations = {}
    for column in chats:
        messages = []
        for turn in record[column] or ():
            if turn:
                content = turn["content"]
                said = str(plain(content)) if content is not None else ""
                messages.append(Message(str(turn["role"]), said))
        conversations[column] = tuple(messages)
    values = {name: plain(value) for name, value in record.items() if name not in chats}
    return OutputSample(row, conversations, values)


def _is_chat(kind: pl.DataType) -> bool:
    """Whether a column holds lists of messages with a role and a text."""
    if not isinstance(kind, pl.List) or not isinstance(kind.inner, pl.Struct):
        return False
    fields = {field.name: field.dtype for field in kind.inner.fields}
    return fields.keys() >= _MESSAGE_KEYS and fields["content"] == pl.String
