"""A stage of our own: a Python file becomes the functions and classes that it defines."""

import ast
from collections.abc import Iterator
from typing import Any

from sdg_core.custom import Failed, Filtered


def definitions(record: dict[str, Any]) -> list[dict[str, Any]] | Filtered | Failed:
    """One record per function or class at the top of a module: `code`, `name`, `line`, and whether it has a docstring."""
    try:
        module = ast.parse(record["content"])
    except SyntaxError as error:
        return Failed(f"line {error.lineno}: {error.msg}", retryable=False)
    found = [_described(record, node) for node in _nodes(module)]
    return found or Filtered("defines nothing")


def _nodes(
    module: ast.Module,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _described(
    record: dict[str, Any], node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
) -> dict[str, Any]:
    return {
        "source": record["source"],
        "name": node.name,
        "line": node.lineno,
        "code": ast.get_source_segment(record["content"], node),
        "documented": ast.get_docstring(node) is not None,
    }
