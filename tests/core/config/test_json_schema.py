"""`sdg schema`: the JSON Schema takes every file that the loader takes, and marks what an editor can mark."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from sdg_core import api
from sdg_core.config.json_schema import json_schema
from sdg_core.config.load import Reading, parse_config
from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
from tests.support.sdg import PROJECT, sdg

BOTH = jsonschema_rs.validator_for(json_schema())
DATASET, PIPELINE = (
    jsonschema_rs.validator_for(json_schema(kind)) for kind in ("dataset", "pipeline")
)
FENCED = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = [
    path
    for folder in ("examples", "sdg_assets", "benchmarks", "tests/fixtures")
    for path in sorted((PROJECT / folder).rglob("*.yaml"))
    if path.name != "defs.yaml"
]

EVERYTHING = (PROJECT / "tests/fixtures/everything.yaml").read_text(encoding="utf-8")
UNSAID = ("scalar_inequality", "image", "video", "audio", "df")
"""Members of unions that the file leaves to be told from what they hold, has under another name, or cannot hold (data frames)."""
FREE = frozenset(
    "generator_params output_type output_format template schema options values dist_params extra_headers env properties "
    "conditional_params x messages".split()
)
"""Mappings in which any key is fine."""


def loaded(text: str) -> Any:
    """A file as an editor sees it: keys are text."""
    data = parse_document(text, is_json=False).data
    return orjson.loads(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS))


def faults(data: Any, validator: jsonschema_rs.Validator = BOTH) -> list[str]:
    return [
        f"{list(error.instance_path)}: {error.message[:200]}"
        for error in validator.iter_errors(data)
    ]


def taken(data: Any) -> bool:
    """Whether the loader finds no fault in the structure of a dataset file."""
    text = orjson.dumps(data).decode()
    return not parse_config(
        text, source="file.json", default_name="file", env={}
    ).problems


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every key and item of a document."""
    items = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(data: Any, path: tuple[Any, ...], value: Any = ...) -> Any:
    """A copy with one value replaced, or left out."""
    made = copy.deepcopy(data)
    place = made
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


def test_the_schema_is_one_itself() -> None:
    for kind in (None, "dataset", "pipeline"):
        schema = json_schema(kind)
        jsonschema_rs.meta.validate(schema)
        assert schema["$schema"].startswith("http://json-schema.org/draft-07")
        text = orjson.dumps(schema).decode()
        assert not {"$defs", "prefixItems"} & set(re.findall(r'"([$\w]+)":', text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_example_is_valid(path: Path) -> None:
    data = loaded(path.read_text(encoding="utf-8"))
    own, other = (
        (PIPELINE, DATASET) if data.get("kind") == "pipeline" else (DATASET, PIPELINE)
    )
    assert faults(data) == faults(data, own) == []
    assert faults(data, other)


def snippets() -> Iterator[tuple[str, Any]]:
    """The YAML blocks of the guide that are a dataset or pipeline file, or a part of one."""
    for page in [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]:
        for number, block in enumerate(
            FENCED.findall(page.read_text(encoding="utf-8")), start=1
        ):
            try:
                data = loaded(block)
            except DocumentSyntaxError:
                continue  # items of several places, one below the other
            if isinstance(data, list) and all(
                isinstance(item, dict) and "column_type" in item for item in data
            ):
                data = {"columns": data}
            if isinstance(data, dict) and data.keys() & {
                "columns",
                "seed_config",
                "processors",
                "sources",
                "run",
            }:
                yield f"{page.name} {number}", data


def test_the_guide_writes_what_the_schema_takes() -> None:
    found = dict(snippets())
    assert len(found) > 20
    for name, data in found.items():
        validator = PIPELINE if "sources" in data or "stages" in data else DATASET
        parts = [
            fault for fault in faults(data, validator) if not fault.startswith("[]: ")
        ]
        assert parts == [], name


def test_what_the_loader_takes_the_schema_takes() -> None:
    """Every key of a file that has everything: left out, nulled, and of another type."""
    data = loaded(EVERYTHING)
    assert taken(data)
    assert faults(data) == []
    refused = 0
    for number, path in enumerate(places(data)):
        for value in (..., None, (True, 3, "x", [], {})[number % 5]):
            mutant = changed(data, path, value)
            if taken(mutant):
                assert faults(mutant) == [], path
            elif faults(mutant):
                refused += 1
    assert refused > 500


def test_everything_is_everything() -> None:
    """Each member of each union stands in the file above, so that a new one is tried, too."""
    schema, text = json_schema("dataset"), EVERYTHING
    for definition in schema["definitions"].values():
        for name, field in definition["properties"].items():
            if (
                "const" in field
                and name.endswith("_type")
                and name != "distribution_type"
            ):
                assert (
                    f"{name}: {field['const']}" in text or field["const"] in UNSAID
                ), "add it to everything.yaml"


@pytest.mark.parametrize("key", ["num_record", "colums", "temperture"])
def test_an_unknown_key_is_marked_wherever_it_stands(key: str) -> None:
    data = loaded(EVERYTHING)
    mappings = [
        (),
        *(path for path in places(data) if not FREE & {str(part) for part in path}),
    ]
    tried = 0
    for path in mappings:
        place = data
        for part in path:
            place = place[part]
        if isinstance(place, dict):
            mutant = changed(data, (*path, key), 1)
            if not taken(mutant):
                tried += 1
                assert faults(mutant), path
    assert tried > 50


def test_keys_are_explained() -> None:
    properties = json_schema("dataset")["properties"]
    assert properties["row_group_size"]["description"].startswith(
        "Records per row group"
    )
    assert properties["buffer_size"]["description"] == "Alias of row_group_size."
    run = json_schema("dataset")["definitions"]["RunSettings"]["properties"]
    assert all(
        "description" in field for name, field in run.items() if name != "resume"
    )


def test_a_name_in_any_alphabet_is_fine() -> None:
    """`\\w` is ASCII only in the editors that read the schema."""
    assert r"\w" not in orjson.dumps(json_schema()).decode()


def test_the_command_prints_it() -> None:
    assert orjson.loads(sdg("schema").stdout) == api.json_schema()
    assert orjson.loads(sdg("schema", "pipeline").stdout) == api.json_schema("pipeline")
    assert sdg("schema", "dataste").returncode == 2


@pytest.mark.parametrize("name", [["a"], {"a": 1}, 3])
def test_a_name_of_a_provider_that_is_no_text_is_a_fault_not_a_crash(name: Any) -> None:
    data = loaded(EVERYTHING)
    for path in (
        ("model_configs", 0, "provider"),
        ("model_providers", 0, "name"),
        ("tool_configs", 0, "providers"),
    ):
        mutant = changed(data, path, name)
        for reading in (Reading(), Reading(complete=True)):
            parsed = parse_config(
                orjson.dumps(mutant).decode(),
                source="f.json",
                default_name="f",
                env={"HERE": "http://x"},
                reading=reading,
            )
            assert (
                path == ("tool_configs", 0, "providers")
                and name == ["a"]
                or parsed.problems
            )
