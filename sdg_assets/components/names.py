"""Which file of a project has a name first: two files with one name would be two assets with one key, and no code location."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import yaml

from sdg_assets.assets.catalog import prefix_of
from sdg_core.api import projects
from sdg_core.errors import PlanError

DEFS = "defs.yaml"
KINDS = ("sdg_assets.Dataset", "sdg_assets.SourcePipeline")
Key = tuple[str, ...]
_LATEST: "list[tuple[dg.ComponentTree, dict[Key, Path]]]" = []
"""The tree of components that was loaded last, and the file that has each name in it: looked up once for all components."""


@dataclass(frozen=True)
class _Document:
    """A component of ours in a defs.yaml, as far as it can be read."""

    folder: Path
    config: str
    prefix: Key


def name_taken(context: dg.ComponentLoadContext, file: Path, *, prefix: Key) -> PlanError | None:
    """What is wrong if another file of the project, one that comes before, describes something of the same name."""
    if not (context.path / DEFS).is_file() or not context.path.is_relative_to(context.defs_module_path):
        return None  # built from Python
    name = projects.name_in(file)
    first = _owners(context).get((*prefix, name), file) if name is not None else file
    if first == file:
        return None
    return PlanError(
        f"{file} is named {name!r}, and so is {first}: their assets would have the same keys",
        remedy="give one of them another name, or a key_prefix of its own",
    )


def _owners(context: dg.ComponentLoadContext) -> dict[Key, Path]:
    tree = context.component_tree
    if not _LATEST or _LATEST[0][0] is not tree:
        found: dict[Key, Path] = {}
        for document in _documents(context.defs_module_path):
            path = Path(os.path.realpath(document.folder / document.config))
            name = projects.name_in(path)
            if name is not None:
                found.setdefault((*document.prefix, name), path)
        _LATEST[:] = [(tree, found)]
    return _LATEST[0][1]


def _documents(folder: Path) -> Iterator[_Document]:
    for file in sorted(folder.rglob(DEFS)):
        try:
            documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # Dagster says what is wrong with it
        for document in documents:
            if not isinstance(document, dict) or document.get("type") not in KINDS:
                continue
            attributes = document.get("attributes") or {}
            config = attributes.get("config")
            if isinstance(config, str) and "{{" not in config:
                yield _Document(file.parent, config, prefix_of(attributes.get("key_prefix")))
