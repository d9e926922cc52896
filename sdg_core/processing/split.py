"""Rows cut into parts for training and evaluation: disjoint, of exactly the wanted sizes, the same for the same number of rows.

Which part a row goes to depends on its number alone, so the dataset and the outputs of its processors, which have a row for
each of its rows, are cut alike. Rows are permuted (`sdg_core.seeds.addressing.permute`), and the permuted range is cut.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdg_core.counts import counted
from sdg_core.errors import PlanError
from sdg_core.seeds.addressing import permute

NAMES = {2: ("train", "validation"), 3: ("train", "validation", "test")}
_KEY = hashlib.blake2b(b"1", digest_size=64, person=b"sdg/split").digest()
_EXAMPLE = "give two or three shares, as in 0.9/0.1 or 80/10/10"


def part_sizes(shares: Sequence[float], num_rows: int) -> dict[str, int]:
    """How many rows each part gets, by its name. Raises PlanError for shares that make no whole, or a part without rows."""
    written = "/".join(f"{share:g}" for share in shares)
    total = sum(shares)
    if len(shares) not in NAMES or not all(share > 0 for share in shares):
        raise PlanError(f"split is {written}", remedy=_EXAMPLE)
    is_whole = abs(total - 1) < 1e-9 or abs(total - 100) < 1e-7
    if not is_whole:
        raise PlanError(
            f"split is {written}, which adds up to {total:g}, not 1 or 100",
            remedy=_EXAMPLE,
        )
    ends = [0]
    for number in range(len(shares)):
        up_to_here = sum(shares[: number + 1])
        ends.append(round(num_rows * up_to_here / total))
    sizes = np.diff(ends).tolist()
    names = NAMES[len(shares)]
    if min(sizes) == 0:
        empty = names[sizes.index(0)]
        raise PlanError(
            f"split {written} of {counted(num_rows, 'row')} leaves {empty} without a row",
            remedy="use larger shares",
        )
    return dict(zip(names, sizes, strict=True))


def part_of(start: int, count: int, sizes: Sequence[int]) -> NDArray[np.int64]:
    """The part, by its place in `sizes`, of rows `start` to `start + count - 1`."""
    permuted = permute(
        np.arange(start, start + count, dtype=np.int64), size=sum(sizes), key=_KEY
    )
    return np.searchsorted(np.cumsum(sizes), permuted, side="right").astype(np.int64)


def part_path(path: Path, part: str) -> Path:
    """`out.jsonl.gz` as `out-train.jsonl.gz`."""
    ending = (
        "".join(path.suffixes[-2:])
        if path.suffix.lower() in (".gz", ".zst")
        else path.suffix
    )
    return path.with_name(f"{path.name.removesuffix(ending)}-{part}{ending}")
