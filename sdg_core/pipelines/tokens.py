"""Where the tokens of a text stand in it, by Hugging Face's `tokenizers`, from a file: nothing is downloaded."""

import hashlib
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sdg_core.errors import PlanError

Span = tuple[int, int]
Tokenize = Callable[[str], list[Span]]
"""The tokens of a text as `[start, stop)` in characters, in order; a character of several tokens has several spans."""


def open_tokenizer(path: Path | None) -> tuple[Tokenize, str]:
    """A tokenizer, and what stands for it in the fingerprint. path: of a tokenizer.json; None estimates tokens.

    Raises PlanError if the library is not installed, or the file is no tokenizer.
    """
    if find_spec("tokenizers") is None:
        raise PlanError(
            "unit: tokens requires a library that is not installed",
            remedy="pip install 'sdg-dagster[tokens]'",
        )
    import tokenizers

    if path is None:
        pieces: Any = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        return lambda text: [
            span for _, span in pieces.pre_tokenize_str(text)
        ], "estimated"
    try:
        content = path.read_bytes()
        tokenizer: Any = tokenizers.Tokenizer.from_str(content.decode())
    except OSError as error:
        raise PlanError(
            f"{path} cannot be read: {error.strerror or error}", remedy=_REMEDY
        ) from error
    except Exception as error:
        raise PlanError(
            f"{path} is not a tokenizer: {error}", remedy=_REMEDY
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def tokenize(text: str) -> list[tuple[int, int]]:
        return list(tokenizer.encode(text, add_special_tokens=False).offsets)

    return tokenize, hashlib.sha256(content).hexdigest()


_REMEDY = "name the tokenizer.json of the model, relative to the pipeline file, or remove tokenizer to estimate tokens"


def token_windows(tokens: Iterable[Span], *, size: int, overlap: int) -> list[Span]:
    """Runs of at most `size` tokens, each beginning at most `overlap` tokens before the one before it ends. No character is cut,
    so a run is longer where a single character has more tokens than that."""
    units = _whole_characters(tokens)
    spans: list[Span] = []
    first = 0
    while first < len(units):
        last = _reach(units, first, size)
        spans.append((units[first][0], units[last][1]))
        if last + 1 == len(units):
            break
        again = last + 1
        left = overlap
        while again - 1 > first and units[again - 1][2] <= left:
            again -= 1
            left -= units[again][2]
        first = again
    return spans


def _reach(units: list[tuple[int, int, int]], first: int, size: int) -> int:
    """The last unit of a run."""
    last = first
    count = units[first][2]
    while last + 1 < len(units) and count + units[last + 1][2] <= size:
        last += 1
        count += units[last][2]
    return last


def _whole_characters(tokens: Iterable[Span]) -> list[tuple[int, int, int]]:
    """Tokens that share a character as one unit: start, stop, number of tokens."""
    units: list[tuple[int, int, int]] = []
    for start, stop in tokens:
        if units and start < units[-1][1]:
            before, end, count = units[-1]
            units[-1] = (before, max(end, stop), count + 1)
        elif stop > start:
            units.append((start, stop, 1))
    return units
