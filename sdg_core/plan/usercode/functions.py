"""Functions of the user that a dataset file names: found, looked at, and made part of the config.

What a function declares (`sdg_core.custom`) and the hash of its source are written into the config, so that everything that
looks at a config afterwards, the fingerprint first of all, sees them. Only the function's own text is hashed: what it calls,
and what a closure holds, is not seen. `version` is there for that.
"""

import hashlib
import inspect
import linecache
import textwrap
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, PydanticUserError, ValidationError

from sdg_core.config.base import ConfigModel
from sdg_core.config.columns import CustomColumn, LlmStructuredColumn, ValidationColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.validators import LocalCallableParams
from sdg_core.config.yaml_document import Path
from sdg_core.custom import METADATA
from sdg_core.errors import PlanError
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.usercode.loader import (
    Definition,
    UserCodeError,
    find_definition,
    load_definition,
)
from sdg_core.plan.usercode.static import (
    StaticError,
    StaticFunction,
    read_function,
    read_source,
)

_ANNOTATED_TYPES = {str: "str", int: "int", float: "float", bool: "bool"}
_ROW_NAMES = ("row", "df")
_ONLY_RUNNING = "{}, so its declarations are only known by running it; copy the file into your project"
_NO_PARAMS = "{!r} takes no generator_params; remove them"


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


def resolve_functions(
    config: DatasetConfig,
    *,
    base: FilePath,
    given: Mapping[str, Callable[..., Any]],
    offline: bool = False,
    own: bool = True,
) -> Resolved:
    """Load every function that the config names. `given`: functions by name, passed in Python; `base`: where paths start.

    offline: read them from their source instead. What only running it shows is run if the dataset file is the user's `own`.
    """
    finder = _Finder(base, given, offline=offline, own=own)
    columns: list[Any] = []
    functions: dict[str, UserFunction] = {}
    problems: list[tuple[Path, str]] = []
    changed = False
    for place, original in enumerate(config.columns):
        column: Any = original
        try:
            match original:
                case CustomColumn():
                    column, functions[original.name] = _custom(original, finder)
                case LlmStructuredColumn(output_format=str(reference)):
                    schema = _schema_of_class(reference, finder)
                    column = _with(original, output_format=schema)
                case ValidationColumn(validator_params=LocalCallableParams()):
                    column, functions[original.name] = _validator(original, finder)
        except UserFunctionError as problem:
            problems.append((("columns", place, *problem.key.split(".")), str(problem)))
        columns.append(column)
        changed |= column is not original
    if changed:
        config = _with(config, columns=tuple(columns))
    return Resolved(config, functions, tuple(problems))


def _with(model: Any, **values: Any) -> Any:
    return model.model_copy(update=values) if isinstance(model, ConfigModel) else model


@dataclass(frozen=True)
class _Finder:
    """How functions are looked at: loaded, or read from their source."""

    base: FilePath
    given: Mapping[str, Callable[..., Any]]
    offline: bool
    own: bool

    def load(
        self, reference: str, key: str, *, what: str = "function"
    ) -> Callable[..., Any]:
        """Run the file. Raises UserFunctionError."""
        return find_callable(
            reference, key, base=self.base, given=self.given, what=what
        )

    def read(self, reference: str, key: str) -> StaticFunction | None:
        """What the source says; None if it is to be loaded. Raises UserFunctionError, also for what may not be run."""
        if not self.offline or reference in self.given:
            return None
        try:
            return read_function(
                named_definition(reference, key, base=self.base, given=self.given)
            )
        except StaticError as error:
            self.check_may_run(key, str(error))
            return None

    def check_may_run(self, key: str, reason: str) -> None:
        """Raise UserFunctionError if code is not to be run, because looking is all that was asked for."""
        if self.offline and not self.own:
            raise UserFunctionError(key, _ONLY_RUNNING.format(reason))


def read_definition(
    reference: str, key: str, *, base: FilePath, own: bool
) -> Definition | None:
    """A function or class that its source describes, of which nothing is run; None if only running the file would say what it is,
    and the file is the user's `own`. Raises UserFunctionError for what is not there or may not be run."""
    found = named_definition(reference, key, base=base, given={})
    try:
        read_source(found)
    except StaticError as error:
        if not own:
            raise UserFunctionError(key, _ONLY_RUNNING.format(error)) from error
        return None
    return found


