"""The pages of the guide as a reader follows them: files that they show are written, commands that they show are typed."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.sdg import PROJECT

GUIDE = PROJECT / "docs" / "guide"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w./-]+\.yaml)`[^`\n]*:\n\n\Z")
NOT_TYPED = ("pip install", "dagster dev")
"""What needs a package index, or never ends."""
_COMMENT = re.compile(r"# ([\w./-]+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block, with the line of its page where it starts."""

    page: str
    line: int
    language: str
    text: str


@cache
def blocks() -> tuple[Block, ...]:
    """All blocks of the guide, in their order."""
    found = []
    for path in sorted(GUIDE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            found.append(
                Block(
                    path.name, text.count("\n", 0, block.start()) + 1, *block.groups()
                )
            )
    return tuple(found)


def files_of(page: str) -> dict[str, str]:
    """Each Python block of a page whose first line is a comment with a path, by that path."""
    blocks = _BLOCK.findall((GUIDE / page).read_text(encoding="utf-8"))
    named = (
        (_COMMENT.match(text), text)
        for language, text in blocks
        if language == "python"
    )
    return {match[1]: text for match, text in named if match}


def script_of(page: str) -> str:
    """A page as one shell script: YAML blocks are written where the line above them says, `sh` blocks are run."""
    text = (GUIDE / page).read_text(encoding="utf-8")
    steps: list[str] = []
    for block in _BLOCK.finditer(text):
        language, content = block.groups()
        named = _NAMED.search(text[: block.start()])
        if language == "sh":
            steps += [
                line for line in content.splitlines() if not line.startswith(NOT_TYPED)
            ]
        elif language == "yaml" and named is not None:
            steps += [
                f"mkdir -p {Path(named[1]).parent}",
                f"cat > {named[1]} <<'END_OF_FILE'\n{content}END_OF_FILE",
            ]
    return "\n".join(steps) + "\n"
