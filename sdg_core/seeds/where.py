"""`seed_config.where`: the seed rows for which a template is true, as seed data of their own.

The template is evaluated once, in order and in batches, before anything is planned; what is kept of it is one bit per row of the
source. Rows are still read from the source when records need them, so nothing is copied. The bits are also kept in the user's
cache, under the digest of the source's content and the template, so that the next command does not evaluate it again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from uuid import uuid4

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.counts import counted
from sdg_core.errors import SeedError
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.templates.render import RenderError, compiled
from sdg_core.plan.templates.skip import is_true, truth_template
from sdg_core.seeds.base import Rows, SeedReader
from sdg_core.seeds.digests import cache_directory

BATCH_ROWS = 16_384
KEPT_FROM = 10_000
"""Rows of a source from which on the outcome is kept; fewer are evaluated as fast as they are looked up."""
_FIELD = "seed_config.where"
_RULES = "1"
"""Changes with what a template may mean, so that no outcome of an earlier meaning is taken."""


class WhereReader(SeedReader):
    """The rows of another reader for which a template is true, in its order.

    Raises SeedError if the template names a column that the source lacks, cannot be evaluated for a row, or is true for none.
    """

    def __init__(
        self, source: SeedReader, where: str, *, env: Mapping[str, str] | None = None
    ) -> None:
        self._source = source
        self._where = where
        self._env = os.environ if env is None else env
        self._template = compiled(truth_template(where))
        for name in self._template.names:
            if name not in source.schema.names:
                hint = did_you_mean(name, source.schema.names)
                raise SeedError(
                    f"{_FIELD}: the seed data has no column {name!r}{hint}",
                    remedy="use columns of the seed data; columns of this dataset do not exist yet when "
                    "it is evaluated",
                )

    @property
    def schema(self) -> pa.Schema:
        """That of the source."""
        return self._source.schema

    @property
    def num_rows(self) -> int:
        """Number of rows for which the template is true."""
        return len(self._chosen)

    def digest(self) -> str:
        """That of the whole source. The template is in the fingerprint beside it, as a part of `seed_config`."""
        return self._source.digest()

    def files(self) -> Mapping[str, str]:
        """Those of the source."""
        return self._source.files()

    def check_unchanged(self) -> None:
        """As the source does."""
        self._source.check_unchanged()

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows, from the source."""
        return self._source.read(self._chosen[rows])

    @cached_property
    def _chosen(self) -> Rows:
        total = self._source.num_rows
        mask = self._kept(total)
        if mask is None:
            mask = np.fromiter(self._evaluate(total), dtype=np.bool_, count=total)
            self._source.check_unchanged()
            self._keep(mask)
        chosen = np.flatnonzero(mask).astype(np.int64)
        if not len(chosen):
            raise SeedError(
                f"{_FIELD}: {self._where.strip()} is true for none of the {counted(total, 'seed row')}",
                remedy="relax the condition, or check the source; text never equals a number, so "
                "compare text with text",
            )
        return chosen

    def _evaluate(self, total: int) -> Iterator[bool]:
        names = self._template.names
        for start in range(0, total, BATCH_ROWS):
            stop = min(start + BATCH_ROWS, total)
            frame = self._source.read(np.arange(start, stop, dtype=np.int64))
            for place, row in enumerate(frame[[*names]].iter_rows(named=True)):
                yield self._is_true(row, start + place)

    def _is_true(self, row: Mapping[str, object], number: int) -> bool:
        """Whether a row is chosen. One whose condition cannot be evaluated because a column is null is not."""
        try:
            return is_true(self._template.render(row))
        except RenderError as error:
            if any(value is None for value in row.values()):
                return False
            raise SeedError(
                f"{_FIELD}: seed row {number}: {error.message}",
                remedy="if the value may be missing, use `| default(...)` or test it first: `x is defined and x > 3`",
            ) from error

    @cached_property
    def _place(self) -> str | None:
        """Where the outcome is kept; None where it is not."""
        directory = cache_directory(self._env)
        if directory is None or self._source.num_rows < KEPT_FROM:
            return None
        key = json.dumps(
            [_RULES, self._source.digest(), self._source.num_rows, self._where]
        )
        name = hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
        return str(directory.parent / "where" / name)

    def _kept(self, total: int) -> NDArray[np.bool_] | None:
        """The outcome of an earlier evaluation, if it is kept and whole."""
        with suppress(OSError):
            if self._place is not None:
                bits = np.fromfile(self._place, dtype=np.uint8)
                is_whole = len(bits) == -(-total // 8)
                if is_whole:
                    return np.unpackbits(bits, count=total).astype(np.bool_)
        return None

    def _keep(self, mask: NDArray[np.bool_]) -> None:
        if self._place is None:
            return
        temporary = f"{self._place}.{uuid4().hex[:8]}"
        # where nothing can be kept, it is evaluated again the next time
        with suppress(OSError):
            os.makedirs(os.path.dirname(self._place), exist_ok=True)
            np.packbits(mask).tofile(temporary)
            os.replace(temporary, self._place)
