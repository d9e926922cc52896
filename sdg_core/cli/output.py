"""Where results go, in plain forms: lines and JSON. Tables are in `tables.py`, so that a command without one imports no rich.

Text of files, models and servers is shown as it is, without what a terminal would act on.
"""

import re

import orjson
import typer

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    """Text without anything that a terminal acts on (escape sequences, C1 codes, marks of direction); these are spelt out."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str, *, err: bool = False) -> None:
    """A line in which names and messages of files, models and servers are text."""
    typer.echo(printable(text), err=err)


def print_json(value: object) -> None:
    """A value as JSON on stdout."""
    content = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str)
    typer.echo(printable(content.decode()))
