"""A dataset file to a DatasetConfig, with every fault kept at its YAML path and line.

Faults of structure are collected all at once. What can still be understood of a faulty file is handed on as well
(`ParsedConfig.config`), so that the caller can list faults of meaning (unknown references, cycles) in the same error.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.document import Document, DocumentSyntaxError, Path, format_path, parse_document
from sdg_core.errors import ConfigError, Problem

_PEER_ONLY_KEYS = ("library_version",)


@dataclass(frozen=True)
class ParsedConfig:
    """The outcome of reading a dataset file.

    config: what could be understood; None when too little could.
    problems: faults of structure; the config may be used only when there are none.
    dropped_columns: names of columns left out of `config` because they are faulty themselves.
    column_places: where each column of `config` stands in the file.
    """

    source: str
    document: Document
    prefix: Path
    config: DatasetConfig | None
    problems: tuple[Problem, ...]
    dropped_columns: frozenset[str] = frozenset()
    column_places: tuple[int, ...] | None = None

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at `path` of `config`, with its line in the file."""
        if self.column_places is not None and len(path) > 1 and path[0] == "columns" and isinstance(path[1], int):
            path = ("columns", self.column_places[path[1]], *path[2:])
        return Problem(format_path(path), message, self.document.line((*self.prefix, *path)))


def parse_config(text: str, *, source: str, default_name: str, env: Mapping[str, str]) -> ParsedConfig:
    """Parse the text of a dataset file.

    source: what to call the file in messages. default_name: the dataset's name if the file gives none.
    env: looked up for `endpoint_env` and `model_env` only. Raises ConfigError if the text is not a YAML mapping.
    """
    try:
        document = parse_document(text)
    except DocumentSyntaxError as error:
        raise ConfigError(source, [Problem("YAML", error.message, error.line)]) from error
    if not isinstance(document.data, dict):
        found = "an empty file" if document.data is None else f"a {type(document.data).__name__}"
        raise ConfigError(source, [Problem("(top level)", f"expected a mapping with `columns`, found {found}")])
    raw, prefix = _unwrap(document.data)
    raw.setdefault("name", default_name)
    parsed = ParsedConfig(source, document, prefix, None, ())
    raw, problems = _apply_environment(raw, parsed, env)
    return _validate(raw, replace(parsed, problems=tuple(problems)))


def read_config(path: FilePath, *, env: Mapping[str, str]) -> ParsedConfig:
    """Read and parse a dataset file. Raises ConfigError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(str(path), [Problem("file", "does not exist; check the path")]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Problem("file", f"cannot be read as UTF-8 text: {error}")]) from error
    return parse_config(text, source=str(path), default_name=_default_name(path), env=env)


def _default_name(path: FilePath) -> str:
    """The file's name, or its directory's where the file is called by what it is."""
    stem = path.resolve().parent.name if path.stem in ("dataset", "builder_config", "config") else path.stem
    return re.sub(r"[^a-z0-9_]", "_", stem.lower()).lstrip("_0123456789") or "dataset"


def _unwrap(data: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    """Take the config out of a `data_designer:` block; keys beside the block stay at the top level."""
    raw = {key: value for key, value in data.items() if key not in _PEER_ONLY_KEYS}
    block = raw.pop("data_designer", None)
    if not isinstance(block, dict):
        return ({**raw, "data_designer": block} if block is not None else raw), ()
    return {**raw, **block}, ("data_designer",)


def _apply_environment(
    raw: dict[str, Any], parsed: ParsedConfig, env: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Turn a rehearsal into a real run where `endpoint_env` and `model_env` are set."""
    switched: set[str] = set()
    providers = []
    for provider in _dicts(raw.get("model_providers")):
        endpoint = env.get(str(provider.get("endpoint_env")))
        if provider.get("provider_type") == "simulated" and endpoint:
            provider = {**provider, "provider_type": "openai", "endpoint": endpoint}
            switched.add(str(provider.get("name")))
        providers.append(provider)
    models, problems = [], []
    for index, model in enumerate(_dicts(raw.get("model_configs"))):
        variable = model.get("model_env")
        if model.get("provider") in switched and variable is not None:
            if not env.get(str(variable)):
                message = f"environment variable {variable} is not set, but the provider's endpoint_env is; set both"
                problems.append(parsed.problem(("model_configs", index, "model_env"), message))
            else:
                model = {**model, "model": env[str(variable)]}
        models.append(model)
    changed = {"model_providers": providers, "model_configs": models} if switched else {}
    return {**raw, **changed}, problems


