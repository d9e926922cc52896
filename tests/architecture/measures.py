"""Measures of the code as a table: `python -m tests.architecture.measures [NAME=]DIRECTORY...`, one column for each directory.

They describe, and no test holds a file to them: docs/design/measures.md says what they were and are, and what they are for.
Tokens are those of Python's tokenizer without comments, docstrings, newlines and indentation; code lines are lines with a token.
Complexity is McCabe's: one, and one more for each branch, loop, handler, condition, comprehension and boolean operator.
"""

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.comprehension,
    ast.match_case,
)
SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@dataclass
class Measured:
    """What is counted over all modules of a directory."""

    files: list[int] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    complexities: list[int] = field(default_factory=list)
    code_lines: int = 0
    tokens: int = 0
    comprehensions: int = 0
    ternaries: int = 0
    tuple_assignments: int = 0
    private_functions: int = 0
    module_docstrings: int = 0
    public_names: int = 0
    documented_names: int = 0


def main(arguments: Sequence[str]) -> None:
    """Print a Markdown table."""
    columns: dict[str, dict[str, str]] = {}
    for argument in arguments or ("sdg_core", "sdg_assets"):
        name, _, directory = argument.rpartition("=")
        columns[name or directory] = rows(measure(Path(directory)))
    print("| measure | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for label in next(iter(columns.values())):
        print(
            f"| {label} | "
            + " | ".join(column[label] for column in columns.values())
            + " |"
        )


def measure(directory: Path) -> Measured:
    """Every module below a directory."""
    found = Measured()
    for path in sorted(directory.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        found.files.append(source.count("\n"))
        found.module_docstrings += (
            path.name == "__init__.py" or ast.get_docstring(tree) is not None
        )
        _count_tokens(found, source, tree)
        _count_nodes(found, tree)
        _count_names(found, tree)
    return found


def _count_tokens(found: Measured, source: str, tree: ast.Module) -> None:
    documented = _docstring_lines(tree)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in SILENT or token.start[0] in documented:
            continue
        lines.update(range(token.start[0], token.end[0] + 1))
        found.tokens += 1
    found.code_lines += len(lines)


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _count_nodes(found: Measured, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        found.comprehensions += isinstance(node, COMPREHENSIONS)
        found.ternaries += isinstance(node, ast.IfExp)
        found.tuple_assignments += _assigns_a_tuple(node)
        if isinstance(node, Function):
            found.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
            found.complexities.append(_complexity(node))
            found.private_functions += node.name.startswith(
                "_"
            ) and not node.name.startswith("__")


def _assigns_a_tuple(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and isinstance(node.targets[0], ast.Tuple)
    )


def _complexity(function: Function) -> int:
    branches = sum(isinstance(node, BRANCHES) for node in ast.walk(function))
    operators = sum(
        len(node.values) - 1
        for node in ast.walk(function)
        if isinstance(node, ast.BoolOp)
    )
    return 1 + branches + operators


def _count_names(found: Measured, tree: ast.Module) -> None:
    for node in _public(tree.body):
        found.public_names += 1
        found.documented_names += ast.get_docstring(node) is not None


def _public(body: Iterable[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def rows(found: Measured) -> dict[str, str]:
    """The measures by their labels."""
    thousands = found.code_lines / 1000
    dense = sum(complexity > 10 for complexity in found.complexities) / len(
        found.complexities
    )
    return {
        "modules / lines": f"{len(found.files)} / {sum(found.files):,}",
        "file lines: median / 90 % / most": _spread(found.files),
        "function lines: median / 90 % / most": _spread(found.functions),
        "complexity: median / 90 % / most": _spread(found.complexities),
        "functions with complexity over 10": f"{dense:.1%}",
        "tokens per code line": f"{found.tokens / found.code_lines:.1f}",
        "comprehensions per 1,000 code lines": f"{found.comprehensions / thousands:.0f}",
        "conditional expressions per 1,000 code lines": f"{found.ternaries / thousands:.0f}",
        "tuple assignments per 1,000 code lines": f"{found.tuple_assignments / thousands:.1f}",
        "private functions": f"{found.private_functions / len(found.functions):.0%}",
        "module docstrings": f"{found.module_docstrings / len(found.files):.0%}",
        "public names with a docstring": f"{found.documented_names / found.public_names:.0%}",
    }


def _spread(values: Sequence[int]) -> str:
    most = sorted(values)
    return f"{statistics.median(most):.0f} / {most[int(len(most) * 0.9)]} / {most[-1]}"


if __name__ == "__main__":
    main(sys.argv[1:])
