"""The public door: what it exports, in which order, and that what type checkers see is what Python gives."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sdg_core import api, errors, testing
from sdg_core.api import pipelines
from sdg_core.models import types

FACADE = Path(api.__file__)


def declared() -> Iterator[tuple[str, str]]:
    """Name and module of what the facade imports for type checkers."""
    for node in ast.walk(ast.parse(FACADE.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module is not None
            and node.module.startswith("sdg_core")
        ):
            yield from ((alias.name, node.module) for alias in node.names)


@pytest.mark.parametrize(
    "door", [api, pipelines, testing], ids=lambda door: str(door.__name__)
)
def test_public_names_are_sorted_and_unique(door: ModuleType) -> None:
    assert door.__all__ == sorted(set(door.__all__))
    assert all(hasattr(door, name) for name in door.__all__)


def test_type_checkers_see_what_python_gives() -> None:
    seen = dict(declared())
    assert sorted(seen) == api.__all__
    for name, module in seen.items():
        assert _unwrapped(getattr(api, name)) is _unwrapped(
            getattr(importlib.import_module(module), name)
        )


def _unwrapped(value: object) -> object:
    return inspect.unwrap(value) if inspect.isfunction(value) else value


def test_every_error_class_is_public() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__name__ == name
    }
    classes = {
        name for name in tree if getattr(errors, name).__module__ == errors.__name__
    }
    assert classes <= set(api.__all__)


def test_former_names_are_the_same_classes() -> None:
    assert errors.ForeignFileError is errors.UnrecognizedFileError
    assert errors.RunStoppedError is errors.RunAbortedError
    assert types.ChatReply is types.ChatResponse
    assert types.EmbeddingReply is types.EmbeddingResponse
    assert types.ImageReply is types.ImageResponse
    assert api.config_part is api.config_fingerprint


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no_such_verb"):
        getattr(api, "no_such_verb")  # noqa: B009 - the name is unknown on purpose
    assert set(api.__all__) <= set(dir(api))


def test_importing_the_door_loads_nothing_behind_it() -> None:
    code = "import sys; from sdg_core import api; print(*(m for m in sys.modules if m.startswith('sdg_core')))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["sdg_core", "sdg_core.api"]
