"""JSON Schemas, patterns, and texts that are checked as code."""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.hostile.campaign.commands import Case
from tests.hostile.campaign.drawn import NUMBERS, ODD_TEXTS, in_schema
from tests.hostile.corpus import dataset, expression, validation

Draw = random.Random


def schemas(draw: Draw, depth: int = 0) -> Any:
    """A JSON Schema of keywords that ask for much, contradict one another, or are not what they should be."""
    number = draw.choice(NUMBERS)

    def part() -> Any:
        return (
            schemas(draw, depth + 1)
            if depth < 3
            else draw.choice([True, False, {}, None, 7])
        )

    keywords: dict[str, Callable[[], Any]] = {
        "type": lambda: draw.choice(
            [
                "object",
                "array",
                "string",
                "number",
                "integer",
                "null",
                "x",
                ["string", "null"],
                [],
            ]
        ),
        "properties": lambda: {
            draw.choice(["a", "b", *ODD_TEXTS]): part()
            for _ in range(draw.randint(0, 4))
        },
        "required": lambda: draw.choice([["a"], ["zz"], ["a", "a"], [1], "a"]),
        "items": part,
        "prefixItems": lambda: [part(), part()],
        "minItems": lambda: number,
        "maxItems": lambda: number,
        "uniqueItems": lambda: draw.choice([True, "x"]),
        "minLength": lambda: number,
        "maxLength": lambda: number,
        "pattern": lambda: patterns(draw),
        "minimum": lambda: number,
        "exclusiveMaximum": lambda: draw.choice(NUMBERS),
        "multipleOf": lambda: draw.choice(NUMBERS),
        "minProperties": lambda: number,
        "enum": lambda: draw.choice([[], [number], [*ODD_TEXTS], "x", [None, {}, []]]),
        "const": lambda: draw.choice([number, *ODD_TEXTS]),
        "anyOf": lambda: [part() for _ in range(draw.randint(0, 3))],
        "oneOf": lambda: [part(), part()],
        "allOf": lambda: [part(), part()],
        "not": part,
        "if": part,
        "then": part,
        "additionalProperties": part,
        "propertyNames": part,
        "patternProperties": lambda: {patterns(draw): part()},
        "dependentRequired": lambda: draw.choice([{"a": ["b"]}, {"a": "b"}]),
        "contains": part,
        "minContains": lambda: number,
        "$ref": lambda: draw.choice(
            [
                "#",
                "#/$defs/a",
                "#/nosuch",
                "http://127.0.0.1:9/x",
                "x",
                "",
                "#/properties/a",
                5,
            ]
        ),
        "$defs": lambda: {"a": part(), "b": {"$ref": "#/$defs/a"}},
        "$dynamicRef": lambda: "#a",
        "$dynamicAnchor": lambda: "a",
        "$id": lambda: draw.choice(["", "x", "http://[", 5]),
        "$schema": lambda: draw.choice(
            ["http://json-schema.org/draft-04/schema#", "x", "", 5]
        ),
        "format": lambda: draw.choice(["date-time", "regex", "uri", "x", 5]),
        "unevaluatedProperties": part,
        "default": lambda: number,
        "description": lambda: draw.choice(ODD_TEXTS),
    }
    return {
        name: keywords[name]() for name in draw.sample([*keywords], draw.randint(1, 6))
    }


def patterns(draw: Draw) -> str:
    """A regular expression, or what looks like one."""
    parts = [
        "a",
        "(",
        ")",
        "(a+)+",
        "(a|a)*",
        "[",
        "]",
        "[^x]",
        ".",
        "*",
        "+?",
        "{99999}",
        "{1,}",
        "\\",
        "\\p{L}",
        "\\1",
        "(?i)",
        "(?<=a)",
        "(?P<n>a)",
        "^",
        "$",
        "|",
        "(?#",
        "\\x{110000}",
        "\\u{d800}",
        "é",
        "\0",
        "&&[a-z]",
        "(?:" * 300,
    ]
    return "".join(draw.choice(parts) for _ in range(draw.randint(1, 8)))


CODES = (
    "(" * 20_000,
    "x = " + "-" * 50_000 + "1",
    "def f(:\n",
    "\0",
    "# coding: nosuch\n",
    "\ufeffx",
    "f'{' * 3",
    "lambda: " * 3_000 + "1",
    "if 1:\n" * 120,
    "SELECT " + "(" * 3_000,
    "SELECT '" + "a" * 99_999,
    "-- " * 9_999,
    "'''",
    '"""\\',
    "x" * 300_000,
    "import os; os.system('touch PWNED')",
    "\x1b[2J",
    "\ud83d" * 3,
    "1" * 10_000,
)


def schema_cases(draw: Draw) -> Case:
    match draw.randrange(4):
        case 0:
            content = dataset(validation("regex", pattern=patterns(draw)))
        case 1:
            content = dataset(validation("local_json", schema=_plain(schemas(draw))))
        case 2:
            language = draw.choice(
                ["python", "sql:ansi", "sql:postgres", "javascript", "nosuch", ""]
            )
            code = {**expression("{{ code }}"), "name": "code2"}
            column = {
                **validation("code", code_lang=language),
                "target_columns": ["code2"],
            }
            content = dataset(
                code,
                column,
                seed_config={"source": {"seed_type": "local", "path": "code.jsonl"}},
            )
            rows = "\n".join(json.dumps({"code": draw.choice(CODES)}) for _ in range(2))
            return Case(
                "schemas, patterns, texts", "", content, files={"code.jsonl": rows}
            )
        case _:
            content = dataset(in_schema(_plain(schemas(draw))))
    return Case("schemas, patterns, texts", "", content)


def _plain(value: Any) -> Any:
    """What YAML can hold."""
    return json.loads(json.dumps(value).replace("\\ud83d", ""))
