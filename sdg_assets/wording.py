"""Errors of the engine in Dagster's words: what the engine calls an option of the command is a key of the run config here."""

import re

from sdg_core.errors import SdgError

_WORDS = (
    (
        r"`sdg generate` and `sdg process` its file with the same root, or materialize",
        "materialize",
    ),
    (r"`sdg process` (?:it|its file)(?: first)?, or (?=materialize)", ""),
    (r"`?--resume (\w+)`?", r"`resume: \1` in the run config"),
    (r"`?--allow-missing`?", "`allow_missing: true` in the run config"),
    (
        r"`sdg reopen FILE` and `sdg process FILE` make it again",
        "the job `reopen_dataset`, then materialize it again",
    ),
    (r"`sdg reopen FILE`", "the job `reopen_dataset`"),
    (
        r"`sdg process FILE` finishes it",
        "materializing the finished dataset completes it",
    ),
    (r"process again", "materialize it again"),
    (
        r"`sdg status FILE` shows why they failed",
        "the pages of the row groups say why they failed",
    ),
    (
        r"generate again to retry them",
        "materialize their row groups again to retry them",
    ),
    (r"generate them first", "materialize them first"),
    (
        r"`?--root, or SDG_ROOT`?",
        "the `root` of the store or the component, or SDG_ROOT",
    ),
    (r"`?--root (\S+)`?", r"`root: \1` of the store or the component"),
)


def in_dagster(error: SdgError) -> str:
    """The message of an error, and its remedy as somebody carries it out in the UI."""
    if error.remedy is None:
        return str(error)
    remedy = error.remedy
    for command, words in _WORDS:
        remedy = re.sub(command, words, remedy)
    return f"{str(error).removesuffix(error.remedy)}{remedy}"
