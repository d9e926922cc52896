"""What a module of the product takes from its process when it is imported: nothing, but for those of which the tests know.

Tests fork processes from one that has imported the product (`tests.support.warm_spawn`). What an import took from that process
(its environment, its id, its streams, a random number) all of them would share.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.support.sdg import PROJECT
from tests.support.warm_spawn import OF_EACH_PROCESS

OF_A_PROCESS = (
    "os",
    "platform",
    "random",
    "resource",
    "secrets",
    "socket",
    "sys",
    "tempfile",
    "time",
    "uuid",
)
STATE = (
    "os.environ",
    "sys.argv",
    "sys.executable",
    "sys.flags",
    "sys.path",
    "sys.stderr",
    "sys.stdin",
    "sys.stdout",
)
CALLS_OF_A_PROCESS = ("Console", "Path.cwd", "Path.home", "datetime.now")
NEVER_FORKED = ("sdg_assets.celery_worker",)
SOURCES = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts): path
    for path in PROJECT.glob("sdg_*/**/*.py")
}


def evaluated_by_import(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those in the bodies of functions, in annotations, and in what runs as a command only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "__name__" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            decorators = [] if isinstance(child, ast.Lambda) else child.decorator_list
            for part in (
                *decorators,
                *child.args.defaults,
                *filter(None, child.args.kw_defaults),
            ):
                yield part
                yield from evaluated_by_import(part)
            continue
        if not isinstance(child, ast.arg):
            yield child
            yield from evaluated_by_import(child)


def taken(source: str) -> list[str]:
    """What the import of a module with this source takes from its process."""
    found = []
    for node in evaluated_by_import(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in STATE:
            found.append(ast.unparse(node))
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.split(".")[0] in OF_A_PROCESS or called.endswith(
                CALLS_OF_A_PROCESS
            ):
                found.append(ast.unparse(node))
    return found


def test_only_the_modules_that_each_process_executes_take_something_from_it() -> None:
    takes = {
        name: taken(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()
    }
    known = (*OF_EACH_PROCESS, *NEVER_FORKED)
    assert {
        name: texts for name, texts in takes.items() if texts and name not in known
    } == {}
    assert [name for name in known if not takes[name]] == [], (
        "no longer needed in the list"
    )


@pytest.mark.parametrize(
    "source",
    [
        "import os\nHOME = os.environ['HOME']",
        "import uuid\ndef name(life=uuid.uuid4()):\n    return life",
        "import sys\nclass Output:\n    stream = sys.stderr",
        "from rich.console import Console\nSHOWN = Console()",
        "import time\nSTARTED = {'at': [time.time()]}",
    ],
)
def test_it_is_found(source: str) -> None:
    assert taken(source)


def test_what_a_function_takes_when_it_is_called_is_not_meant() -> None:
    assert (
        taken(
            "import os\ndef home(name: str = 'HOME') -> str:\n    return os.environ[name]"
        )
        == []
    )
