"""What cases of all kinds are drawn from: odd numbers and texts, a valid file, and changes of a text by chance."""

import json
import random
from typing import Any

import yaml

from tests.hostile.corpus import dataset, text
from tests.support.sdg import structured

Draw = random.Random


NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2,
    7,
    2**31,
    2**53,
    2**63 - 1,
    2**63,
    2**64,
    10**18,
    10**30,
    10**400,
    -(2**63),
    0.0,
    -0.0,
    5e-324,
    1e-300,
    0.5,
    1 + 1e-16,
    1e15,
    1e300,
    1.7e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    True,
    "1",
    "1e9",
    None,
    [1],
    {"a": 1},
)


ODD_TEXTS = (
    "",
    " ",
    "\t",
    "\n",
    "\r\n",
    "a\0b",
    "\x1b[2J",
    "\x9b2J",
    "\u202eevil",
    "\u2066x",
    "\ufeff",
    "\u200bplan",
    "pl\u0430n",
    "PLAN",
    "Plan",
    "e\u0301",
    "\u00e9",
    "\u212b",
    "\uff50lan",
    "\u0130",
    "\u1e9e",
    "\ufb01",
    "\U0001f600",
    "\U000e0041",
    "x" * 300,
    "ü" * 130,
    "null",
    "true",
    "1",
    "1.0",
    "~",
    "=1+1",
    "@SUM(A1)",
    "__class__",
    "__proto__",
    "constructor",
    "self",
    "loop",
    "range",
    "namespace",
    "_source",
    "..",
    ".",
    "/",
    "a/b",
    "a\\b",
    "con",
    "nul.txt",
    "a:b",
    "*",
    "?",
    "$HOME",
    "${HOME}",
    "`id`",
    "%s",
    "{{ plan }}",
    "{% raw %}",
    "{0.__class__}",
    "<script>",
    "![x](http://x)",
    "'; DROP TABLE a;--",
    "sdg",
)


MODELS: dict[str, Any] = {
    "model_providers": [{"name": "p", "provider_type": "simulated"}],
    "model_configs": [{"alias": "w", "model": "m", "provider": "p"}],
}


def in_schema(schema: Any) -> dict[str, Any]:
    """A column of structured replies."""
    return structured("s", "x", schema, model_alias="w")


VALID = dataset(
    text(), in_schema({"type": "object", "properties": {"a": {"type": "string"}}})
)


YAML_PARTS = (
    "&a ",
    "*a",
    "<<: *a\n",
    "!!int ",
    "!!float x",
    "!!binary %",
    "!x ",
    "? ",
    "- ",
    ": ",
    "{",
    "[",
    "]",
    "}",
    "|\n",
    ">\n",
    "'",
    '"',
    "#",
    "%TAG ! x\n",
    "---\n",
    "...\n",
    "\t",
    "\r",
    "\0",
    "\x85",
    "\u2028",
    "\ufeff",
    "0x" + "f" * 5_000,
    "9" * 5_000,
    "1:" * 900 + "1",
    "1e999999",
    ".nan",
    "0o8",
    "0b2",
    "2001-99-99",
    "~",
    "=",
    "<<",
    "\ud83d",
    "\\ud83d",
    "[" * 3_000,
    "{a: " * 3_000,
    "- " * 3_000,
    "x: 1\n" * 3,
    "\xff",
    "x" * 70_000,
)


def mutated_text(
    draw: Draw, source: str, parts: tuple[str, ...], *, most: int = 4
) -> str:
    for _ in range(draw.randint(1, most)):
        at = draw.randint(0, len(source))
        match draw.randrange(5):
            case 0:
                source = source[:at] + source[at + draw.randint(1, 40) :]
            case 1:
                source = (
                    source[:at]
                    + source[draw.randint(0, len(source)) :][:200]
                    + source[at:]
                )
            case _:
                source = source[:at] + draw.choice(parts) + source[at:]
    return source


def dumped(document: Any) -> str:
    try:
        return yaml.safe_dump(document, allow_unicode=_is_whole(document))
    except (yaml.YAMLError, UnicodeError):
        return json.dumps(document)


def _is_whole(document: Any) -> bool:
    return "\ud83d" not in str(document)
