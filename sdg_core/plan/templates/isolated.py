"""Renderings whose size cannot be told beforehand, in a process whose memory and time are bounded.

Templates and values are sent there as they are, choices of `random` are asked back for; the text, or the reason for none, is
what this process would have made of them.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sdg_core.errors import CellError
from sdg_core.plan.templates.engine import template_references
from sdg_core.plan.templates.filters import Choices, use_choices
from sdg_core.plan.templates.variants import RenderError, Variants
from sdg_core.system.bounded_process import MEMORY, Answer, WorkEndedError, shared_pool

SECONDS = 5.0
MAX_TEXT = 2**25
"""Characters of a text that is rendered there."""


def render(
    source: str, values: Mapping[str, Any], *, nested: bool, choices: Choices | None
) -> str:
    """The text of a checked template for plain values. Raises RenderError."""
    request = {"source": source, "values": values, "nested": nested}

    def answer(question: Any) -> Any:
        if choices is None:
            return None
        return choices.below(question["below"])

    try:
        reply = shared_pool(f"{__name__}:serve_one", seconds=SECONDS).call(
            request, answer=answer
        )
    except WorkEndedError as error:
        raise RenderError(
            f"the template was stopped: {error} ({MEMORY // 2**20:,} MiB, {SECONDS:g} s, {MAX_TEXT:,} characters)"
        ) from None
    if "error" in reply:
        raise RenderError(reply["error"])
    return str(reply["text"])


def serve_one(request: Any, ask: Answer) -> Any:
    """What the process does for one rendering."""
    try:
        with use_choices(_AskedChoices(ask)):
            text = _variants(request["source"]).text(
                request["values"], nested=request["nested"]
            )
    except CellError as error:
        return {"error": error.message}
    if len(text) > MAX_TEXT:
        return {
            "error": f"the template makes a text of {len(text):,} characters; at most {MAX_TEXT:,} are possible"
        }
    return {"text": text}


class _AskedChoices:
    """Choices of the process that sent the template."""

    def __init__(self, ask: Answer) -> None:
        self._ask = ask

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound`, exclusive."""
        drawn = self._ask({"below": bound})
        if drawn is None:
            raise ValueError(
                "filter random: no record is available here to draw random numbers for"
            )
        return int(drawn)


@lru_cache(maxsize=256)
def _variants(source: str) -> Variants:
    names = sorted(template_references(source))
    return Variants(source, tuple(names))
