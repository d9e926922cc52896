"""How the commands are listed, and what a wrong word for one is answered with."""

from difflib import get_close_matches
from typing import Any

from typer.core import TyperGroup

WORDS_OF_OTHERS = {
    "run": "generate",
    "make": "generate",
    "start": "generate",
    "resume": "generate",
    "create": "generate",
    "build": "generate",
    "check": "validate",
    "lint": "validate",
    "test": "preview",
    "sample": "preview",
    "show": "preview",
    "cost": "estimate",
    "costs": "estimate",
    "price": "estimate",
    "dry-run": "plan",
    "diff": "plan",
    "ping": "check-models",
    "models": "check-models",
    "ls": "status",
    "list": "status",
    "info": "status",
    "stat": "status",
    "finish": "process",
    "postprocess": "process",
    "finalize": "process",
    "seal": "process",
    "unseal": "reopen",
    "unlock": "reopen",
    "save": "export",
    "dump": "export",
    "download": "export",
    "convert": "import",
    "new": "init",
}
"""What other programs, or people, call a command of ours."""
_NEVER_GUESSED = frozenset({"prune"})
"""Commands that remove something are not offered for another word."""


class CommandGroup(TyperGroup):
    """The commands in the order of work, each with the whole first sentence of its help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.commands[name]
            if not command.hidden:
                rows.append((name, _first_sentence(command.help or "")))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names; an error for no command suggests the likeliest one."""
        wrong = args[0] if args else ""
        if wrong and wrong not in self.commands and not wrong.startswith("-"):
            ctx.fail(f"No such command {wrong!r}.{self._suggestion(wrong)}")
        return super().resolve_command(ctx, args)

    def _suggestion(self, wrong: str) -> str:
        meant = WORDS_OF_OTHERS.get(wrong.lower())
        if meant is None or meant not in self.commands:
            close = []
            for name in self.commands:
                cutoff = 0.85 if name in _NEVER_GUESSED else 0.6
                close += get_close_matches(wrong.lower(), [name], cutoff=cutoff)
            closest = get_close_matches(wrong.lower(), close, n=1, cutoff=0.0)
            if not closest:
                return f" Commands: {', '.join(self.commands)}."
            meant = closest[0]
        return f" Did you mean {meant!r}?"


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    end = paragraph.find(". ")
    return paragraph if end < 0 else paragraph[: end + 1]
