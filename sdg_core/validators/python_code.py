"""Python source, linted by ruff: many cells in one process, because starting it costs more than linting.

The verdict is Data Designer's: pylint's score from the counts of findings and statements; valid unless a finding is fatal (a
syntax error) or an error (rules E9, F and PLE). Configuration files and `noqa` comments in the text do not count, or a text
could declare itself valid.
"""

import ast
import os
import subprocess
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from sdg_core.system.python_syntax import parse_python
from sdg_core.validators.base import ValidatorError, Verdict, as_text

RULES = "E,F6,F7,F8,SIM,PLC,PLE,PLR,PLW"
TARGET_VERSION = "py313"
FILES_PER_PROCESS = 2000
SECONDS_PER_PROCESS = 300.0
_SEVERITIES = ("fatal", "error", "warning", "convention", "refactor")
_INVALID = ("fatal", "error")
_TYPES = {
    "E": "refactor",
    "F": "error",
    "SIM": "refactor",
    "PLC": "convention",
    "PLE": "error",
    "PLR": "refactor",
}
_UNPARSED = "code_of_a_cell"


def validate_python(values: Sequence[Any]) -> list[Verdict]:
    """One verdict per text. Raises ValidatorError if ruff cannot be run."""
    texts = [as_text(value) for value in values]
    verdicts: list[Verdict] = []
    for start in range(0, len(texts), FILES_PER_PROCESS):
        batch = texts[start : start + FILES_PER_PROCESS]
        findings = _lint([text or "" for text in batch])
        verdicts += [
            _verdict(text, found) for text, found in zip(batch, findings, strict=True)
        ]
    return verdicts


def _lint(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The findings of each text. A text that ends ruff itself is found by halving, and is the one to blame."""
    try:
        return _run(texts)
    except ValidatorError:
        if len(texts) == 1:
            raise
    middle = len(texts) // 2
    return [*_lint_or_blame(texts[:middle]), *_lint_or_blame(texts[middle:])]


def _lint_or_blame(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
    try:
        return _lint(texts)
    except ValidatorError as error:
        if len(texts) > 1:
            raise
        return [
            [
                {
                    "code": None,
                    "message": f"it cannot be linted: {error.message}",
                    "location": {"row": 1, "column": 1},
                }
            ]
        ]


def _run(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="sdg-ruff-") as folder:
        for number, text in enumerate(texts):
            Path(folder, f"{number}.py").write_bytes(text.encode("utf-8", "replace"))
        command = [
            _ruff(),
            "check",
            "--isolated",
            "--no-cache",
            "--ignore-noqa",
            "--exit-zero",
            "--quiet",
        ]
        command += ["--select", RULES]
        command += [
            "--target-version",
            TARGET_VERSION,
            "--output-format",
            "json",
            folder,
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=SECONDS_PER_PROCESS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValidatorError(f"ruff: {error}") from error
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = lines[-1] if lines else "no reason given"
            raise ValidatorError(f"ruff ended with status {done.returncode}: {reason}")
        found: list[list[dict[str, Any]]] = [[] for _ in texts]
        for item in orjson.loads(done.stdout):
            number = int(Path(item["filename"]).stem)
            found[number].append(item)
        return found


@lru_cache(maxsize=1)
def _ruff() -> str:
    from ruff import find_ruff_bin

    return os.fsdecode(find_ruff_bin())


def _verdict(text: str | None, found: Sequence[dict[str, Any]]) -> Verdict:
    if text is None:
        return _of(
            [_message("fatal", "no-value", 1, 1, "there is no text")], statements=0
        )
    messages = [
        _message(
            _kind(item["code"]),
            item["code"] or "invalid-syntax",
            item["location"]["row"],
            item["location"]["column"],
            item["message"],
        )
        for item in found
    ]
    return _of(messages, statements=_statements(text))


def _of(messages: list[dict[str, Any]], *, statements: int) -> Verdict:
    messages = sorted(messages, key=_worst_first)
    counts = Counter(message["type"] for message in messages)
    severity = messages[0]["type"] if messages else "none"
    score = 0.0
    if not counts["fatal"]:
        lost = (
            5 * counts["error"]
            + counts["warning"]
            + counts["refactor"]
            + counts["convention"]
        )
        score = max(0.0, 10.0 - 10.0 * lost / max(1, statements))
    return {
        "is_valid": severity not in _INVALID,
        "python_linter_score": score,
        "python_linter_severity": severity,
        "python_linter_messages": messages,
    }


def _worst_first(message: dict[str, Any]) -> tuple[int, int, int]:
    return _SEVERITIES.index(message["type"]), message["line"], message["column"]


def _message(
    kind: str, symbol: str, line: int, column: int, message: str
) -> dict[str, Any]:
    return {
        "type": kind,
        "symbol": symbol,
        "line": line,
        "column": column,
        "message": message,
    }


def _kind(code: str | None) -> str:
    """A finding's severity; one without a rule is a syntax error."""
    if code is None or code == "invalid-syntax":
        return "fatal"
    if code.startswith("E9"):
        return "error"
    capitals = [letter for letter in code if letter.isalpha() and letter.isupper()]
    return _TYPES.get("".join(capitals), "warning")


def _statements(text: str) -> int:
    """Statements in a text, 0 where this Python cannot read it."""
    # what the parser thinks of escapes is not ours to print
    warnings.filterwarnings("ignore", module=_UNPARSED)
    try:
        nodes = ast.walk(parse_python(text, _UNPARSED))
        return sum(isinstance(node, ast.stmt) for node in nodes)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
