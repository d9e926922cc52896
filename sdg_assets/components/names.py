"""Which file of a project has a name first: two files with one name would be two assets with one key, and no code location."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import dagster as dg
import yaml

from sdg_assets.assets.catalog import prefix_of
from sdg_core import api
from sdg_core.errors import PlanError

DEFS = "defs.yaml"
KINDS = ("sdg_assets.Dataset", "sdg_assets.SourcePipeline")
Key = tuple[str, ...]


@dataclass(frozen=True)
class _Component:
    """A component of ours in a defs.yaml, as far as it can be read: where it stands, its file, what its keys begin with."""

    folder: Path
    file: Path
    prefix: Key


@dataclass(frozen=True)
class _Names:
    """Which component has each name, and what the others are shown as; no two are shown as the same. roots: their own ones."""

    first: dict[Key, _Component]
    stand_ins: dict[_Component, str]
    roots: dict[_Component, str | None]


_LATEST: list[tuple[dg.ComponentTree, _Names]] = []
"""The tree of components that was loaded last, and its names: looked up once for all components."""


def name_taken(
    context: dg.ComponentLoadContext, file: Path, *, prefix: Key
) -> PlanError | None:
    """What is wrong if another component of the project, one that comes before, describes something of the same name."""
    name = api.projects.name_in(file)
    if name is None or not _is_in_project(context):
        return None
    mine = _component(context, file, prefix=prefix)
    names = _names(context)
    first = names.first.get((*prefix, name), mine)
    if first == mine:
        return _data_taken(names, mine, name)
    if first.file == file:
        return PlanError(
            f"{file} is already a component in {first.folder}: the assets would have the same keys",
            remedy="remove one of the two defs.yaml, or give one its own key_prefix",
        )
    return PlanError(
        f"{file} is named {name!r}, and so is {first.file}: their assets would have the same keys",
        remedy="give one of them another name, or its own key_prefix and root",
    )


def _data_taken(names: _Names, mine: _Component, name: str) -> PlanError | None:
    """What is wrong if another file that comes before has this name under another prefix, and the same place for its data."""
    if mine not in names.roots:
        return None
    root = names.roots[mine]
    together = (
        found for found in _namesakes(names, name) if names.roots[found] == root
    )
    first = next(together, mine)
    if first.file == mine.file:
        return None
    return PlanError(
        f"{mine.file} is named {name!r}, and so is {first.file}: under one root, each would treat the other's data as its own",
        remedy="give one of them another name, or its own root",
    )


def is_second(context: dg.ComponentLoadContext, file: Path, *, prefix: Key) -> bool:
    """Whether a component that comes before describes something of the same name under another key prefix."""
    if not _is_in_project(context):
        return False
    mine = _component(context, file, prefix=prefix)
    namesakes = _namesakes(_names(context), api.projects.name_in(file))
    return next(namesakes, mine) != mine


def _namesakes(names: _Names, name: str | None) -> Iterator[_Component]:
    """The components of a name, whatever their prefix, in order."""
    return (component for key, component in names.first.items() if key[-1] == name)


def shown_as(context: dg.ComponentLoadContext, file: Path, *, prefix: Key) -> str:
    """The name of the asset that stands for a file which cannot be used; no other component's."""
    if _is_in_project(context):
        mine = _component(context, file, prefix=prefix)
        stand_in = _names(context).stand_ins.get(mine)
        if stand_in:
            return stand_in
    return api.projects.name_in(file) or _name_of(context.path)


def _is_in_project(context: dg.ComponentLoadContext) -> bool:
    """Whether it is not built from Python."""
    return (context.path / DEFS).is_file() and context.path.is_relative_to(
        context.defs_module_path
    )


def _component(
    context: dg.ComponentLoadContext, file: Path, *, prefix: Key
) -> _Component:
    return _Component(Path(os.path.realpath(context.path)), file, tuple(prefix))


def _names(context: dg.ComponentLoadContext) -> _Names:
    tree = context.component_tree
    if not _LATEST or _LATEST[0][0] is not tree:
        components = dict(_components(context.defs_module_path))
        _LATEST[:] = [(tree, _find_names(components))]
    return _LATEST[0][1]


def _find_names(components: dict[_Component, str | None]) -> _Names:
    """components: each with a root of its own, if it has one."""
    named = [
        (component, api.projects.name_in(component.file)) for component in components
    ]
    first: dict[Key, _Component] = {}
    for component, name in named:
        if name is not None:
            first.setdefault((*component.prefix, name), component)
    taken = set(first)
    stand_ins: dict[_Component, str] = {}
    for component, name in named:
        if name is not None and first[*component.prefix, name] == component:
            continue
        folder = _name_of(component.folder)
        wanted = folder if name is None else f"{name}_of_{folder}"
        chosen = wanted
        numbers = count(2)
        while (*component.prefix, chosen) in taken:
            chosen = f"{wanted}_{next(numbers)}"
        taken.add((*component.prefix, chosen))
        stand_ins[component] = chosen
    return _Names(first, stand_ins, roots=components)


def _name_of(folder: Path) -> str:
    return api.projects.name_of_folder(folder.name, otherwise="dataset")


def _components(folder: Path) -> Iterator[tuple[_Component, str | None]]:
    for file in sorted(folder.rglob(DEFS)):
        try:
            text = file.read_text(encoding="utf-8")
            documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # Dagster says what is wrong with it
        for document in documents:
            if not isinstance(document, dict) or document.get("type") not in KINDS:
                continue
            attributes = document.get("attributes") or {}
            config = attributes.get("config")
            if isinstance(config, str) and "{{" not in config:
                path = Path(os.path.realpath(file.parent / config))
                place = Path(os.path.realpath(file.parent))
                yield (
                    _Component(place, path, prefix_of(attributes.get("key_prefix"))),
                    attributes.get("root"),
                )