def _dicts(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) and all(isinstance(item, dict) for item in value) else []


def _validate(raw: dict[str, Any], parsed: ParsedConfig) -> ParsedConfig:
    try:
        return replace(parsed, config=DatasetConfig.model_validate(raw))
    except ValidationError as error:
        parsed = replace(parsed, problems=(*parsed.problems, *_problems(error, raw, parsed)))
        return _salvage(raw, error, parsed)


def _salvage(raw: dict[str, Any], error: ValidationError, parsed: ParsedConfig) -> ParsedConfig:
    """What validates of `raw` without its faulty columns and unknown top-level keys."""
    locations = [(item["loc"], item["type"]) for item in error.errors()]
    bad_columns = {loc[1] for loc, _ in locations if loc[0] == "columns" and len(loc) > 1}
    bad_keys = {loc[0] for loc, kind in locations if len(loc) == 1 and kind == "extra_forbidden"}
    salvaged = {key: value for key, value in raw.items() if key not in bad_keys}
    names: set[str] = set()
    places: tuple[int, ...] | None = None
    if bad_columns and isinstance(raw.get("columns"), list):
        places = tuple(index for index in range(len(raw["columns"])) if index not in bad_columns)
        salvaged["columns"] = [raw["columns"][index] for index in places]
        names = {str(raw["columns"][i].get("name")) for i in bad_columns if isinstance(raw["columns"][i], dict)}
    try:
        config = DatasetConfig.model_validate(salvaged)
    except ValidationError:
        return parsed
    return replace(parsed, config=config, dropped_columns=frozenset(names), column_places=places)


def _problems(error: ValidationError, raw: dict[str, Any], parsed: ParsedConfig) -> list[Problem]:
    found: dict[str, Problem] = {}
    for item in error.errors():
        path = _yaml_path(item["loc"], raw, names_a_key=item["type"] in ("missing", "extra_forbidden"))
        problem = parsed.problem(path, _message(item, path))
        previous = found.get(problem.path)
        if previous is not None and previous.message != problem.message:
            problem = Problem(problem.path, f"{previous.message}; or: {problem.message}", problem.line)
        found[problem.path] = problem
    return [problem for path, problem in found.items() if not _follows_from_other(path, found)]


def _follows_from_other(path: str, found: Mapping[str, Problem]) -> bool:
    """An unknown `sampler_type` also leaves `params` without a matching model; one message is enough."""
    return path.endswith(".params") and f"{path.removesuffix('.params')}.sampler_type" in found


def _yaml_path(loc: tuple[int | str, ...], raw: Any, *, names_a_key: bool) -> Path:
    """A pydantic location without the union tags that pydantic adds to it.

    names_a_key: the last part is a key that is missing or too much, rather than a tag.
    """
    path: list[str | int] = []
    value = raw
    for place, part in enumerate(loc):
        if isinstance(part, int) and isinstance(value, list | tuple) and part < len(value):
            value = value[part]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        elif not (names_a_key and place == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


def _message(item: Any, path: Path) -> str:
    kind, value = item["type"], item.get("input")
    if kind == "extra_forbidden":
        return f"unknown key {path[-1]!r}{_did_you_mean(str(path[-1]), item['loc'])}"
    if kind == "missing":
        return "required, but not given"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = item["ctx"]["discriminator"].strip("'")
        if kind == "union_tag_not_found":
            return f"{tag} is required"
        return f"unknown {tag} {item['ctx']['tag']!r}; one of {item['ctx']['expected_tags']}"
    if kind == "string_pattern_mismatch":
        return f"{value!r} is not a valid name; it must match {item['ctx']['pattern']}"
    message = item["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return message if kind == "value_error" else f"{message}, got {_short(value)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _did_you_mean(key: str, loc: tuple[int | str, ...]) -> str:
    known = _known_keys(DatasetConfig) if len(loc) == 1 else _all_keys()
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else ""


def _known_keys(model: type[BaseModel]) -> list[str]:
    return [*model.model_fields]


def _all_keys() -> list[str]:
    """Field names of every model reachable from DatasetConfig."""
    seen: set[type[BaseModel]] = set()
    keys: dict[str, None] = {}
    todo: list[Any] = [DatasetConfig]
    while todo:
        item = todo.pop()
        if isinstance(item, type) and issubclass(item, BaseModel):
            if item not in seen:
                seen.add(item)
                keys.update(dict.fromkeys(_known_keys(item)))
                todo.extend(field.annotation for field in item.model_fields.values())
        else:
            todo.extend(get_args(item))
    return [*keys]
