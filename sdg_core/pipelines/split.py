"""Cutting text into pieces. Every piece is a slice of the text, and says where it stands in it."""

import re
from collections.abc import Sequence
from itertools import pairwise

from sdg_core.config.pipeline import SplitStage
from sdg_core.pipelines.tokens import Span, Tokenize, token_windows

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+|\n\s*\n")
_HEADING = re.compile(r"^#{1,6}[ \t].*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
DEFAULT_SIZES = {"characters": 1000, "words": 200, "tokens": 256, "sentences": 5}


def split_text(
    stage: SplitStage, text: str, *, tokenize: Tokenize | None = None
) -> list[Span]:
    """The pieces of a text as `[start, stop)` in characters, in order. Text that is all space has none.

    tokenize: of unit tokens.
    """
    match stage.unit:
        case "characters":
            characters = [(at, at + 1) for at in range(len(text))]
            return _trimmed(text, _windows(characters, stage))
        case "words":
            words = [match.span() for match in re.finditer(r"\S+", text)]
            return _windows(words, stage)
        case "tokens":
            assert tokenize is not None
            windows = token_windows(
                tokenize(text),
                size=stage.size or DEFAULT_SIZES["tokens"],
                overlap=stage.overlap,
            )
            return _trimmed(text, windows)
        case "sentences":
            ends = [match.span() for match in _SENTENCE_END.finditer(text)]
            return _windows(_between(text, ends), stage)
        case "markdown":
            return _sections(stage, text)


def _windows(units: Sequence[Span], stage: SplitStage) -> list[Span]:
    """Runs of `size` units, each beginning `overlap` units before the one before it ends."""
    size = stage.size or DEFAULT_SIZES.get(stage.unit, DEFAULT_SIZES["characters"])
    spans = []
    for start in range(0, len(units), size - stage.overlap):
        stop = min(start + size, len(units))
        spans.append((units[start][0], units[stop - 1][1]))
        if stop == len(units):
            break
    return spans


def _between(text: str, gaps: Sequence[Span]) -> list[Span]:
    spans = []
    start = 0
    for gap_start, gap_stop in gaps:
        spans.append((start, gap_start))
        start = gap_stop
    spans.append((start, len(text)))
    return _trimmed(text, spans)


def _trimmed(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans that hold more than space."""
    return [(start, stop) for start, stop in spans if text[start:stop].strip()]


def _sections(stage: SplitStage, text: str) -> list[Span]:
    """One piece per heading with what follows it, up to the next; a longer one than `size` characters is cut further."""
    fences = [match.span() for match in _FENCE.finditer(text)]

    def is_code(at: int) -> bool:
        return any(start <= at < stop for start, stop in fences)

    headings = [match.start() for match in _HEADING.finditer(text)]
    starts = [at for at in headings if not is_code(at)]
    bounds = sorted({0, *starts, len(text)})
    sections = _trimmed(text, list(pairwise(bounds)))
    if stage.size is None:
        return sections
    spans: list[Span] = []
    for start, stop in sections:
        characters = [(at, at + 1) for at in range(start, stop)]
        pieces = _windows(characters, stage)
        spans += _trimmed(text, pieces)
    return spans
