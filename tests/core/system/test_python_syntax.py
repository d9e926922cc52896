"""Sources are parsed in many threads at once."""

import ast
import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sdg_core.system.python_syntax import parse_python

SOURCE = "".join(
    f"def f{i}(a):\n    return [{{(a + {i}) * 2: [a.b[c](d) for c in a if c]}}]\n"
    for i in range(60)
)


def _let_others_run(phase: str, _: dict[str, int]) -> None:
    if phase == "start":
        time.sleep(0)


@pytest.fixture
def collections_switch_threads() -> Iterator[None]:
    """Frequent collections, at each of which another thread goes on: where parsers of several threads meet."""
    before = gc.get_threshold()
    gc.callbacks.append(_let_others_run)
    gc.set_threshold(20)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(_let_others_run)


@pytest.mark.usefixtures("collections_switch_threads")
def test_threads_that_parse_at_once_all_get_the_tree() -> None:
    with ThreadPoolExecutor(4) as threads:
        trees = [
            *threads.map(
                lambda name: parse_python(SOURCE, name), [f"f{i}" for i in range(24)]
            )
        ]
    assert {ast.dump(tree) for tree in trees} == {ast.dump(ast.parse(SOURCE))}


def test_what_is_no_python_is_a_syntax_error_with_its_file() -> None:
    with pytest.raises(SyntaxError) as caught:
        parse_python("def f(:", "mine.py")
    assert caught.value.filename == "mine.py"
