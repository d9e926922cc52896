"""The JSON Schema of dataset and pipeline files, by which editors complete keys, explain them and mark mistakes.

It is derived from the config models, so a key that a model gets is in the schema. It never refuses what the loader takes: what
only the loader can judge (references, cycles, code) is left to it. Draft 7, because that is what editors know.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.json_schema import models_json_schema

from sdg_core.config.columns import Column
from sdg_core.config.data_designer import BLOCK, OFF, ONLY_THERE
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.pipeline import PipelineConfig

FileKind = Literal["dataset", "pipeline"]
Schema = dict[str, Any]

_ROOTS: Mapping[FileKind, type[BaseModel]] = {
    "dataset": DatasetConfig,
    "pipeline": PipelineConfig,
}
_PLACE = "#/definitions/"
_TAGGED_BESIDE = {
    "SamplerColumn": ("sampler_type", "params"),
    "ValidationColumn": ("validator_type", "validator_params"),
}
"""Models whose parameters are of the kind that a key beside them names."""
_UNTAGGED = ("LocalSeedSource", "ImageContext", "ScalarInequality", "ColumnInequality")
"""Members of unions that need not say which they are."""


def json_schema(kind: FileKind | None = None) -> Schema:
    """The schema of one kind of file; without a kind, one schema for both, distinguished by `kind: pipeline`."""
    models = {model.__name__: model for model in _reachable(*_ROOTS.values())}
    roots = _ROOTS.values()
    _, made = models_json_schema(
        [(root, "validation") for root in roots], ref_template=f"{_PLACE}{{model}}"
    )
    definitions: dict[str, Schema] = made["$defs"]
    for name, definition in definitions.items():
        _adapt(definition, models[name], definitions)
    for definition in definitions.values():
        _require_tags(definition, definitions)
    _accept_builder_configs(definitions)
    if kind is None:
        top: Schema = {
            "title": "An sdg dataset file, or (kind: pipeline) an sdg pipeline file",
            "if": {"properties": {"kind": {"const": "pipeline"}}, "required": ["kind"]},
            "then": {"$ref": f"{_PLACE}PipelineConfig"},
            "else": {"$ref": f"{_PLACE}DatasetConfig"},
        }
    else:
        top = {
            "title": f"An sdg {kind} file",
            **definitions.pop(_ROOTS[kind].__name__),
        }
        definitions = _used(top, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **top,
        "definitions": definitions,
    }


def _reachable(*roots: Any) -> Iterator[type[BaseModel]]:
    """The models that some types are made of, each once."""
    seen: set[Any] = set()
    todo = [*roots]
    while todo:
        item = todo.pop()
        if not (isinstance(item, type) and issubclass(item, BaseModel)):
            todo.extend(get_args(item))
        elif item not in seen:
            seen.add(item)
            yield item
            todo.extend(field.annotation for field in item.model_fields.values())


def _used(top: Schema, definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions that a schema refers to, in their order."""
    used: set[str] = set()
    todo: list[Schema] = [top]
    while todo:
        for node in _nodes(todo.pop()):
            name = str(node.get("$ref", "")).removeprefix(_PLACE)
            if name and name not in used:
                used.add(name)
                todo.append(definitions[name])
    return {
        name: definition for name, definition in definitions.items() if name in used
    }


