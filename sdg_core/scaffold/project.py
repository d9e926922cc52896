"""A new project: a Dagster code location with one dataset, which runs as it is, from an installed package or a checkout.

Templates are the files below `templates/`, each ending in `.tmpl` so that no tool takes them for code of ours. Names between
double underscores in them are filled in. A folder that holds anything is left alone: nothing is ever overwritten.
"""

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from sdg_core.config.json_schema import json_schema
from sdg_core.errors import RefusedError, StoreError

TEMPLATES = Path(__file__).parent / "templates"
SCHEMA_FILE = "sdg.schema.json"
NEUTRAL = frozenset({".git", ".venv", "venv"})
"""What may be in the folder already: what people need before they can call this."""
DATASETS: Mapping[str, str | None] = {
    "support": "support_tickets",
    "qa": "product_qa",
    "pipeline": "handbook_qa",
    "blank": None,
}
"""The templates, with the name of the dataset or pipeline that each makes; None: that of the project."""
_SUFFIX = ".tmpl"
_IN_DAGSTER = {
    "dataset": """\
Materialize `__DATASET__/row_groups` (one partition per row group), then `__DATASET__/dataset`. The same by command:

```
dagster asset materialize -m __PACKAGE__.definitions --select __DATASET__/row_groups --partition-range 00000...00001
```
""",
    "pipeline": """\
The job `discover_sources` looks for documents; then materialize `__DATASET__/sources`, then `__DATASET__/dataset`. By command:

```
dagster job execute -m __PACKAGE__.definitions -j discover_sources
dagster asset materialize -m __PACKAGE__.definitions --select __DATASET__/sources --partition 00000
```
""",
}


@dataclass(frozen=True)
class Project:
    """A project that was made: its folder, its Python package, and the dataset or pipeline file to start with."""

    folder: Path
    package: str
    file: Path


def make_project(folder: str | Path, *, template: str = "support") -> Project:
    """Create a Dagster project with one dataset in `folder`, which must be new or empty.

    template: support, qa, pipeline or blank. Raises RefusedError, before anything is written, if the folder holds
    files or its name is not a valid package name; StoreError if it cannot be written.
    """
    folder = Path(folder).expanduser().absolute()
    if template not in DATASETS:
        raise RefusedError(
            f"there is no template {template!r}",
            remedy=f"use one of {', '.join(DATASETS)}",
        )
    package = _package(folder)
    _refuse_occupied(folder)
    kind = "pipeline" if template == "pipeline" else "dataset"
    dataset = DATASETS[template] or package
    file = f"{package}/defs/{dataset}/{kind}.yaml"
    names = {
        "IN_DAGSTER": _IN_DAGSTER[kind],  # first, because it holds others
        "DATASET": dataset,
        "PACKAGE": package,
        "DISTRIBUTION": package.replace("_", "-"),
        "PROJECT": folder.name,
        "FILE": file,
    }
    made = {
        **dict(_filled(names, "project", prefix="")),
        **dict(_filled(names, template, prefix=f"{package}/defs/{dataset}/")),
        SCHEMA_FILE: orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode()
        + "\n",
    }
    made[file] = f"# yaml-language-server: $schema=../../../{SCHEMA_FILE}\n{made[file]}"
    try:
        for place, text in made.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"cannot write the project to {folder}: {error.strerror or error}",
            remedy="choose a folder that you may write to",
        ) from error
    return Project(folder, package, folder / file)


def starter_dataset(name: str) -> dict[str, str]:
    """A dataset file that generates as it is: `dataset.yaml` and its text."""
    return _starter("blank", name)


def starter_pipeline(name: str) -> dict[str, str]:
    """A pipeline file that runs as it is, and the documents that it reads: texts by their place in its folder."""
    return _starter("pipeline", name)


def _starter(template: str, name: str) -> dict[str, str]:
    files = dict(_filled({"DATASET": name}, template, prefix=""))
    return {place: text for place, text in files.items() if place != "defs.yaml"}


def name_of_folder(folder: str, *, otherwise: str) -> str:
    """A folder's name in lower case, digits and underscores, beginning with a letter; `otherwise_` goes before a digit."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.lower()).strip("_")
    return name if name[:1].isalpha() else f"{otherwise}_{name}".rstrip("_")


def _package(folder: Path) -> str:
    """The Python package of a project in this folder. Raises RefusedError for a name that Python has a use for."""
    package = name_of_folder(folder.name, otherwise="project")
    taken = (
        keyword.iskeyword(package)
        or package in sys.stdlib_module_names
        or package == "tests"
    )
    if not taken:
        found = importlib.util.find_spec(package)
        taken = found is not None and found.origin is not None
    if taken:
        raise RefusedError(
            f"the project's Python package would be called {package!r}, but Python or an installed package has that name",
            remedy=f"choose another name, such as {package}_data",
        )
    return package


def _refuse_occupied(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RefusedError(f"{folder} is a file", remedy="choose another name")
    if not folder.exists():
        return
    found = sorted({path.name for path in folder.iterdir()} - NEUTRAL)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise RefusedError(
            f"{folder} is not empty: it holds {', '.join(found[:3])}{more}",
            remedy="choose a new name; `dg scaffold defs sdg_assets.Dataset NAME` adds a dataset to a project, and "
            "`dg scaffold defs sdg_assets.SourcePipeline NAME` a pipeline",
        )


def _filled(
    names: Mapping[str, str], template: str, *, prefix: str
) -> Iterator[tuple[str, str]]:
    """Each file of a template: its place in the project and its text."""
    base = TEMPLATES / template
    for path in sorted(base.rglob(f"*{_SUFFIX}")):
        place = path.relative_to(base).as_posix().removesuffix(_SUFFIX)
        place = ".gitignore" if place == "gitignore" else place
        yield (
            _fill(prefix + place, names),
            _fill(path.read_text(encoding="utf-8"), names),
        )


def _fill(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"__{name}__", value)
    return text
