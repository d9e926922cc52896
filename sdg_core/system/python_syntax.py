"""Python source as a syntax tree, from one thread at a time.

CPython before 3.11.8 counts how deep its parser is in one place for all threads, so that two threads which parse at once
may both get a SystemError (gh-106905).
"""

import ast
from threading import Lock

_LOCK = Lock()


def parse_python(source: str | bytes, filename: str) -> ast.Module:
    """The module of a source text. Raises what `ast.parse` raises."""
    with _LOCK:
        return ast.parse(source, filename)
