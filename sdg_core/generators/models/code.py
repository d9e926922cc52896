"""Source text: the last fenced block of the reply that is in the wanted language, or the whole reply if nothing is fenced.

Models explain, then write; what they write last is what they mean. Nothing is executed or parsed here; a validation column can
parse it.
"""

import re
from collections.abc import Mapping

from sdg_core.config.columns import LlmCodeColumn
from sdg_core.generators.models.chat import ChatGenerator, ModelBinding, ResponseSpec
from sdg_core.generators.models.conversation import UnusableResponseError
from sdg_core.models.types import ChatResponse

_FENCE = re.compile(r"^[ ]{0,3}(`{3,}+|~{3,}+)[ \t]*+([^\s`{]*+)[^\n`]*+$")
_ALSO: Mapping[str, frozenset[str]] = {
    "bash": frozenset({"sh", "shell", "zsh", "console"}),
    "c": frozenset({"h"}),
    "cobol": frozenset({"cob", "cbl"}),
    "cpp": frozenset({"c++", "cxx", "cc", "hpp"}),
    "csharp": frozenset({"c#", "cs"}),
    "go": frozenset({"golang"}),
    "javascript": frozenset({"js", "node", "mjs"}),
    "kotlin": frozenset({"kt", "kts"}),
    "python": frozenset({"py", "python3", "py3"}),
    "ruby": frozenset({"rb"}),
    "rust": frozenset({"rs"}),
    "scala": frozenset({"sc"}),
    "typescript": frozenset({"ts"}),
    "sql": frozenset({"sqlite", "tsql", "t-sql", "bigquery", "mysql", "postgres", "postgresql", "ansi"}),
}


def code_generator(column: LlmCodeColumn, asked: ModelBinding) -> ChatGenerator:
    """The generator of one `llm-code` column."""
    language, _, dialect = column.code_lang.partition(":")
    named = f"SQL ({dialect})" if dialect else language
    instructions = f"Write {named} code. Put it into one fenced block that begins with ```{language} and ends with ```."

    def read(reply: ChatResponse) -> str:
        if reply.finish_reason == "length":
            raise UnusableResponseError("it was cut off, because it is longer than max_tokens allows; be brief")
        return extract_code(reply.text, language=language)

    return ChatGenerator(column, asked, ResponseSpec(read, instructions))


def extract_code(text: str, *, language: str) -> str:
    """The code in a reply. Raises UnusableResponseError if there is none in the language."""
    blocks = fenced_blocks(text)
    if not blocks:
        if text.strip():
            return text.strip()
        raise UnusableResponseError("it holds no code")
    names = {language, *_ALSO.get(language, ())}
    fitting = [code for tag, code in blocks if tag in names]
    if not fitting:
        found = ", ".join(dict.fromkeys(tag or "with nothing" for tag, _ in blocks))
        raise UnusableResponseError(
            f"there is no fenced block marked {language}; those that are there are marked {found}"
        )
    if not fitting[-1].strip():
        raise UnusableResponseError(f"the last fenced block marked {language} is empty")
    return fitting[-1]


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """The language (lower case, empty if none is given) and the code of each fenced block; one that is not closed ends with
    the text."""
    blocks: list[tuple[str, str]] = []
    fence, tag, lines = "", "", list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        if not fence:
            if opened := _FENCE.match(line):
                fence, tag, lines = opened[1], opened[2].lower(), []
        elif line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            blocks.append((tag, "\n".join(lines)))
            fence = ""
        else:
            lines.append(line)
    return [*blocks, (tag, "\n".join(lines))] if fence else blocks
