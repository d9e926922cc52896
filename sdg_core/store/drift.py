"""What differs between the config that a version was made with and another one, in the words of the dataset file.

Only what can change the data is named: it is the reason why the fingerprints differ. Where the configs agree in all of that,
the reason is the content of the seed data.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.document import DocumentSyntaxError, parse_document
from sdg_core.plan.fingerprint import hashed_fields
from sdg_core.store.atomic import store_errors
from sdg_core.store.layout import VersionLayout

_SHOWN = 20
_ABSENT = object()


def describe_drift(old: VersionLayout, config: DatasetConfig) -> list[str]:
    """One line per difference between the stored config of a version and `config`, by path."""
    with store_errors("read", old.config):
        text = old.config.read_text(encoding="utf-8") if old.config.exists() else None
    if text is None:
        return ["(its config.yaml is gone, so the changes cannot be named)"]
    try:
        before = DatasetConfig.model_validate(parse_document(text).data)
    except (DocumentSyntaxError, ValidationError):
        return [f"({old.config} cannot be understood, so the changes cannot be named)"]
    lines = list(_differences(hashed_fields(before), hashed_fields(config), ""))
    more = [f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [*lines[:_SHOWN], *more] or ["seed data: its content changed"]


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if before is _ABSENT or after is _ABSENT:
        yield f"{path}: added" if before is _ABSENT else f"{path}: removed"
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            place = f"{path}.{key}" if path else str(key)
            yield from _differences(before.get(key, _ABSENT), after.get(key, _ABSENT), place)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_differences(before, after, path)
    elif before != after:
        yield f"{path}: {_shown(before)} is now {_shown(after)}"


def _list_differences(before: list[Any], after: list[Any], path: str) -> Iterator[str]:
    """By position where both lists name the same things in the same order, else by name."""
    names = [_names(before), _names(after)]
    if names[0] is None or names[1] is None:
        if len(before) == len(after):
            for position, (a, b) in enumerate(zip(before, after, strict=True)):
                yield from _differences(a, b, f"{path}[{position}]")
        else:
            yield f"{path}: {_shown(before)} is now {_shown(after)}"
        return
    old, new = dict(zip(names[0], before, strict=True)), dict(zip(names[1], after, strict=True))
    common = [[name for name in side if name in old and name in new] for side in (old, new)]
    if common[0] != common[1]:
        yield f"{path}: their order changed"
    for name in dict.fromkeys((*old, *new)):
        place = f"{path}[{list(new).index(name)}]" if list(old) == list(new) else f"{path}[{name}]"
        yield from _differences(old.get(name, _ABSENT), new.get(name, _ABSENT), place)


def _names(items: list[Any]) -> list[str] | None:
    """The names of a list's items, None if they do not all have one of their own."""
    names = [item.get("name", item.get("alias")) if isinstance(item, Mapping) else None for item in items]
    return [str(name) for name in names] if None not in names and len(set(names)) == len(names) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
