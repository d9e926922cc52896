"""What is understood of a dataset file, and where each part of it stands."""

from dataclasses import dataclass

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.yaml_document import (
    Document,
    Path,
    format_path,
)
from sdg_core.errors import Problem


@dataclass(frozen=True)
class ParsedConfig:
    """The outcome of reading a dataset file.

    config: what could be understood; None when too little could.
    prefix: where the config stands in the file. beside: top-level keys that stand outside it all the same.
    problems: faults of structure; the config may be used only when there are none.
    dropped_columns: names of columns left out of `config` because they are faulty themselves.
    column_places: where each column of `config` stands in the file.
    ignored: keys that matter only to Data Designer and said something there. added: placeholders for what it did not say.
    reinterpreted: a builder config that was read in another way by earlier releases (see `as_before`).
    """

    source: str
    document: Document
    prefix: Path
    beside: frozenset[str]
    config: DatasetConfig | None
    problems: tuple[Problem, ...]
    dropped_columns: frozenset[str] = frozenset()
    column_places: tuple[int, ...] | None = None
    ignored: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    reinterpreted: bool = False

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at `path` of `config`, with its line in the file."""
        if (
            self.column_places is not None
            and len(path) > 1
            and path[0] == "columns"
            and isinstance(path[1], int)
        ):
            path = ("columns", self.column_places[path[1]], *path[2:])
        if not path or path[0] not in self.beside:
            path = (*self.prefix, *path)
        return Problem(format_path(path), message, self.document.line(path))


def language_of(source: str) -> str:
    """What a file is written in, for messages."""
    return "JSON" if source.endswith(".json") else "YAML"