def unloaded(reference: str) -> Callable[..., Any]:
    """What stands for a function that was only looked at. It raises PlanError."""

    def call(*arguments: Any) -> Any:
        raise PlanError(
            f"{reference} was not loaded",
            remedy="open the file without offline=True to run it",
        )

    return call


def _custom(column: CustomColumn, finder: _Finder) -> tuple[CustomColumn, UserFunction]:
    key = "generator_function"
    static = finder.read(column.generator_function, key)
    if static is not None:
        return _read_custom(column, static)
    call = finder.load(column.generator_function, key)
    declared = getattr(call, METADATA, {})
    version = column.version if column.version is not None else declared.get("version")
    source_hash = source_hash_of(call, key, version=version)
    resolved = _declared(
        column,
        declared,
        returned=_returned_type(call),
        version=version,
        source_hash=source_hash,
    )
    return resolved, _inspected(column, call)


def _read_custom(
    column: CustomColumn, static: StaticFunction
) -> tuple[CustomColumn, UserFunction]:
    """A custom column as its function's source describes it. Its parameters are checked against a model when it is loaded."""
    _check_parameters(column, static.parameters)
    if len(static.parameters) < 2 and column.generator_params:
        raise UserFunctionError(
            "generator_params", _NO_PARAMS.format(column.generator_function)
        )
    version = (
        column.version if column.version is not None else static.metadata.get("version")
    )
    resolved = _declared(
        column,
        static.metadata,
        returned=static.returned,
        version=version,
        source_hash=hash_of_text(static.source),
    )
    reference = column.generator_function
    return resolved, UserFunction(
        reference, unloaded(reference), static.is_async, len(static.parameters)
    )


def _declared(
    column: CustomColumn,
    declared: Mapping[str, Any],
    *,
    returned: str | None,
    version: Any,
    source_hash: str | None,
) -> CustomColumn:
    """The column with what its function declares, where the file does not say otherwise."""
    output_type = column.output_type
    if output_type is None:
        output_type = returned
    resolved: CustomColumn = _with(
        column,
        required_columns=_first(
            column.required_columns, declared.get("required_columns")
        ),
        side_effect_columns=_first(
            column.side_effect_columns, declared.get("side_effect_columns")
        ),
        model_aliases=_first(column.model_aliases, declared.get("model_aliases")),
        output_type=output_type,
        version=version,
        source_hash=source_hash,
    )
    return resolved


def _validator(
    column: ValidationColumn, finder: _Finder
) -> tuple[ValidationColumn, UserFunction]:
    params = column.validator_params
    assert isinstance(params, LocalCallableParams)
    key = "validator_params.validation_function"
    name = params.validation_function
    static = finder.read(name, key)
    if static is None:
        call = finder.load(name, key)
        is_async = inspect.iscoroutinefunction(inspect.unwrap(call))
        declared = getattr(call, METADATA, {})
    else:
        call = unloaded(name)
        is_async = static.is_async
        declared = static.metadata
    if is_async:
        raise UserFunctionError(
            key, f"{name!r} is async; a validation function must be a plain function"
        )
    version = params.version if params.version is not None else declared.get("version")
    if static is None:
        source_hash = source_hash_of(call, key, version=version)
    else:
        source_hash = hash_of_text(static.source)
    params = _with(params, version=version, source_hash=source_hash)
    return _with(column, validator_params=params), UserFunction(name, call, False)


def _schema_of_class(reference: Any, finder: _Finder) -> dict[str, Any]:
    """The JSON schema of a pydantic model, which stands for it from here on."""
    key = "output_format"
    if reference not in finder.given:
        finder.check_may_run(key, f"{reference!r} is a class")
    found: Any = finder.load(reference, key, what="class")
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise UserFunctionError(
            key,
            f"{reference!r} is not a pydantic model; write the schema itself, or name a BaseModel",
        )
    try:
        return found.model_json_schema()
    except PydanticUserError as error:
        raise UserFunctionError(
            key, f"{reference!r} has no JSON schema: {str(error).splitlines()[0]}"
        ) from error


def _first(given: Any, declared: Any) -> tuple[str, ...]:
    names = declared if given is None else given
    return () if names is None else tuple(names)


