"""Source text: the last fenced block of the reply that is in the wanted language, or the whole reply if nothing is fenced.

Models explain, then write; what they write last is what they mean. Nothing is executed or parsed here; a validation column can
parse it.
"""

import re
from collections.abc import Mapping

from sdg_core.config.columns import LlmCodeColumn
from sdg_core.generators.models.chat import ChatGenerator, ModelBinding, ResponseSpec
from sdg_core.generators.models.conversation import UnusableResponseError
from sdg_core.generators.models.fences import fenced_blocks
from sdg_core.models.structured import Extracted
from sdg_core.models.types import ChatResponse

_CODE_MARKS = re.compile(r"[{}\[\]();=<>#$:]")
_SENTENCE = re.compile(r"[A-Z][^\n]*\b[a-z]+ [a-z]+[^\n]*[.!?]", re.DOTALL)
_BLANK_AROUND = re.compile(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z")
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
    "sql": frozenset(
        {
            "sqlite",
            "tsql",
            "t-sql",
            "bigquery",
            "mysql",
            "postgres",
            "postgresql",
            "ansi",
        }
    ),
}


def code_generator(column: LlmCodeColumn, binding: ModelBinding) -> ChatGenerator:
    """The generator of one `llm-code` column."""
    language, _, dialect = column.code_lang.partition(":")
    named = f"SQL ({dialect})" if dialect else language
    instructions = f"Write {named} code. Put it into one fenced block that begins with ```{language} and ends with ```."

    def read(reply: ChatResponse) -> Extracted:
        if reply.finish_reason == "length":
            raise UnusableResponseError(
                "it was cut off, because it is longer than max_tokens allows; be brief"
            )
        return Extracted(extract_code(reply.text, language=language))

    return ChatGenerator(
        column, binding, ResponseSpec(read, instructions, code_language=language)
    )


def extract_code(text: str, *, language: str) -> str:
    """The code in a reply, without blank lines around it. Raises UnusableResponseError if there is none in the language."""
    blocks = fenced_blocks(text)
    if not blocks:
        return _unfenced(text)
    names = {language, *_ALSO.get(language, ())}
    fitting = [code for tag, code in blocks if tag in names]
    is_marked = any(tag for tag, _ in blocks)
    if not fitting and not is_marked:
        fitting = [code for _, code in blocks]
    if not fitting:
        marks = dict.fromkeys(tag or "with nothing" for tag, _ in blocks)
        raise UnusableResponseError(
            f"there is no fenced block marked {language}; those that are there are marked {', '.join(marks)}"
        )
    last = fitting[-1]
    if not last.strip():
        raise UnusableResponseError(f"the last fenced block marked {language} is empty")
    return _BLANK_AROUND.sub("", last)


def _unfenced(text: str) -> str:
    """A reply that is code as a whole, which a plain sentence ("I cannot do that.") is not."""
    code = text.strip()
    if not code:
        raise UnusableResponseError("it holds no code")
    if _SENTENCE.fullmatch(code) and not _CODE_MARKS.search(code):
        raise UnusableResponseError("it holds no fenced block, and reads as prose")
    return code
