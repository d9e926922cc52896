"""What to do about a text that is not YAML: the parser says what it met, people want to know what to write instead."""

import re

_OPENS_BRACES = re.compile(r"(?:^|[:,\[-]\s+)\s*\{\{")
_SECOND_COLON = re.compile(r"^\s*(?:-\s+)?[\w-]+:\s+[^\s{\['\"][^'\"]*?:(?:\s|$)")
_TYPOGRAPHIC = re.compile("[\u201c\u201d\u201e\u2018\u2019]")
_STARTS_WITH = re.compile(r"(?:^|[:,-]\s+|[\[,{]\s*)([@`%*&!|>])")
_QUOTE_INSIDE = re.compile(r"[:,\[-]\s*'[^']*'\w")
_PLAIN: tuple[tuple[str, str], ...] = (
    ("unknown escape", "; put text that has a backslash in single quotes"),
    (
        "quoted scalar",
        "; a quote is unclosed, or stands inside quoted text: double it, or use the other kind around the text",
    ),
    (
        "block sequence entries",
        "; quote text that begins with -, or begin the list on a line of its own",
    ),
    ("single document", "; a file holds one dataset: remove the line ---"),
    ("tag:yaml.org,2002:merge", "; quote it to make it text"),
    ("constructor for the tag", "; quote text that begins with !"),
)


def advice_on(message: str, line: str) -> str:
    """The remedy for a message of the parser about a line, with a semicolon before it; empty where there is none to give."""
    if sign := _wrong_sign(line):
        return sign
    if "mapping values are not allowed" in message:
        if _SECOND_COLON.search(line):
            return "; quote text that contains a colon and a space, or write it below `|`, indented"
        return "; check the indentation: keys of one mapping start in the same column"
    if "tab character" in message or (
        "cannot start any token" in message and "\t" in line
    ):
        return "; indent with spaces, YAML does not allow tabs"
    found = _STARTS_WITH.search(line)
    if found is not None and (
        "cannot start any token" in message or "alias" in message or "anchor" in message
    ):
        return f"; quote text that begins with {found[1]}"
    for part, remedy in _PLAIN:
        if part in message:
            return remedy
    if "did not find expected" in message and _QUOTE_INSIDE.search(line):
        return "; write a quote inside a text twice ('it''s'), or use the other kind around the text"
    if "did not find expected" in message:
        return (
            "; check the indentation (items of a list, and keys of a mapping, start in the same "
            "column) and the brackets"
        )
    return ""


def _wrong_sign(line: str) -> str:
    """What a line has that YAML reads in another way than it is meant."""
    if _OPENS_BRACES.search(line) and not _SECOND_COLON.search(line):
        return '; quote text that begins with {{, as in expr: "{{ plan }}"'
    if _TYPOGRAPHIC.search(line):
        return "; YAML does not recognize typographic quotes: use \" or '"
    return ""
