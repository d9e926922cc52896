"""What differs between the config that a version was made with and another one, in the words of the dataset file.

Only what can change the data is named: it is the reason why the fingerprints differ. Where the configs agree in all of that,
the reason is the content of the seed data, file by file where it lies in files.
"""

import os.path
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.hashed_fields import hashed_fields
from sdg_core.store.layout import VersionLayout
from sdg_core.store.os_errors import store_errors
from sdg_core.store.seed_manifest import describe_seed_change, read_seed_content

_MAX_SHOWN = 20
_WIDTH = 100
_SOURCE = "source_hash"
_FUNCTIONS = ("generator_function", "validation_function", "client")
_ABSENT = object()


def describe_drift(old: VersionLayout, plan: DatasetPlan) -> list[str]:
    """One line per difference between what a version was made with and `plan`: fields by path, functions, seed files."""
    with store_errors("read", old.config):
        text = old.config.read_text(encoding="utf-8") if old.config.exists() else None
    seeds = describe_seed_change(read_seed_content(old.seed_content), plan.seed_content)
    if text is None:
        return ["(its config.yaml is gone, so the changes cannot be named)", *seeds]
    try:
        before = DatasetConfig.model_validate(parse_document(text).data)
    except (DocumentSyntaxError, ValidationError):
        return [
            f"({old.config} cannot be understood, so the changes cannot be named)",
            *seeds,
        ]
    lines = [
        *_differences(hashed_fields(before), hashed_fields(plan.config), ""),
        *seeds,
    ]
    more = (
        [f"... and {len(lines) - _MAX_SHOWN} more"] if len(lines) > _MAX_SHOWN else []
    )
    return [*lines[:_MAX_SHOWN], *more] or ["seed data: its content changed"]


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if before is _ABSENT or after is _ABSENT:
        if before is _ABSENT:
            yield f"{path}: added{_what(after)}"
        else:
            yield f"{path}: removed{_what(before, 'was ')}"
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            if key == _SOURCE:
                yield from _function_change(before, after, path)
                continue
            place = f"{path}.{key}" if path else str(key)
            old, new = _filled(before.get(key, _ABSENT), after.get(key, _ABSENT))
            yield from _differences(old, new, place)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_differences(before, after, path)
    elif before != after:
        first, second = _diff_excerpt(before, after)
        yield f"{path}: {first} is now {second}"


def _filled(before: Any, after: Any) -> tuple[Any, Any]:
    """Two values of a key: where one is a mapping and the other is not there, an empty one, so that its fields are named."""
    if before is _ABSENT and isinstance(after, Mapping):
        return {}, after
    if after is _ABSENT and isinstance(before, Mapping):
        return before, {}
    return before, after


def _what(value: Any, was: str = "") -> str:
    """A value that came or went, unless it is a whole mapping."""
    return "" if isinstance(value, Mapping) else f", {was}{_cut(repr(value), 0)}"


def _function_change(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str
) -> Iterator[str]:
    """That the text of a function changed; where another function is named, that says enough."""
    keys = [key for key in _FUNCTIONS if key in after]
    if not keys or before.get(keys[0]) != after[keys[0]]:
        return
    if before.get(_SOURCE) != after.get(_SOURCE):
        module, _, name = str(after[keys[0]]).rpartition(":")
        what = f"class {name}" if keys[0] == "client" else f"function {name}()"
        where = f" in {module}" if module else ""
        yield f"{path}: {what}{where} changed"


def _list_differences(before: list[Any], after: list[Any], path: str) -> Iterator[str]:
    """By position where both lists name the same things in the same order, else by name."""
    names = [_names(before), _names(after)]
    if names[0] is None or names[1] is None:
        if len(before) == len(after):
            for position, (a, b) in enumerate(zip(before, after, strict=True)):
                yield from _differences(a, b, f"{path}[{position}]")
        else:
            first, second = _diff_excerpt(before, after)
            yield f"{path}: {first} is now {second}"
        return
    old = dict(zip(names[0], before, strict=True))
    new = dict(zip(names[1], after, strict=True))
    shared_before = [name for name in old if name in new]
    shared_after = [name for name in new if name in old]
    if shared_before != shared_after:
        yield f"{path}: their order changed"
    same_positions = list(old) == list(new)
    for position, name in enumerate(dict.fromkeys((*old, *new))):
        place = f"{path}[{position}]" if same_positions else f"{path}[{name}]"
        yield from _differences(old.get(name, _ABSENT), new.get(name, _ABSENT), place)


def _names(items: list[Any]) -> list[str] | None:
    """The names of a list's items, None if they do not all have one of their own."""
    names: list[str] = []
    for item in items:
        if not isinstance(item, Mapping):
            return None
        name = item.get("name", item.get("alias"))
        if name is None or str(name) in names:
            return None
        names.append(str(name))
    return names


def _diff_excerpt(before: Any, after: Any) -> tuple[str, str]:
    """Two values as text. Where they are long, the part around the place where they begin to differ."""
    texts = [repr(before), repr(after)]
    if max(map(len, texts)) <= _WIDTH:
        return texts[0], texts[1]
    same = len(os.path.commonprefix(texts))
    start = max(0, same - _WIDTH // 3)
    first, second = (_cut(text, start) for text in texts)
    return first, second


def _cut(text: str, start: int) -> str:
    stop = start + _WIDTH
    before = "..." if start else ""
    after = "..." if stop < len(text) else ""
    return before + text[start:stop] + after
