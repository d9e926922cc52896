"""What pydantic finds wrong with a config, as problems at the paths and lines of its file."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sdg_core.config.base import in_language
from sdg_core.config.messages import message_of, renamed_keys
from sdg_core.config.parsed_config import ParsedConfig, language_of
from sdg_core.config.yaml_document import (
    Path,
)
from sdg_core.errors import Problem

_MAX_FAULTS = 1_000
"""Faults of a file that are looked into; each is compared with what else there is."""


def validation_problems(
    error: ValidationError, raw: dict[str, Any], parsed: ParsedConfig
) -> list[Problem]:
    """One problem per path: several that pydantic finds at one place, once for each kind of a union, are joined."""
    found: dict[str, Problem] = {}
    faults = error.errors()[:_MAX_FAULTS]
    renamed = renamed_keys(faults)
    language = language_of(parsed.source) if parsed.document.lines else "Python"
    for item in faults:
        if item["type"] == "too_short" and item["input"]:
            # only because its items are faulty, and they are reported themselves
            continue
        if item["type"] == "missing" and item["loc"] in renamed:
            continue
        path = _yaml_path(
            item["loc"], raw, names_a_key=item["type"] in ("missing", "extra_forbidden")
        )
        missing = [loc[-1] for loc in renamed if loc[:-1] == item["loc"][:-1]]
        message = message_of(item, path, around=_at(raw, path[:-1]), missing=missing)
        problem = parsed.problem(path, in_language(message, language))
        previous = found.get(problem.path)
        if previous is not None and previous.message != problem.message:
            problem = Problem(
                problem.path, f"{previous.message}; or: {problem.message}", problem.line
            )
        found[problem.path] = problem
    return [
        problem
        for path, problem in found.items()
        if not _follows_from_other(path, found)
    ]


def _at(raw: Any, path: Path) -> Any:
    """The value at a path that is there, and None for what is not."""
    for part in path:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _follows_from_other(path: str, found: Mapping[str, Problem]) -> bool:
    """An unknown `sampler_type` also leaves `params` without a matching model; one message is enough."""
    column, _, key = path.rpartition(".")
    tag = {"params": "sampler_type", "validator_params": "validator_type"}.get(key)
    return tag is not None and f"{column}.{tag}" in found


_FILLED_IN = ("params", "validator_params")
"""Keys that are looked into where the file leaves them out."""


def _yaml_path(loc: tuple[int | str, ...], raw: Any, *, names_a_key: bool) -> Path:
    """A pydantic location without the union tags that pydantic adds to it.

    names_a_key: the last part is a key that is missing or too much, rather than a tag.
    """
    path: list[str | int] = []
    value = raw
    tag = None
    for place, part in enumerate(loc):
        if tag is not None and part == tag:
            tag = None  # the seed source `dataset` has a key of that name, too
            continue
        if (
            isinstance(part, int)
            and isinstance(value, list | tuple)
            and part < len(value)
        ):
            value = value[part]
            path.append(part)
            tag = value.get("stage") if isinstance(value, dict) else None
        elif isinstance(value, dict) and part in value:
            value = value[part]
            path.append(str(part))
            tag = (
                value.get("seed_type", value.get("reader"))
                if isinstance(value, dict)
                else None
            )
        elif part in _FILLED_IN and isinstance(value, dict):
            value = {}
            path.append(part)
        elif names_a_key and place == len(loc) - 1:
            path.append(part)
    return tuple(path)
