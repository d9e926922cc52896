"""House rules that no linter checks: sizes, names, empty packages, the error tree as drawn, nothing of one machine."""

import ast
import fnmatch
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sdg_core import errors

ROOT = Path(__file__).parents[2]
CODE = sorted(
    path
    for package in ("sdg_core", "sdg_assets")
    for path in (ROOT / package).rglob("*.py")
)
FACADES = {
    ROOT / "sdg_core" / "__init__.py",
    ROOT / "sdg_core" / "api" / "__init__.py",
    ROOT / "sdg_assets" / "__init__.py",
    ROOT / "sdg_core" / "testing" / "__init__.py",
}
MAX_LINES = 450
MAX_FUNCTION_LINES = 80
FORBIDDEN_WORDS = {"utils", "util", "helpers", "helper", "manager", "facade"}
FORBIDDEN_TEXTS = {
    "a path of one machine": re.compile(
        r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt/pypi[\w-]*)(?:/|\b)"
    ),
    "the host of a package registry": re.compile(
        r"(?:--(?:extra-)?index-url|find-links|\bpypi\.\w+\.|file:///)"
    ),
}
IGNORED = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
ALLOWED_TEXTS = {Path("tests/architecture/test_architecture.py")}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project_files(folder: Path = ROOT) -> Iterator[Path]:
    """Files of the project: all but what .gitignore (names and `*` globs of ours) leaves out."""
    for path in sorted(folder.iterdir()):
        name = f"{path.name}/" if path.is_dir() else path.name
        if path.name == ".git" or any(
            fnmatch.fnmatchcase(name, pattern) for pattern in IGNORED
        ):
            continue
        if path.is_dir():
            yield from project_files(path)
        elif path.is_file():
            yield path


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def words(name: str) -> set[str]:
    """`RunManager` and `run_manager` as `{run, manager}`; an IO manager is a term of Dagster's."""
    own = re.sub(r"io_?manager", "", name, flags=re.IGNORECASE)
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", own)}


def defined_names(path: Path) -> Iterator[str]:
    yield from path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def test_a_module_is_short_and_says_why_it_exists() -> None:
    faults = []
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > MAX_LINES and path.name != "__init__.py":  # that is a list of names
            faults.append(f"{relative(path)} has {lines} lines")
        if text.strip() and not ast.get_docstring(parsed(path)):
            faults.append(f"{relative(path)} does not begin with a docstring")
    assert faults == []


def test_functions_are_short() -> None:
    faults = []
    for path in CODE:
        for node in functions(parsed(path)):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines >= MAX_FUNCTION_LINES:
                faults.append(f"{relative(path)}: {node.name} has {lines} lines")
    assert faults == []


def test_annotations_stay_what_they_are_and_imports_are_absolute() -> None:
    faults = []
    for path in CODE:
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.ImportFrom):
                continue
            if node.module == "__future__" or node.level:
                faults.append(f"{relative(path)}:{node.lineno}")
    assert faults == []


def test_nothing_is_named_after_a_pattern() -> None:
    faults = []
    for path in CODE:
        for name in defined_names(path):
            if words(name) & FORBIDDEN_WORDS:
                faults.append(f"{relative(path)}: {name}")
    assert faults == []


def test_packages_are_empty_except_the_facades() -> None:
    assert [
        relative(p)
        for p in CODE
        if p.name == "__init__.py"
        and p not in FACADES
        and p.read_text(encoding="utf-8").strip()
    ] == []


def test_every_folder_of_code_is_a_package() -> None:
    assert [relative(p) for p in CODE if not (p.parent / "__init__.py").exists()] == []


def test_the_error_tree_is_drawn_as_it_is() -> None:
    """Each line of the drawing holds a class; how far it is indented tells its parent."""
    drawn: dict[str, str | None] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│├└─ ]*)(\w+Error)\b", line)
        if match:
            depth = len(match[1]) // 4
            above[depth] = match[2]
            drawn[match[2]] = above.get(depth - 1)
    classes = [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, Exception)
    ]
    assert drawn == {
        c.__name__: c.__base__.__name__
        if c is not errors.SdgError and c.__base__
        else None
        for c in classes
    }


def test_errors_defined_elsewhere_stay_in_the_tree_or_inside_a_package() -> None:
    """An error class outside errors.py either extends the tree or is a private matter between two modules (an OSError, ...)."""
    strays = []
    for path in CODE:
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, ast.ClassDef)
                and node.name.endswith("Error")
                and path.name != "errors.py"
            ):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                if not any(
                    hasattr(errors, base)
                    or base in ("Exception", "OSError", "ValueError")
                    for base in bases
                ):
                    strays.append(f"{relative(path)}: {node.name}")
    assert strays == []


def test_no_file_holds_anything_of_one_machine() -> None:
    found = []
    for path in project_files():
        if path.relative_to(ROOT) in ALLOWED_TEXTS:
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # images
        for number, line in enumerate(lines, start=1):
            found += [
                f"{relative(path)}:{number}: {what}"
                for what, text in FORBIDDEN_TEXTS.items()
                if text.search(line)
            ]
    assert found == []


def test_constraints_are_plain_pins() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [
        line
        for line in lines
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)
    ] == []
    names = [line.partition("==")[0].lower().replace("_", "-") for line in lines]
    assert names == sorted(set(names))


