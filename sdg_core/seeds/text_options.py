"""What a dataset file may say of the text files that its seed data is read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from sdg_core.errors import SeedError
from sdg_core.plan.names import did_you_mean

TypeName = Literal["str", "int", "float", "bool"]
ARROW_TYPES: Mapping[TypeName, pa.DataType] = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True)
class TextOptions:
    """Keys of a seed source; absent ones are guessed where the guess is safe.

    separator: one character. encoding: a text encoding of Python. null_values: texts that stand for null. types: of columns, by
    name.
    """

    separator: str | None = None
    encoding: str | None = None
    null_values: frozenset[str] = frozenset()
    types: Mapping[str, TypeName] = field(default_factory=dict)

    @property
    def stated(self) -> bool:
        """Whether any of them is given."""
        return bool(self.separator or self.encoding or self.null_values or self.types)


def check_names(names: Sequence[str], *, source: str, options: TextOptions) -> None:
    """Raise SeedError if `types` names a column that is not there, or a name is none. names: of the columns, each once."""
    for name in names:
        if "\0" in name:
            raise SeedError(
                f"{source}: the column name {name!r} contains a NUL character",
                remedy="rename it",
            )
    for name in options.types:
        if name not in names:
            raise SeedError(
                f"{source} has no column {name!r}{did_you_mean(name, names)}",
                remedy="correct seed_config.source.types",
            )