def find_callable(
    reference: str,
    key: str,
    *,
    base: FilePath,
    given: Mapping[str, Callable[..., Any]],
    what: str = "function",
) -> Callable[..., Any]:
    """What a file names as `module:name` or `./file.py:name`, or by the name it is given under. Raises UserFunctionError."""
    if reference in given:
        found: Any = given[reference]
    else:
        try:
            found = load_definition(
                named_definition(reference, key, base=base, given=given, what=what)
            )
        except UserCodeError as error:
            raise UserFunctionError(key, str(error)) from error
    if not callable(found):
        raise UserFunctionError(
            key, f"{reference!r} is {type(found).__name__}, not a {what}"
        )
    return found  # type: ignore[no-any-return]


def named_definition(
    reference: str,
    key: str,
    *,
    base: FilePath,
    given: Mapping[str, Callable[..., Any]],
    what: str = "function",
) -> Definition:
    """Where `module:name` or `./file.py:name` is defined; nothing is run. Raises UserFunctionError."""
    if ":" not in reference:
        known = f"{did_you_mean(reference, given)}" if given else ""
        raise UserFunctionError(
            key,
            f"{reference!r} is not a {what}: write module:{what} or ./file.py:{what}, or pass it in Python "
            f"(open_dataset(..., functions={{...}})){known}",
        )
    try:
        return find_definition(reference, base=base, what=what)
    except UserCodeError as error:
        raise UserFunctionError(key, str(error)) from error


def source_hash_of(call: Callable[..., Any], key: str, *, version: Any) -> str | None:
    """The hash of a function's or class's own text; None if it cannot be read but has a version. Raises UserFunctionError."""
    function = inspect.unwrap(call)
    target = (
        function
        if inspect.isroutine(function) or inspect.isclass(function)
        else type(function)
    )
    try:
        linecache.checkcache()
        source = textwrap.dedent(inspect.getsource(target)).strip()
    except (OSError, TypeError, IndentationError):
        if version is not None:
            return None
        message = "its source cannot be read, so changes to it would go unnoticed; declare a `version`"
        raise UserFunctionError(key, message) from None
    return hash_of_text(source)


def hash_of_text(source: str) -> str:
    """The hash of a definition's own text."""
    return f"sha256:{hashlib.sha256(source.encode()).hexdigest()}"


def _returned_type(call: Callable[..., Any]) -> str | None:
    returned = _hints(call).get("return")
    if not isinstance(returned, type):
        return None
    return _ANNOTATED_TYPES.get(returned)


def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(call))
    except Exception:  # noqa: BLE001 - an annotation may name anything, and nothing depends on it
        return {}


def _inspected(column: CustomColumn, call: Callable[..., Any]) -> UserFunction:
    function = inspect.unwrap(call)
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    try:
        every = inspect.signature(function).parameters.values()
        parameters = [parameter for parameter in every if parameter.kind in positional]
    except (TypeError, ValueError):
        parameters = [inspect.Parameter("row", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    names = [parameter.name for parameter in parameters]
    _check_parameters(column, names)
    params = _checked_params(column, parameters, _hints(call))
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )
    return UserFunction(column.generator_function, call, is_async, len(names), params)


def _check_parameters(column: CustomColumn, names: Sequence[str]) -> None:
    after_row = [*names[1:]]
    if not names or after_row not in (
        [],
        ["generator_params"],
        ["generator_params", "models"],
    ):
        raise UserFunctionError(
            "generator_function",
            f"{column.generator_function!r} takes ({', '.join(names)}); a custom function takes ({' or '.join(_ROW_NAMES)}), "
            "then generator_params, then models",
        )


def _checked_params(
    column: CustomColumn, parameters: list[inspect.Parameter], hints: Mapping[str, Any]
) -> Any:
    key = "generator_params"
    given = column.generator_params
    if len(parameters) < 2:
        if given:
            raise UserFunctionError(key, _NO_PARAMS.format(column.generator_function))
        return None
    model = hints.get(key)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return given or {}
    try:
        return model.model_validate(given or {})
    except ValidationError as error:
        faults = []
        for item in error.errors():
            where = ".".join(map(str, item["loc"])) or model.__name__
            faults.append(f"{where}: {item['msg']}")
        raise UserFunctionError(
            key, f"are not valid for {model.__name__}: {'; '.join(faults)}"
        ) from error
