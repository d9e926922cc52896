"""What is known of the columns of tasks before there is any task: their names, and the types of those that no later stage can
have put other values into. It lets a file be refused for what would fail all of its tasks, after they were paid for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from sdg_core.plan.names import did_you_mean


@dataclass(frozen=True)
class KnownColumns:
    """The columns between two stages. names: None where they cannot be known. types: of the columns whose type is."""

    names: frozenset[str] | None
    types: Mapping[str, pa.DataType] = field(default_factory=dict)

    def adding(
        self, names: frozenset[str], types: Mapping[str, pa.DataType]
    ) -> "KnownColumns":
        """With columns that a stage makes, whatever they were before."""
        all_names = None
        if self.names is not None:
            all_names = self.names | names
        kept = {name: kind for name, kind in self.types.items() if name not in names}
        return KnownColumns(all_names, {**kept, **types})

    def only(self, names: frozenset[str]) -> "KnownColumns":
        """Without the others."""
        types = {name: kind for name, kind in self.types.items() if name in names}
        return KnownColumns(names, types)

    def renamed(self, new: Mapping[str, str]) -> "KnownColumns":
        """Under new names, by the old."""
        names = None
        if self.names is not None:
            names = frozenset(new.get(name, name) for name in self.names)
        types = {new.get(name, name): kind for name, kind in self.types.items()}
        return KnownColumns(names, types)

    def why_missing(self, name: str) -> str | None:
        """The message for a column that no stage makes; None for one that may be there."""
        if self.names is None or name in self.names:
            return None
        return f"no earlier stage creates a column {name!r}{did_you_mean(name, self.names)}"

    def is_text(self, column: str) -> bool:
        """Whether it may hold text, as far as that is known."""
        kind = self.types.get(column)
        return kind is None or pa.types.is_string(kind)

    def exploded(self, column: str) -> "KnownColumns":
        """What `explode` makes of them. Raises ValueError where it could only fail every task, or find nothing in it."""
        root, *fields = column.split(".")
        rest = frozenset(self.types) if fields else frozenset(self.types) - {root}
        types = {name: self.types[name] for name in rest}
        item = self._item_type(column)
        if item is None:
            return KnownColumns(None, types)
        if pa.types.is_struct(item):
            made = {part.name: part.type for part in item}
        else:
            made = {column.rpartition(".")[2]: item}
        if self.names is None:
            return KnownColumns(None, {**types, **made})
        names = self.names if fields else self.names - {root}
        if clash := sorted(made.keys() & names):
            raise ValueError(
                f"items of {column} have {', '.join(map(repr, clash))}, which are already columns; "
                f"rename those in an earlier stage"
            )
        return KnownColumns(names | made.keys(), {**types, **made})

    def _item_type(self, column: str) -> pa.DataType | None:
        """The type of the items of a list; None where only the tasks can tell."""
        place, *fields = column.split(".")
        kind = self.types.get(place)
        for name in fields:
            if kind is None:
                return None
            if not pa.types.is_struct(kind):
                raise ValueError(
                    f"{place} is {kind}, not a mapping, so there is no {column}"
                )
            parts = {part.name: part.type for part in kind}
            if name not in parts:
                raise ValueError(f"{place} has no {name!r}{did_you_mean(name, parts)}")
            place = f"{place}.{name}"
            kind = parts[name]
        if kind is None:
            return None
        if not pa.types.is_list(kind):
            raise ValueError(f"{column} is {kind}, not a list")
        return kind.value_type
