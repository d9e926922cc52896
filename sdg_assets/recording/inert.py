"""Text of models, servers and files in Dagster's Markdown: shown as it is, without images, links or formatting.

Dagster's page fetches every image of a Markdown text when it is opened, so `![](http://...)` in a value would tell a stranger
who looks at it. Addresses become links by themselves, with or without escapes, except inside code.
"""

import re

_ADDRESS = re.compile(r"://|www\.|@", re.IGNORECASE)
_ACTIVE = re.compile(
    r"([\\`*\[\]<>~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))"
)  # inside a word, _ is itself
_TICKS = re.compile(r"`+")


def inert(text: str) -> str:
    """One line of text as Markdown for a cell of a table that shows just the text."""
    if _ADDRESS.search(text):
        longest = max(map(len, _TICKS.findall(text)), default=0)
        fence = "`" * (longest + 1)
        return f"{fence} {text} {fence}".replace("|", "\\|")
    return _ACTIVE.sub(r"\\\1", text).replace("|", "\\|")


def without_images(markdown: str) -> str:
    """Markdown that a person wrote into a dataset file, perhaps a stranger: links stay, images and HTML are text."""
    return re.sub(r"!(?=\s*\[)", r"\\!", markdown).replace("<", "&lt;")
