"""Code as the simulated provider writes it: short, different for every record, and valid in its language."""

from collections.abc import Sequence

from sdg_core.models.simulated.random_stream import RandomStream

_SQL = "SELECT {noun}, COUNT(*) AS total\nFROM {other}_table\nWHERE {noun} > {number}\nGROUP BY {noun}"
_SNIPPETS = {
    "python": 'def {noun}_{other}(value: int) -> int:\n    """Simulated."""\n    total = value\n'
    "    for step in range({number}):\n        total += step\n    return total",
    "bash": '# simulated\n{noun}="{number}"\nfor step in 1 2 3; do\n  echo "${noun} {other} $step"\ndone',
    "c": "#include <stdio.h>\n\nint {noun}_{other}(int value) {{\n    return value + {number};\n}}",
    "cobol": "       IDENTIFICATION DIVISION.\n       PROGRAM-ID. SIMULATED.\n       PROCEDURE DIVISION.\n"
    '           DISPLAY "{noun} {other} {number}".\n           STOP RUN.',
    "cpp": "#include <iostream>\n\nint {noun}_{other}(int value) {{\n    return value + {number};\n}}",
    "csharp": "public static class Simulated\n{{\n    public static int {noun}_{other}(int value) => value + {number};\n}}",
    "go": "package main\n\nfunc {noun}_{other}(value int) int {{\n\treturn value + {number}\n}}",
    "java": "public class Simulated {{\n    static int {noun}_{other}(int value) {{\n        return {number};\n    }}\n}}",
    "javascript": "function {noun}_{other}(value) {{\n  return value + {number};\n}}",
    "kotlin": "fun {noun}_{other}(value: Int): Int = value + {number}",
    "ruby": "def {noun}_{other}(value)\n  value + {number}\nend",
    "rust": "fn {noun}_{other}(value: i64) -> i64 {{\n    value + {number}\n}}",
    "scala": "object Simulated {{\n  def {noun}_{other}(value: Int): Int = value + {number}\n}}",
    "swift": "func {noun}_{other}(value: Int) -> Int {{\n    return value + {number}\n}}",
    "typescript": "function {noun}_{other}(value: number): number {{\n  return value + {number};\n}}",
    "sql": _SQL,
}


def fenced_code(language: str, draws: RandomStream, *, nouns: Sequence[str]) -> str:
    """A fenced block in a language (`sql` for all its dialects)."""
    snippet = _SNIPPETS[language]
    code = snippet.format(
        noun=draws.pick(nouns), other=draws.pick(nouns), number=draws.between(2, 99)
    )
    return f"```{language}\n{code}\n```"
