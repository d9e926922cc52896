"""`seed_type: custom`: a reader class of the user's. Its module's source is part of the digest, so that editing it starts a new
version; what the module imports is not."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa

from sdg_core.config.seeds import CustomSeedSource
from sdg_core.errors import SdgError, SeedError
from sdg_core.plan.hashed_fields import digest
from sdg_core.plan.usercode.loader import (
    UserCodeError,
    find_definition,
    load_definition,
)
from sdg_core.seeds.base import Rows, SeedReader
from sdg_core.system.user_calls import call_user

T = TypeVar("T")
_PLACE = "seed_config.source.reader"


class CustomReader(SeedReader):
    """A user's reader; what it raises becomes SeedError, and its digest covers its source."""

    def __init__(self, reader: SeedReader, *, name: str, source: str) -> None:
        self._reader = reader
        self._name = name
        self._source = source

    @property
    def schema(self) -> pa.Schema:
        """The reader's."""
        schema = self._call("schema", lambda: self._reader.schema)
        if not isinstance(schema, pa.Schema) or not schema.names:
            raise SeedError(
                f"{self._name}: schema must be a pyarrow.Schema with at least one column"
            )
        return schema

    @property
    def num_rows(self) -> int:
        """The reader's."""
        return int(self._call("num_rows", lambda: self._reader.num_rows))

    def digest(self) -> str:
        """Of the reader's digest and its source."""
        return digest([self._call("digest", self._reader.digest), self._source])

    def files(self) -> Mapping[str, str]:
        """The reader's."""
        return dict(self._call("files", self._reader.files))

    def notices(self) -> tuple[str, ...]:
        """The reader's."""
        return tuple(self._call("notices", self._reader.notices))

    def check_values(self) -> None:
        """The reader's."""
        self._call("check_values", self._reader.check_values)

    def check_unchanged(self) -> None:
        """The reader's."""
        self._call("check_unchanged", self._reader.check_unchanged)

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The reader's rows."""
        return self._call("fetch", lambda: self._reader.read(rows))

    def _call(self, what: str, call: Callable[[], T]) -> T:
        return called(f"seed reader {self._name}", what, call)


def open_custom(source: CustomSeedSource, *, base: Path, root: str) -> SeedReader:
    """Load and construct the reader. Raises SeedError if that fails, or it is not one."""
    try:
        definition = find_definition(source.reader, base=base, what="class")
        found = load_definition(definition)
    except UserCodeError as error:
        raise SeedError(f"{_PLACE}: {error}") from error
    if not (inspect.isclass(found) and issubclass(found, SeedReader)):
        raise SeedError(
            f"{_PLACE}: {source.reader} is not a seed reader",
            remedy="name a class that extends SeedReader, ItemReader or DirectoryReader of sdg_core.api",
        )
    if inspect.isabstract(found):
        remaining = ", ".join(sorted(found.__abstractmethods__))
        raise SeedError(f"{_PLACE}: {source.reader} does not define {remaining}")
    arguments = _arguments(found, source, base=base, root=root)
    reader = called(
        f"seed reader {source.reader}", "constructor", lambda: found(**arguments)
    )
    return CustomReader(reader, name=source.reader, source=definition.module_text)


def _arguments(
    kind: type[SeedReader], source: CustomSeedSource, *, base: Path, root: str
) -> dict[str, Any]:
    """The constructor's arguments. Raises SeedError if it does not take the parameters that the file gives."""
    signature = inspect.signature(kind)
    given = {"base": base, "root": root}
    wanted = {
        name: value for name, value in given.items() if name in signature.parameters
    }
    arguments = {**wanted, **source.params}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        taken = [name for name in signature.parameters if name not in given]
        raise SeedError(
            f"seed_config.source.params: {error}",
            remedy=f"{source.reader} takes: {', '.join(taken) or 'none'}",
        ) from error
    return arguments


def called(who: str, what: str, call: Callable[[], T]) -> T:
    """The result of user code. Its errors become SeedError, ours stay. who: begins the message."""
    try:
        return call_user(call)
    except SdgError:
        raise
    except Exception as error:  # user code may raise anything
        raise SeedError(
            f"{who}: {what} raised {type(error).__name__}: {error}"
        ) from error