@pytest.mark.parametrize(
    ("document", "least"),
    [
        ("data-designer-tests.md", 100),
        ("curator-counterparts.md", 60),
        ("hostile-inputs.md", 60),
        ("true-and-kept.md", 90),
        ("processing.md", 20),
        ("pipelines.md", 60),
    ],
)
def test_the_tests_that_a_table_of_counterparts_names_exist(
    document: str, least: int
) -> None:
    table = (ROOT / "docs" / "design" / document).read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)", table)
    assert len(named) >= least
    files = {file: ROOT / file for file, _ in named}
    defined = {
        file: {function.name for function in functions(parsed(path))}
        for file, path in files.items()
        if path.is_file()
    }
    assert (
        sorted(
            {
                f"{file}::{name}"
                for file, name in named
                if name not in defined.get(file, ())
            }
        )
        == []
    )


def test_every_defect_of_curator_has_a_row_with_a_test_of_its_name() -> None:
    table = (ROOT / "docs" / "design" / "curator-counterparts.md").read_text(
        encoding="utf-8"
    )
    rows = re.findall(
        r"^\| (D\d+b?) \| [^|]+ \| `tests/[\w/]+\.py::test_(d\d+b?)_\w+` \|$",
        table,
        re.MULTILINE,
    )
    assert [defect for defect, _ in rows] == [
        "D1",
        "D2",
        "D3",
        "D3b",
        *(f"D{number}" for number in range(4, 23)),
    ]
    assert all(defect.lower() == name for defect, name in rows)


COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@pytest.mark.parametrize(
    ("what", "kinds"),
    [("conditional expression", (ast.IfExp,)), ("comprehension", COMPREHENSIONS)],
)
def test_one_thought_a_line(what: str, kinds: tuple[type[ast.AST], ...]) -> None:
    """No expression of a kind contains another of that kind: the inner one gets a name, a loop or a function."""
    found = []
    for path in (
        *CODE,
        *(ROOT / "benchmarks").rglob("*.py"),
        *(ROOT / "examples").rglob("*.py"),
    ):
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, kinds)
                and sum(isinstance(inner, kinds) for inner in ast.walk(node)) > 1
            ):
                found.append(f"{relative(path)}:{node.lineno}")
    assert found == [], f"a {what} contains another"


def contract(words: str) -> dict[str, Any]:
    """The import linter's contract whose name has these words."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [found] = [
        each
        for each in settings["tool"]["importlinter"]["contracts"]
        if words in each["name"]
    ]
    return found


def modules_in(package: str) -> set[str]:
    """The modules and packages right below a package."""
    folder = ROOT.joinpath(*package.split("."))
    names = {
        path.stem
        for path in folder.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    return {f"{package}.{name}" for name in names - {"__init__"}}


def test_the_only_door_is_closed_to_every_package() -> None:
    open_to_all = {
        f"sdg_core.{name}"
        for name in ("api", "cli", "counts", "errors", "custom", "testing")
    }
    assert (
        set(contract("only door")["forbidden_modules"])
        == modules_in("sdg_core") - open_to_all
    )


def test_what_of_plan_is_not_pure_is_named() -> None:
    """A new module of `plan` is pure, or it gets a reason not to be."""
    impure = {
        "effects": "reads code that is only to be looked at",
        "extras": "asks which libraries are installed",
        "file_patterns": "looks into directories",
        "import_builder_config": "writes what it makes of a Data Designer config",
        "in_memory": "inspects objects given in Python",
        "load": "reads the file",
        "models": "carries the directory that paths of tools start from",
        "outside": "says what a file names outside its project",
        "project": "looks for the project's folder",
        "usercode": "loads user code",
        "variables": "reads the environment",
    }
    pure = set(contract("loads no user code")["source_modules"])
    assert pure == modules_in("sdg_core.plan") - {
        f"sdg_core.plan.{name}" for name in impure
    }


def test_the_layers_are_drawn_as_they_are() -> None:
    """The layers of the import linter, and the line of arrows in the design notes."""
    layers = contract("is layered")["layers"]
    text = (ROOT / "docs" / "design" / "README.md").read_text(encoding="utf-8")
    drawn = text.partition("## Layers")[2].split("```")[1]
    rows = [
        {name.strip() for name in row.split("|")} - {"sdg_assets"}
        for row in drawn.split("→")
    ]
    assert rows == [{name.strip() for name in layer.split("|")} for layer in layers]


def test_nothing_is_defined_that_nobody_uses() -> None:
    """Each function and class is named once more in the code, in a template or in the guide.

    Not looked at: what is decorated or overrides something, which libraries find.
    """
    places = [
        *CODE,
        *ROOT.glob("sdg_*/**/*.j2"),
        *ROOT.glob("docs/guide/**/*.md"),
        *ROOT.glob("examples/**/*.yaml"),
        ROOT / "dagster.yaml",
    ]
    named = Counter(
        word
        for path in places
        for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))
    )
    unused = []
    for path in CODE:
        tree = parsed(path)
        overrides = {
            child
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and node.bases
            for child in node.body
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and node not in overrides
            ):
                if (
                    named[node.name] == 1
                    and not node.decorator_list
                    and not node.name.startswith(("__", "_repr_"))
                ):
                    unused.append(f"{relative(path)}: {node.name}")
    assert unused == []
