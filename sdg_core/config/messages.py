"""What is wrong with a value of a dataset file, in words that say what to write instead.

pydantic says what it expected; here that becomes the value, the remedy and the nearest right word. Nothing is quoted that a key
might be in: no list, no mapping, no value of a provider.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from sdg_core.config.base import QUOTE_TRUTH
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.pipeline import PipelineConfig
from sdg_core.config.yaml_document import Path

_MARK = "[key]"
"""What pydantic appends to the location of a faulty mapping key."""
_MESSAGES = {
    "missing": "required, but not given",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "too_short": "expected at least one item",
}
_EXAMPLES = {
    (
        "options",
        "dict_type",
    ): "give each option with its meaning, as in {1: bad, 2: good}",
    (
        "columns",
        "tuple_type",
    ): "write each column as an item, with its name in it, as in - {name: plan, ...}",
    (
        "scores",
        "tuple_type",
    ): "write each score as an item, with its name in it, as in - {name: quality, ...}",
    (
        "skip",
        "model_type",
    ): 'write the condition under when, as in {when: "{{ plan }}"}',
    (
        "seed_config",
        "model_type",
    ): "name its source, as in {source: {path: data.csv}}",
    (
        "seed",
        "int_type",
    ): "this is the seed of the random number generator; seed data goes into seed_config",
    (
        "prompt",
        "string_type",
    ): "write a single text; instructions go into system_prompt",
}
"""How a key is written, by its name and what was wrong with its value."""
_WORDS_OF_OTHERS: dict[str, tuple[str, ...]] = {
    "type": ("column_type", "sampler_type", "processor_type", "provider_type"),
    "kind": ("column_type",),
    "function": ("generator_function",),
    "text": ("prompt",),
    "messages": ("prompt",),
    "template": ("expr", "prompt"),
    "expression": ("expr",),
    "model": ("model_alias",),
    "column": ("target_column", "target_columns"),
    "language": ("code_lang",),
    "schema": ("output_format",),
    "choices": ("values",),
    "options": ("values",),
    "probabilities": ("weights",),
    "min": ("low",),
    "max": ("high",),
    "mu": ("mean",),
    "loc": ("mean",),
    "sigma": ("stddev",),
    "std": ("stddev",),
    "scale": ("stddev",),
    "gender": ("sex",),
    "base_url": ("endpoint",),
    "url": ("endpoint",),
    "input": ("prompt_tokens",),
    "output": ("completion_tokens",),
    "batch_size": ("row_group_size",),
    "rows": ("num_records",),
    "count": ("num_records",),
    **dict.fromkeys(
        ("seed_path", "seed_file", "seed_data", "seed_dataset"), ("seed_config",)
    ),
}
"""Keys that people write for ours, the likeliest first."""
_VALUES_OF_OTHERS = {
    "normal": "gaussian",
    "choice": "category",
    "categorical": "category",
    "randint": "uniform",
    "integer": "uniform",
    "date": "datetime",
    "duration": "timedelta",
    "boolean": "bernoulli",
    "name": "person",
    "js": "javascript",
    "ts": "typescript",
    "py": "python",
    "sh": "bash",
    "shell": "bash",
    "c++": "cpp",
    "c#": "csharp",
    "golang": "go",
    "sql": "sql:ansi",
    "postgresql": "sql:postgres",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
}
"""Values that people write for one of ours."""
_OF_SERVERS = frozenset(
    "top_k min_p repetition_penalty presence_penalty frequency_penalty stop logit_bias reasoning_effort thinking seed".split()
)
"""Parameters that servers have and files hand on as they are."""
_MAX_SHOWN_KEYS = 12
_MAX_SUGGESTION = 60
"""Characters of a name that is worth suggesting."""
_SECTIONS = ("model_providers", "model_configs", "run", "seed_config")


def message_of(
    item: Any, path: Path, *, around: object, missing: Collection[str] = ()
) -> str:
    """What a fault of pydantic means. around: the mapping that holds the value. missing: its required keys that are not there."""
    kind = item["type"]
    value = item.get("input")
    if kind == "invalid_key" or item["loc"][-1] == _MARK:
        return f"key {value!r} must be text; quote it"
    if kind == "missing":
        return _MESSAGES[kind]
    if kind in _MESSAGES:
        key = str(path[-1]) if path else ""
        example = _EXAMPLES.get((key, kind))
        advice = f"; {example}" if example else ""
        return f"{_MESSAGES[kind]}{_got(value, path)}{advice}"
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), item["loc"], around=around, missing=missing)
    if kind == "union_tag_invalid":
        tag = item["ctx"]["discriminator"].strip("'")
        found = item["ctx"]["tag"]
        expected = item["ctx"]["expected_tags"]
        return f"unknown {tag} {found!r}{_likely(str(found), _quoted(expected))}; one of {expected}"
    if kind == "union_tag_not_found":
        return _tag_required(item["ctx"]["discriminator"].strip("'"), value)
    if kind == "string_pattern_mismatch":
        return f"not a valid name; it must match {item['ctx']['pattern']}{_got(value, path)}{_valid_name(value)}"
    message: str = item["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if kind == "value_error":
        return message
    likely = (
        _likely(str(value), _quoted(message))
        if kind in ("literal_error", "enum")
        else ""
    )
    return f"{message}{_got(value, path)}{likely}"


def renamed_keys(faults: Iterable[Any]) -> set[tuple[Any, ...]]:
    """Locations of required keys that are there under a word that is almost theirs, or whose content is there one level too high:
    one message about that is enough."""
    missing_in: dict[tuple[Any, ...], list[str]] = {}
    unknown_in: dict[tuple[Any, ...], list[str]] = {}
    by_type = {"missing": missing_in, "extra_forbidden": unknown_in}
    for item in faults:
        keys_in = by_type.get(item["type"])
        if keys_in is not None:
            *parent_parts, key = item["loc"]
            keys_in.setdefault(tuple(parent_parts), []).append(str(key))
    found: set[tuple[Any, ...]] = set()
    for parent, unknown in unknown_in.items():
        missing = missing_in.get(parent, [])
        for key in unknown:
            meant = _meant(key, missing)
            if meant is not None:
                found.add((*parent, meant))
        for key in missing:
            if not _keys_below(parent, key).isdisjoint(unknown):
                found.add((*parent, key))
        for other, below in missing_in.items():
            is_inside = len(other) > len(parent) and other[: len(parent)] == parent
            if is_inside:
                found.update((*other, key) for key in below if key in unknown)
    return found


def _keys_below(parent: tuple[Any, ...], key: str) -> set[str]:
    """The keys of the mappings that belong under a key."""
    found: set[str] = set()
    for model in _models_at(parent):
        if key in model.model_fields:
            for part in _models_in(model.model_fields[key].annotation):
                found.update(part.model_fields)
    return found


def _meant(key: str, known: Collection[str]) -> str | None:
    """The key that a wrong one stands for."""
    for word in _WORDS_OF_OTHERS.get(key, ()):
        if word in known:
            return word
    return _nearest(key, known, cutoff=0.75)


def _unknown_key(
    key: str, loc: tuple[int | str, ...], *, around: object, missing: Collection[str]
) -> str:
    if loc == ("buffer_size",):
        return "an alias of row_group_size, which is also given; keep one"
    meant = _meant(key, missing)
    if meant is not None:
        return f"unknown key {key!r}; did you mean {meant!r}?"
    models = _models_at(loc[:-1]) or _models_of(around)
    here: dict[str, None] = {}
    for model in models:
        here |= dict.fromkeys(name for name in model.model_fields if name != key)
    if key in _OF_SERVERS and "extra_body" in here:
        return f"unknown key {key!r}; server-specific parameters go into extra_body, as in extra_body: {{{key}: ...}}"
    meant = _meant(key, here)
    if meant is not None:
        return f"unknown key {key!r}; did you mean {meant!r}?"
    parent = _parent_of(key, models)
    if parent is not None:
        return f"unknown key {key!r} here; it belongs under {parent}, as in {parent}: {{{key}: ...}}"
    if len(loc) > 1:
        sections = [name for name in _SECTIONS if key in _keys_in(name)]
        if len(sections) == 1 and loc[0] != sections[0]:
            return f"unknown key {key!r} here; it belongs in {sections[0]}"
    return _unknown_anywhere(key, here)


def _parent_of(key: str, models: Iterable[type[BaseModel]]) -> str | None:
    """The field of the models whose own fields have the key."""
    for model in models:
        for name, field in model.model_fields.items():
            if any(key in part.model_fields for part in _models_in(field.annotation)):
                return name
    return None


def _unknown_anywhere(key: str, here: Collection[str]) -> str:
    everywhere = {name for model in _every_model() for name in model.model_fields}
    if key in everywhere:
        return f"unknown key {key!r} here{_listed(here)}"
    meant = _nearest(key, everywhere, cutoff=0.75)
    if meant is not None:
        return f"unknown key {key!r}; did you mean {meant!r}?"
    return f"unknown key {key!r}{_listed(here)}"


def _keys_in(section: str) -> set[str]:
    """The keys of the mappings in a part of a dataset file."""
    return {
        name
        for part in _models_in(DatasetConfig.model_fields[section].annotation)
        for name in part.model_fields
    }


def _listed(keys: Collection[str]) -> str:
    if not keys:
        return ""
    shown = sorted(keys)[:_MAX_SHOWN_KEYS]
    if len(keys) > len(shown):
        shown.append("...")
    return f"; there is {', '.join(shown)}"


def _models_at(loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """The model that a place of a file is of, by the fields on the way there; none where it may be one of several."""
    if not loc:
        return [DatasetConfig]
    models: list[type[BaseModel]] = [DatasetConfig, PipelineConfig]
    for part in loc:
        inside = [
            model.model_fields[part].annotation
            for model in models
            if part in model.model_fields
        ]
        tagged = [model for model in models if part in _tags(model).values()]
        if not tagged and inside:
            models = [
                found for annotation in inside for found in _models_in(annotation)
            ]
        else:
            models = tagged or models
    found = list(dict.fromkeys(models))
    return found if len(found) == 1 else []


def _models_of(around: object) -> list[type[BaseModel]]:
    """The models that a mapping seems to be of: those that have most of its keys, and its tags."""
    if not isinstance(around, Mapping) or len(around) < 2:
        return []
    fits: dict[type[BaseModel], int] = {}
    for model in _every_model():
        shared = model.model_fields.keys() & around.keys()
        fitting_tags = [
            key for key, tag in _tags(model).items() if around.get(key) == tag
        ]
        fits[model] = len(shared) + len(fitting_tags)
    best = max(fits.values())
    if best == 0:
        return []
    return [model for model, fit in fits.items() if fit == best]


def _tags(model: type[BaseModel]) -> dict[str, object]:
    """The fields that say of which kind a mapping is, with what they say of this one."""
    return {
        name: field.default
        for name, field in model.model_fields.items()
        if name.endswith("_type")
    }


@cache
def _every_model() -> tuple[type[BaseModel], ...]:
    """Every model reachable from the two kinds of files."""
    seen: dict[type[BaseModel], None] = {}
    todo: list[type[BaseModel]] = [DatasetConfig, PipelineConfig]
    while todo:
        model = todo.pop()
        if model not in seen:
            seen[model] = None
            for field in model.model_fields.values():
                todo.extend(_models_in(field.annotation))
    return tuple(seen)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _tag_required(tag: str, value: Any) -> str:
    """A mapping that does not say of what kind it is; perhaps under another key."""
    message = f"{tag} is required"
    if isinstance(value, dict):
        for key, ours in _WORDS_OF_OTHERS.items():
            if tag in ours and key in value:
                return f"{message}; write {tag} in place of {key!r}"
    return message


def _valid_name(value: Any) -> str:
    """The name that is meant, where names are lower case."""
    if not isinstance(value, str):
        return ""
    name = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_0123456789")
    if not name or len(name) > _MAX_SUGGESTION:
        return ""
    return f"; as in {name}"


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _likely(word: str, known: Collection[str]) -> str:
    ours = _VALUES_OF_OTHERS.get(word.lower())
    meant = ours if ours in known else _nearest(word, known, cutoff=0.6)
    return f"; did you mean {meant!r}?" if meant is not None else ""


def _nearest(word: str, known: Iterable[str], *, cutoff: float) -> str | None:
    names = {name.lower().replace("-", "_"): name for name in known}
    found = difflib.get_close_matches(
        word.lower().replace("-", "_"), names, n=1, cutoff=cutoff
    )
    return names[found[0]] if found else None


def _got(value: Any, path: Path) -> str:
    """`, got <value>` where it helps; of a list or mapping only that it is one."""
    if isinstance(value, bool):
        return f", got {value}; {QUOTE_TRUTH}"
    if isinstance(value, list | tuple):
        return ", got a list"
    if isinstance(value, dict):
        return ", got a mapping"
    if (
        value is None
        or path[0] in ("model_providers", "mcp_providers")
        or path[-1] == "model_env"
    ):
        return ""
    text = repr(value)
    if len(text) > 60:
        text = f"{text[:57]}..."
    return f", got {text}"
