"""A dataset file to a DatasetConfig, with every fault kept at its YAML path and line.

Faults of structure are collected all at once. What can still be understood of a faulty file is handed on as well
(`ParsedConfig.config`), so that the caller can list faults of meaning (unknown references, cycles) in the same error.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from sdg_core.config.data_designer import BLOCK, drop_inert_keys, placeholders
from sdg_core.config.data_designer_meaning import with_their_meaning
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.environment import apply_environment, mappings
from sdg_core.config.lone_surrogates import lone_surrogates
from sdg_core.config.parsed_config import ParsedConfig, language_of
from sdg_core.config.pipeline import PipelineConfig
from sdg_core.config.validation_problems import validation_problems
from sdg_core.config.yaml_document import (
    Document,
    DocumentSyntaxError,
    Path,
    document_text,
    format_path,
    parse_document,
)
from sdg_core.errors import ConfigError, Problem

_REFERRED_TO = frozenset(
    {
        "columns",
        "seed_config",
        "model_providers",
        "model_configs",
        "mcp_providers",
        "tool_configs",
    }
)
"""Parts without which a reference in a column may seem wrong although it is not."""


@dataclass(frozen=True)
class Reading:
    """How a file is read. as_before: a builder config as releases before 0.2 took it, to go on with data made by them.
    complete: with placeholders for providers that are named and not defined."""

    as_before: bool = False
    complete: bool = False


AS_IT_IS = Reading()


def parse_config(
    text: str,
    *,
    source: str,
    default_name: str,
    env: Mapping[str, str],
    reading: Reading = AS_IT_IS,
) -> ParsedConfig:
    """Parse the text of a dataset file.

    Raises ConfigError if the text is not a YAML mapping. See `interpret`.
    """
    try:
        document = parse_document(text, is_json=source.endswith(".json"))
    except DocumentSyntaxError as error:
        raise ConfigError(
            source, [Problem(language_of(source), error.message, error.line)]
        ) from error
    return interpret(
        document, source=source, default_name=default_name, env=env, reading=reading
    )


def interpret(
    document: Document,
    *,
    source: str,
    default_name: str,
    env: Mapping[str, str],
    reading: Reading = AS_IT_IS,
) -> ParsedConfig:
    """The config that plain data means.

    source: what to call the file in messages. default_name: the dataset's name if the file gives none.
    env: looked up for `endpoint_env` and `model_env` only. Raises ConfigError if the data is not a mapping.
    """
    if not isinstance(document.data, dict):
        found = (
            "an empty file"
            if document.data is None
            else f"a {type(document.data).__name__}"
        )
        raise ConfigError(
            source,
            [
                Problem(
                    "(top level)", f"expected a mapping with `columns`, found {found}"
                )
            ],
        )
    if halves := [*lone_surrogates(document.data)]:
        raise ConfigError(
            source, [Problem(format_path(place), message) for place, message in halves]
        )
    if document.data.get("kind") == "pipeline" and "columns" not in document.data:
        problem = Problem(
            "kind",
            "a pipeline, not a dataset; in Python, open it with api.open_pipeline",
            document.line(("kind",)),
        )
        raise ConfigError(source, [problem])
    data = dict(document.data)
    block = data.pop(BLOCK, {})
    if not isinstance(block, dict):
        problem = Problem(BLOCK, "expected a mapping", document.line((BLOCK,)))
        raise ConfigError(source, [problem])
    prefix: Path = (BLOCK,) if BLOCK in document.data else ()
    parsed = ParsedConfig(source, document, prefix, frozenset(map(str, data)), None, ())
    twice = [
        parsed.problem((key,), f"also given in the {BLOCK} block; keep one")
        for key in data
        if key in block
    ]
    raw, ignored = drop_inert_keys(
        {"name": default_name, **data, **block}, frozenset(DatasetConfig.model_fields)
    )
    if reading.complete:
        raw, added = placeholders(raw)
        parsed = replace(parsed, added=tuple(added))
    if BLOCK in document.data or "library_version" in document.data:
        meant = with_their_meaning(raw)
        parsed = replace(
            parsed, reinterpreted=meant != raw or _ordered(meant) != _ordered(raw)
        )
        raw = raw if reading.as_before else meant
    raw, faults = apply_environment(raw, env)
    problems = (*(parsed.problem(path, message) for path, message in faults), *twice)
    return _validate(raw, replace(parsed, problems=problems, ignored=tuple(ignored)))


def _ordered(raw: dict[str, Any]) -> str:
    """What equality of mappings does not tell: the order of conditions."""
    columns = mappings(raw.get("columns"))
    return str([column.get("conditional_params") for column in columns])


def read_config(
    path: FilePath, *, env: Mapping[str, str], reading: Reading = AS_IT_IS
) -> ParsedConfig:
    """Read and parse a dataset file. Raises ConfigError if it cannot be read."""
    try:
        text = document_text(path)
    except FileNotFoundError as error:
        raise ConfigError(
            str(path), [Problem("file", f"does not exist{_near(path)}")]
        ) from error
    except OSError as error:
        raise ConfigError(
            str(path), [Problem("file", f"cannot be read: {error.strerror or error}")]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), [Problem("file", f"cannot be read as UTF-8 text: {error}")]
        ) from error
    return parse_config(
        text,
        source=str(path),
        default_name=_default_name(path),
        env=env,
        reading=reading,
    )


@dataclass(frozen=True)
class ParsedPipeline:
    """The outcome of reading a pipeline file that is right in its structure. `parsed` knows the lines of its parts."""

    config: PipelineConfig
    parsed: ParsedConfig


def is_pipeline(path: str | FilePath) -> bool:
    """Whether a file declares a pipeline. False for a file that cannot be read or parsed; loading it reports why."""
    path = FilePath(path)
    try:
        text = document_text(path)
        # as an escape it could be written otherwise
        if "kind" not in text and "\\" not in text:
            return False
        data = parse_document(text, is_json=path.suffix == ".json").data
    except (OSError, UnicodeDecodeError, DocumentSyntaxError):
        return False
    return isinstance(data, dict) and data.get("kind") == "pipeline"


def read_pipeline(path: FilePath, *, env: Mapping[str, str]) -> ParsedPipeline:
    """Read a pipeline file. Raises ConfigError with every fault of its structure."""
    source = str(path)
    try:
        document = parse_document(document_text(path), is_json=path.suffix == ".json")
    except OSError as error:
        problem = Problem("file", f"cannot be read: {error.strerror or error}")
        raise ConfigError(source, [problem]) from error
    except UnicodeDecodeError as error:
        problem = Problem("file", f"cannot be read as UTF-8 text: {error}")
        raise ConfigError(source, [problem]) from error
    except DocumentSyntaxError as error:
        problem = Problem(language_of(source), error.message, error.line)
        raise ConfigError(source, [problem]) from error
    return parse_pipeline(
        document, source=source, default_name=_default_name(path), env=env
    )


def parse_pipeline(
    document: Document, *, source: str, default_name: str, env: Mapping[str, str]
) -> ParsedPipeline:
    """What a document says of a pipeline. source: what to call it in messages. Raises ConfigError."""
    data = document.data if isinstance(document.data, dict) else {}
    halves = [
        Problem(format_path(place), message) for place, message in lone_surrogates(data)
    ]
    if halves:
        raise ConfigError(source, halves)
    parsed = ParsedConfig(source, document, (), frozenset(), None, ())
    raw, faults = apply_environment({"name": default_name, **data}, env)
    problems = [parsed.problem(place, message) for place, message in faults]
    try:
        config = PipelineConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            source, [*problems, *validation_problems(error, raw, parsed)]
        ) from error
    if problems:
        raise ConfigError(source, problems)
    return ParsedPipeline(config, parsed)


def _near(path: FilePath) -> str:
    """The file that a path may mean: one of the same folder that is almost called so."""
    try:
        names = [
            other.name
            for other in path.parent.iterdir()
            if other.suffix in (".yaml", ".yml", ".json")
        ]
    except OSError:
        return f", nor does its folder {path.parent}; check the path"
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {path.with_name(close[0])}?"
    return f"; check the path: {path.parent} has {', '.join(sorted(names)[:5]) or 'no dataset file'}"


def name_in(path: FilePath) -> str | None:
    """The name of what a file describes, as far as it can be read at all: cheaper than parsing the file, and of a faulty one."""
    try:
        found = _NAME.search(document_text(path))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found is not None else _default_name(path)


_NAME = re.compile(
    r"^name:[ \t]*[\"']?([a-z][a-z0-9_]*)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE
)


def _default_name(path: FilePath) -> str:
    """The file's name, or its directory's where the file is called by what it is."""
    stem = (
        path.resolve().parent.name
        if path.stem in ("dataset", "pipeline", "builder_config", "config")
        else path.stem
    )
    return re.sub(r"[^a-z0-9_]", "_", stem.lower()).lstrip("_0123456789") or "dataset"


def _validate(raw: dict[str, Any], parsed: ParsedConfig) -> ParsedConfig:
    try:
        return replace(parsed, config=DatasetConfig.model_validate(raw))
    except ValidationError as error:
        parsed = replace(
            parsed,
            problems=(*parsed.problems, *validation_problems(error, raw, parsed)),
        )
        return _salvage(raw, error, parsed)


def _salvage(
    raw: dict[str, Any], error: ValidationError, parsed: ParsedConfig
) -> ParsedConfig:
    """What validates of `raw` without its faulty columns and those faulty top-level keys that no column refers to."""
    bad_columns: set[int | str] = set()
    bad_keys: set[int | str] = set()
    for item in error.errors():
        key, *inside = item["loc"]
        bad_keys.add(key)
        if key == "columns" and inside:
            bad_columns.add(inside[0])
    bad_keys -= _REFERRED_TO
    salvaged: dict[str, Any] = {"name": "dataset"}
    salvaged |= {key: value for key, value in raw.items() if key not in bad_keys}
    names: set[str] = set()
    places: tuple[int, ...] | None = None
    columns = raw.get("columns")
    if bad_columns and isinstance(columns, list):
        places = tuple(
            place for place in range(len(columns)) if place not in bad_columns
        )
        salvaged["columns"] = [columns[place] for place in places]
        bad = [column for place, column in enumerate(columns) if place in bad_columns]
        names = {str(column.get("name")) for column in bad if isinstance(column, dict)}
    try:
        config = DatasetConfig.model_validate(salvaged)
    except ValidationError:
        return parsed
    return replace(
        parsed, config=config, dropped_columns=frozenset(names), column_places=places
    )
