"""Functions of the user that a dataset file names: found, looked at, and made part of the config.

What a function declares (`sdg_core.custom`) and the hash of its source are written into the config, so that everything that
looks at a config afterwards, the fingerprint first of all, sees them. Only the function's own text is hashed: what it calls,
and what a closure holds, is not seen. `version` is there for that.
"""

import hashlib
import importlib
import importlib.util
import inspect
import linecache
import sys
import textwrap
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from types import ModuleType
from typing import Any

from pydantic import BaseModel, PydanticUserError, ValidationError

from sdg_core.config.base import ConfigModel
from sdg_core.config.columns import CustomColumn, LlmStructuredColumn, ValidationColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.validators import LocalCallableParams
from sdg_core.config.yaml_document import Path
from sdg_core.custom import METADATA
from sdg_core.plan.names import did_you_mean

_ANNOTATED_TYPES = {str: "str", int: "int", float: "float", bool: "bool"}
_ROW_NAMES = ("row", "df")


class UserFunctionError(ValueError):
    """What is wrong with a function, and the key of its column that says so."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class UserFunction:
    """A function as it is called: `arguments` says how many of (row or frame, parameters, models) it takes.

    params: what it gets as parameters: an instance of the pydantic model that it asks for, else the mapping of the file.
    """

    reference: str
    call: Callable[..., Any]
    is_async: bool
    arguments: int = 1
    params: Any = None


@dataclass(frozen=True)
class Resolved:
    """A config that says what its functions declare, the functions by the name of their column, and what is wrong."""

    config: DatasetConfig
    functions: Mapping[str, UserFunction]
    problems: tuple[tuple[Path, str], ...] = ()


def resolve_functions(config: DatasetConfig, *, base: FilePath, given: Mapping[str, Callable[..., Any]]) -> Resolved:
    """Load every function that the config names. `given`: functions by name, passed in Python; `base`: where paths start."""
    columns: list[Any] = []
    functions: dict[str, UserFunction] = {}
    problems: list[tuple[Path, str]] = []
    for place, column in enumerate(config.columns):
        try:
            match column:
                case CustomColumn():
                    column, functions[column.name] = _custom(column, base=base, given=given)
                case LlmStructuredColumn(output_format=str()):
                    column = _with(column, output_format=_schema_of_class(column.output_format, base=base, given=given))
                case ValidationColumn(validator_params=LocalCallableParams()):
                    column, functions[column.name] = _validator(column, base=base, given=given)
        except UserFunctionError as problem:
            problems.append((("columns", place, *problem.key.split(".")), str(problem)))
        columns.append(column)
    changed = any(new is not old for new, old in zip(columns, config.columns, strict=True))
    return Resolved(_with(config, columns=tuple(columns)) if changed else config, functions, tuple(problems))


def _with(model: Any, **values: Any) -> Any:
    return model.model_copy(update=values) if isinstance(model, ConfigModel) else model


def _custom(
    column: CustomColumn, *, base: FilePath, given: Mapping[str, Callable[..., Any]]
) -> tuple[CustomColumn, UserFunction]:
    key = "generator_function"
    call = find_callable(column.generator_function, key, base=base, given=given)
    declared = getattr(call, METADATA, {})
    version = column.version if column.version is not None else declared.get("version")
    resolved = _with(
        column,
        required_columns=_first(column.required_columns, declared.get("required_columns")),
        side_effect_columns=_first(column.side_effect_columns, declared.get("side_effect_columns")),
        model_aliases=_first(column.model_aliases, declared.get("model_aliases")),
        output_type=column.output_type if column.output_type is not None else _returned_type(call),
        version=version,
        source_hash=source_hash_of(call, key, version=version),
    )
    return resolved, _inspected(column, call)


def _validator(
    column: ValidationColumn, *, base: FilePath, given: Mapping[str, Callable[..., Any]]
) -> tuple[ValidationColumn, UserFunction]:
    params = column.validator_params
    assert isinstance(params, LocalCallableParams)
    key = "validator_params.validation_function"
    call = find_callable(params.validation_function, key, base=base, given=given)
    if inspect.iscoroutinefunction(inspect.unwrap(call)):
        raise UserFunctionError(key, f"{params.validation_function!r} is async; a validation function is not")
    version = params.version if params.version is not None else getattr(call, METADATA, {}).get("version")
    params = _with(params, version=version, source_hash=source_hash_of(call, key, version=version))
    return _with(column, validator_params=params), UserFunction(params.validation_function, call, False)


def _schema_of_class(reference: Any, *, base: FilePath, given: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """The JSON schema of a pydantic model, which stands for it from here on."""
    key = "output_format"
    found: Any = find_callable(reference, key, base=base, given=given, what="class")
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise UserFunctionError(
            key, f"{reference!r} is no pydantic model; write the schema itself, or name a BaseModel"
        )
    try:
        return found.model_json_schema()
    except PydanticUserError as error:
        raise UserFunctionError(key, f"{reference!r} has no JSON schema: {str(error).splitlines()[0]}") from error


def _first(*candidates: Any) -> tuple[str, ...]:
    return next((tuple(item) for item in candidates if item is not None), ())


def find_callable(
    reference: str, key: str, *, base: FilePath, given: Mapping[str, Callable[..., Any]], what: str = "function"
) -> Callable[..., Any]:
    """What a file names as `module:name` or `./file.py:name`, or by the name it is given under. Raises UserFunctionError."""
    if reference in given:
        found: Any = given[reference]
    elif ":" not in reference:
        known = f"{did_you_mean(reference, given)}" if given else ""
        raise UserFunctionError(
            key,
            f"{reference!r} is no {what}: write module:{what} or ./file.py:{what}, or pass it in Python "
            f"(open_dataset(..., functions={{...}})){known}",
        )
    else:
        where, _, name = reference.rpartition(":")
        module = _module(where, key, base=base)
        found = getattr(module, name, None)
        if found is None:
            names = [n for n, item in vars(module).items() if callable(item) and not n.startswith("_")]
            raise UserFunctionError(key, f"{where} has no {what} {name!r}{did_you_mean(name, names)}")
    if not callable(found):
        raise UserFunctionError(key, f"{reference!r} is {type(found).__name__}, not a {what}")
    return found  # type: ignore[no-any-return]


def _module(where: str, key: str, *, base: FilePath) -> ModuleType:
    try:
        if where.endswith(".py"):
            path = (base / where).resolve()
            stat = path.stat()
            return _module_of_file(path, stat.st_size, stat.st_mtime_ns)
        return importlib.import_module(where)
    except FileNotFoundError as error:
        raise UserFunctionError(key, f"{where} does not exist; a relative path starts at the dataset file") from error
    except (Exception, SystemExit) as error:
        hint = "" if where.endswith(".py") else "; install its package, or write ./file.py:function"
        missing = isinstance(error, ModuleNotFoundError) and error.name == where.partition(".")[0]
        reason = f"there is no module {where!r}{hint}" if missing else f"{type(error).__name__}: {error}"
        raise UserFunctionError(key, f"{where} cannot be imported: {reason}") from error


@lru_cache(maxsize=256)
def _module_of_file(path: FilePath, size: int, mtime_ns: int) -> ModuleType:
    """A file as a module, loaded again when it has changed (size and modification time are the key)."""
    name = f"sdg_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up there
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)  # not a cached .pyc: two edits in a second
    exec(code, vars(module))
    return module


def source_hash_of(call: Callable[..., Any], key: str, *, version: Any) -> str | None:
    """The hash of a function's or class's own text; None if it cannot be read but has a version. Raises UserFunctionError."""
    function = inspect.unwrap(call)
    target = function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
    try:
        linecache.checkcache()
        source = textwrap.dedent(inspect.getsource(target)).strip()
    except (OSError, TypeError, IndentationError):
        if version is not None:
            return None
        message = "its source cannot be read, so that changes to it would go unnoticed; declare a `version`"
        raise UserFunctionError(key, message) from None
    return f"sha256:{hashlib.sha256(source.encode()).hexdigest()}"


def _returned_type(call: Callable[..., Any]) -> str | None:
    returned = _hints(call).get("return")
    return _ANNOTATED_TYPES.get(returned) if isinstance(returned, type) else None


def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(call))
    except Exception:  # noqa: BLE001 - an annotation may name anything, and nothing depends on it
        return {}


def _inspected(column: CustomColumn, call: Callable[..., Any]) -> UserFunction:
    function = inspect.unwrap(call)
    try:
        parameters = [p for p in inspect.signature(function).parameters.values() if _positional(p)]
    except (TypeError, ValueError):
        parameters = [inspect.Parameter("row", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    names = [parameter.name for parameter in parameters]
    if not 1 <= len(names) <= 3 or names[1:] != ["generator_params", "models"][: len(names) - 1]:
        raise UserFunctionError(
            "generator_function",
            f"{column.generator_function!r} takes ({', '.join(names)}); a custom function takes ({' or '.join(_ROW_NAMES)}), "
            "then generator_params, then models",
        )
    params = _checked_params(column, parameters, _hints(call))
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )
    return UserFunction(column.generator_function, call, is_async, len(names), params)


def _positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def _checked_params(column: CustomColumn, parameters: list[inspect.Parameter], hints: Mapping[str, Any]) -> Any:
    given = column.generator_params
    if len(parameters) < 2:
        if given:
            raise UserFunctionError(
                "generator_params", f"{column.generator_function!r} takes no generator_params; remove them"
            )
        return None
    model = hints.get("generator_params")
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return given or {}
    try:
        return model.model_validate(given or {})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or model.__name__}: {item['msg']}" for item in error.errors()
        )
        raise UserFunctionError("generator_params", f"do not fit {model.__name__}: {faults}") from error
