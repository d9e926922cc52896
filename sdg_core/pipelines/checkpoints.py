"""Checkpoints: what a stage with `checkpoint: true` made of a source, kept so that it is not made again.

    <root>/<pipeline>/checkpoints/<pipeline up to the stage>/<source>/<its version>-<batch>.jsonl

The first part of the name is the fingerprint of everything up to the stage, so a checkpoint is found after a kill as well as in
another version in which only later stages differ. Invariants: a file is whole or absent; it holds a batch of which nothing has
failed; what a stage hands on is what its checkpoint would give, in the first run as in the next.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from sdg_core.pipelines.tasks import RejectedCandidate, StageAccount, Task
from sdg_core.plan.foreign import dump_exactly, load_exactly
from sdg_core.store.atomic import atomic_file, read_or_none
from sdg_core.store.listing import list_files
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint

SCHEMA_VERSION = 1
_SIZE = 8
"""Bytes in front of a file that say how large it is unpacked."""
_TYPE = "\x00type"
"""The key that marks a value which JSON has no form for."""


@dataclass(frozen=True)
class Checkpoint:
    """A batch of a source after a stage. read: records that the batch took from the source. last: whether they were the last.
    rejected: candidates that were not kept on the way."""

    tasks: list[Task]
    accounts: list[StageAccount]
    read: int
    last: bool
    rejected: Sequence[RejectedCandidate] = ()


@dataclass(frozen=True)
class _Kept:
    """What a file says, before its values are decoded."""

    read: int
    last: bool
    accounts: list[StageAccount]
    rejected: list[tuple[tuple[int, ...], int, int, str, dict[str, Any]]]
    tasks: list[tuple[tuple[int, ...], dict[str, Any]]]


@lru_cache(maxsize=1)
def _kept() -> TypeAdapter[_Kept]:
    return TypeAdapter(_Kept)


def prefix_directory(prefix: str) -> str:
    """The directory of the checkpoints after a stage, by the fingerprint of the pipeline up to it."""
    return prefix.partition(":")[2][:32]


def source_directory(key: str) -> str:
    """The directory of a source's checkpoints."""
    return _short(key.encode("utf-8", "surrogateescape"), 32)


class SourceCheckpoints:
    """The checkpoints of one version of one source. commit_guard: entered around what changes them."""

    def __init__(
        self,
        directory: StorePath,
        *,
        key: str,
        version: str,
        commit_guard: CommitGuard = nullcontext,
    ) -> None:
        self._commit_guard = commit_guard
        self._directory = directory
        self._source = source_directory(key)
        self._version = _short(version.encode(), 16)

    def _place(self, prefix: str) -> StorePath:
        return self._directory / prefix_directory(prefix) / self._source

    def load(self, prefix: str, batch: int) -> Checkpoint | None:
        """What is kept of a batch after the stage with this prefix. Raises StoreError.

        A file that cannot be understood counts as absent: making it again is all that it could have saved.
        """
        content = read_or_none(self._place(prefix) / self._name(batch))
        if content is None:
            return None
        try:
            size = int.from_bytes(content[:_SIZE], "big")
            text = pa.decompress(content[_SIZE:], size, "zstd", asbytes=True)
            header, *lines = text.split(b"\n")
            head = load_exactly(header)
            if head["schema_version"] != SCHEMA_VERSION:
                return None
            data = {"rejected": [], **head, "tasks": [*map(load_exactly, lines)]}
            found = _kept().validate_python(data)
            tasks = [Task(path, _decoded(values)) for path, values in found.tasks]
            rejected = []
            for path, stage, candidate, reason, values in found.rejected:
                decoded = _decoded(values)
                rejected.append(
                    RejectedCandidate(path, stage, candidate, reason, decoded)
                )
            return Checkpoint(
                tasks, found.accounts, found.read, found.last, tuple(rejected)
            )
        except (
            ValueError,
            KeyError,
            TypeError,
            OSError,
            ArithmeticError,
            RecursionError,
            MemoryError,
            pa.ArrowException,
        ):
            return None

    def save(self, prefix: str, batch: int, found: Checkpoint) -> None:
        """Keep a batch, whose values are `storable`; what is kept of other versions of the source goes.

        Raises StoreError, and what `commit_guard` raises.
        """
        accounts = [asdict(account) for account in found.accounts]
        rejected = [
            [r.path, r.stage, r.candidate, r.reason, _encoded(r.values)]
            for r in found.rejected
        ]
        head = {
            "schema_version": SCHEMA_VERSION,
            "read": found.read,
            "last": found.last,
            "accounts": accounts,
            "rejected": rejected,
        }
        lines = [
            dump_exactly([task.path, _encoded(task.values)]) for task in found.tasks
        ]
        content = b"\n".join([dump_exactly(head), *lines])
        place = self._place(prefix)
        if batch == 0:
            with self._commit_guard():
                self._remove_others(place)
        with atomic_file(
            place / self._name(batch), commit_guard=self._commit_guard
        ) as file:
            file.write(len(content).to_bytes(_SIZE, "big"))
            file.write(pa.compress(content, "zstd", asbytes=True))
        failpoint("checkpoint.after_save")

    def _name(self, batch: int) -> str:
        return f"{self._version}-{batch:06d}.jsonl.zst"

    def _remove_others(self, place: StorePath) -> None:
        with store_errors("clean up", place):
            for found in list_files(place):
                if not found.name.startswith(f"{self._version}-"):
                    (place / found.name).unlink(missing_ok=True)


def storable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a checkpoint gives them back. Raises ValueError for what it cannot keep."""
    text = dump_exactly(_encoded(values))
    found: dict[str, Any] = _decoded(load_exactly(text))
    return found


def _short(data: bytes, length: int) -> str:
    return hashlib.sha256(data).hexdigest()[:length]


def _encoded(value: Any) -> Any:
    """A value with what JSON has no form for written as a mapping of `_TYPE`."""
    match value:
        case datetime() | date() | time():
            return {_TYPE: type(value).__name__, "value": value.isoformat()}
        case timedelta():
            return {
                _TYPE: "timedelta",
                "value": [value.days, value.seconds, value.microseconds],
            }
        case Decimal():
            return {_TYPE: "Decimal", "value": str(value)}
        case bytes():
            return {_TYPE: "bytes", "value": value.hex()}
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError(
                    "it cannot be stored: a mapping has keys that are not text"
                )
            return {key: _encoded(part) for key, part in value.items()}
        case list() | tuple():
            return [_encoded(part) for part in value]
        case _:
            return value


_TYPES: dict[str, Any] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "Decimal": Decimal,
    "bytes": bytes.fromhex,
}


def _decoded(value: Any) -> Any:
    match value:
        case {"\x00type": str(kind), "value": written}:
            return _TYPES[kind](written)
        case dict():
            return {key: _decoded(part) for key, part in value.items()}
        case list():
            return [_decoded(part) for part in value]
        case _:
            return value
