"""`seed_type: custom`: a reader class of the user's. Its module's source is part of the digest, so that editing it starts a new
version; what the module imports is not."""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pyarrow as pa

from sdg_core.config.seeds import CustomSeedSource
from sdg_core.errors import SdgError, SeedError
from sdg_core.plan.fingerprint import digest
from sdg_core.seeds.base import Rows, SeedReader

_PLACE = "seed_config.source.reader"


class CustomReader(SeedReader):
    """A user's reader; what it raises becomes SeedError, and its digest covers its source."""

    def __init__(self, reader: SeedReader, *, name: str, source: str) -> None:
        self._reader, self._name, self._source = reader, name, source

    @property
    def schema(self) -> pa.Schema:
        """The reader's."""
        schema = _called(self._name, "schema", lambda: self._reader.schema)
        if not isinstance(schema, pa.Schema) or not schema.names:
            raise SeedError(f"{self._name}: schema must be a pyarrow.Schema with at least one column")
        return schema

    @property
    def num_rows(self) -> int:
        """The reader's."""
        return int(_called(self._name, "num_rows", lambda: self._reader.num_rows))

    def digest(self) -> str:
        """Of the reader's digest and its source."""
        return digest([_called(self._name, "digest", self._reader.digest), self._source])

    def check_unchanged(self) -> None:
        """The reader's."""
        _called(self._name, "check_unchanged", self._reader.check_unchanged)

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The reader's rows."""
        frame = _called(self._name, "fetch", lambda: self._reader.read(rows))
        if not isinstance(frame, pl.DataFrame):
            raise SeedError(f"{self._name}: fetch must return a polars DataFrame, not a {type(frame).__name__}")
        return frame


def open_custom(source: CustomSeedSource, *, base: Path, root: str) -> SeedReader:
    """Load and construct the reader. Raises SeedError if that fails, or it is not one."""
    module_name, _, class_name = source.reader.rpartition(":")
    module, text = _load(module_name, base=base)
    found = getattr(module, class_name, None)
    if not (inspect.isclass(found) and issubclass(found, SeedReader)):
        raise SeedError(
            f"{_PLACE}: {source.reader} is not a seed reader",
            remedy="name a class that extends SeedReader or ItemReader of sdg_core.seeds.base",
        )
    if inspect.isabstract(found):
        remaining = ", ".join(sorted(found.__abstractmethods__))
        raise SeedError(f"{_PLACE}: {source.reader} does not define {remaining}")
    arguments = _arguments(found, source, base=base, root=root)
    reader = _called(source.reader, "constructor", lambda: found(**arguments))
    return CustomReader(reader, name=source.reader, source=text)


def _arguments(kind: type[SeedReader], source: CustomSeedSource, *, base: Path, root: str) -> dict[str, Any]:
    """The constructor's arguments. Raises SeedError if it does not take the parameters that the file gives."""
    signature = inspect.signature(kind)
    given = {"base": base, "root": root}
    arguments = {**{name: value for name, value in given.items() if name in signature.parameters}, **source.params}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        taken = ", ".join(name for name in signature.parameters if name not in given) or "none"
        raise SeedError(f"seed_config.source.params: {error}", remedy=f"{source.reader} takes: {taken}") from error
    return arguments


def _load(name: str, *, base: Path) -> tuple[ModuleType, str]:
    """The module and its source; a file beside the dataset file comes before an installed module."""
    path = base / (name if name.endswith(".py") else f"{name.replace('.', '/')}.py")
    if path.is_file():
        return _load_file(path)
    if name.endswith(".py"):
        raise SeedError(f"{_PLACE}: {path} does not exist", remedy="a relative path starts at the dataset file")
    try:
        module = importlib.import_module(name)
        return module, inspect.getsource(module)
    except OSError as error:
        raise SeedError(f"{_PLACE}: the source of {name} cannot be read; it belongs to the fingerprint") from error
    except Exception as error:  # user code may raise anything while it is imported
        raise _failed(name, "import", error) from error


def _load_file(path: Path) -> tuple[ModuleType, str]:
    """Run the file as a module of its own; what is hashed is what has been run."""
    try:
        text = path.read_text(encoding="utf-8")
        content = f"{path.resolve()}\n{text}".encode()
        unique = f"sdg_seed_reader_{hashlib.sha256(content).hexdigest()[:16]}"
        if unique not in sys.modules:
            spec = importlib.util.spec_from_file_location(unique, path)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[unique] = module
            try:
                exec(compile(text, str(path), "exec"), module.__dict__)  # the user's own code, named by the user
            except BaseException:
                del sys.modules[unique]
                raise
        return sys.modules[unique], text
    except SdgError:
        raise
    except Exception as error:  # user code may raise anything while it is imported
        raise _failed(str(path), "import", error) from error


def _called(name: str, what: str, call: Any) -> Any:
    """The result of user code. Its errors become SeedError, ours stay."""
    try:
        return call()
    except SdgError:
        raise
    except Exception as error:  # user code may raise anything
        raise _failed(name, what, error) from error


def _failed(name: str, what: str, error: Exception) -> SeedError:
    return SeedError(f"seed reader {name}: {what} raised {type(error).__name__}: {error}")