def _nodes(value: Any) -> Iterator[Schema]:
    """Every mapping in a schema, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def _adapt(
    definition: Schema, model: type[BaseModel], definitions: Mapping[str, Schema]
) -> None:
    """What a model's own schema does not say: the keys' descriptions, their other names, parameters told by a key beside them."""
    properties: dict[str, Schema] = definition["properties"]
    definition.pop("title", None)
    for schema in properties.values():
        schema.pop("title", None)
    texts = _descriptions(model)
    for name, field in model.model_fields.items():
        names = _names(name, field.validation_alias)
        usual_name = names[0]
        schema = properties[usual_name]
        if name in texts:
            schema["description"] = texts[name]
        null = {"type": "null"}
        if None in OFF.get(name, ()) and null not in schema.get("anyOf", ()):
            schema = {"anyOf": [schema, null], **_annotations(schema)}
            properties[usual_name] = schema
        for other in names[1:]:
            properties[other] = {
                **schema,
                "description": f"Alias of {usual_name}.",
            }
        if len(names) > 1 and usual_name in definition.get("required", ()):
            definition["required"].remove(usual_name)
            one_of_them = {"anyOf": [{"required": [name]} for name in names]}
            definition.setdefault("allOf", []).append(one_of_them)
    for node in _nodes(properties):
        _as_editors_read_it(node)
    if model.__name__ in _TAGGED_BESIDE:
        _tag_beside(definition, *_TAGGED_BESIDE[model.__name__], definitions)


def _names(name: str, alias: Any) -> list[str]:
    """How a file may spell a field, the usual name first."""
    if isinstance(alias, AliasChoices):
        return list(map(str, alias.choices))
    return [name]


def _annotations(schema: Schema) -> Schema:
    return {key: schema.pop(key) for key in ("description", "default") if key in schema}


def _as_editors_read_it(node: Schema) -> None:
    """A list of a fixed number of items, as draft 7 says it; and no `\\w`, which in editors is ASCII only."""
    if isinstance(node.get("prefixItems"), list):
        node["items"] = node.pop("prefixItems")
    if "\\w" in str(node.get("pattern")):
        del node["pattern"]
    for pattern, schema in (node.get("patternProperties") or {}).items():
        if "\\w" in pattern:
            node["additionalProperties"] = schema
            del node["patternProperties"]
            break


def _descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a model and its bases say of each field: `name: text`, `name, other: text`."""
    found: dict[str, str] = {}
    name = "|".join(sorted(model.model_fields, key=len, reverse=True))
    entry = re.compile(rf"(?:^|(?<=[.\s]))((?:{name})(?:, (?:{name}))*): ")
    for base in reversed(model.__mro__):
        docstring = base.__dict__.get("__doc__") or ""
        parts = entry.split(" ".join(docstring.split()))
        for names, text in zip(parts[1::2], parts[2::2], strict=True):
            sentence = text.strip()
            sentence = sentence[:1].upper() + sentence[1:]
            for each in names.split(", "):
                found[each] = sentence
    return found


def _tag_beside(
    definition: Schema, tag: str, place: str, definitions: Mapping[str, Schema]
) -> None:
    """Parameters whose kind stands beside them: for each kind, what they are then. They may be left out if nothing in them
    is required."""
    properties: dict[str, Schema] = definition["properties"]
    kinds: Mapping[str, str] = properties[place]["discriminator"]["mapping"]
    definition["required"].remove(place)
    properties[place] = {"type": "object", **_annotations(properties[place])}
    branches = properties.get("conditional_params")
    if branches is not None:
        for node in _nodes(branches):
            if node.pop("discriminator", None) is not None:
                del node["oneOf"]
    for kind, reference in kinds.items():
        then: Schema = {"properties": {place: {"$ref": reference}}}
        if branches is not None:
            then["properties"]["conditional_params"] = {
                "additionalProperties": {"$ref": reference}
            }
        if definitions[reference.removeprefix(_PLACE)].get("required"):
            then["required"] = [place]
        condition = {"properties": {tag: {"const": kind}}, "required": [tag]}
        definition.setdefault("allOf", []).append({"if": condition, "then": then})


def _require_tags(definition: Schema, definitions: Mapping[str, Schema]) -> None:
    """Unions by their tag, which each member then needs."""
    for node in _nodes(definition):
        union = (
            node.pop("discriminator", None)
            if isinstance(node.get("discriminator"), dict)
            else None
        )
        if union is not None:
            for reference in union["mapping"].values():
                name = reference.removeprefix(_PLACE)
                required = definitions[name].setdefault("required", [])
                if name not in _UNTAGGED and union["propertyName"] not in required:
                    required.append(union["propertyName"])
        if isinstance(node.get("oneOf"), list):
            node["anyOf"] = node.pop("oneOf")


def _accept_builder_configs(definitions: Mapping[str, Schema]) -> None:
    """Keys that a builder config of Data Designer spells out and that say nothing here; its block is not looked into."""
    for root in _ROOTS.values():
        definitions[root.__name__]["required"].remove("name")
    top = definitions[DatasetConfig.__name__]
    top["required"].remove("columns")
    top["anyOf"] = [{"required": ["columns"]}, {"required": [BLOCK]}]
    top["properties"][BLOCK] = {
        "type": "object",
        "description": "A NeMo Data Designer builder config, unchanged.",
    }
    top["patternProperties"] = {f"^({'|'.join(ONLY_THERE)})$": {}}
    for model in get_args(get_args(Column)[0]):
        definition = definitions[model.__name__]
        others = {
            key: list(values)
            for key, values in OFF.items()
            if key not in definition["properties"]
        }
        definition["patternProperties"] = {
            f"^{key}$": {"enum": values} for key, values in others.items()
        }
