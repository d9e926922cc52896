"""A function that is read from its source means what it means once it is loaded: commands that look agree with those that run."""

import itertools
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sdg_core.config.dataset import DatasetConfig
from sdg_core.plan.usercode.functions import resolve_functions
from tests.support.sdg import dataset_config, uuid

NUMBERS = itertools.count()
IMPORTS = [
    ("from sdg_core.custom import custom_column_generator", "custom_column_generator"),
    ("from sdg_core.custom import custom_column_generator as made", "made"),
    ("import sdg_core.custom", "sdg_core.custom.custom_column_generator"),
    ("import sdg_core.custom as c", "c.custom_column_generator"),
    ("from sdg_core import custom", "custom.custom_column_generator"),
]
ARGUMENTS = [
    "",
    "required_columns=['plan']",
    "version='2'",
    "version=3",
    "side_effect_columns=('more',), required_columns=[]",
]
ANNOTATIONS = [
    "",
    " -> str",
    " -> int",
    " -> float",
    " -> bool",
    " -> list[str]",
    " -> dict",
    " -> None",
    " -> 'str'",
    " -> unknown",
]
PARAMETERS = [
    "row",
    "row: dict",
    "row: dict[str, object]",
    "row, /",
    "row: 'dict'",
    "row: Missing",
    "row=None",
]
BODIES = [
    'return row["plan"]',
    '"""A docstring."""\n    return 1',
    "# a comment\n    return (\n        1,\n        2,\n    )",
    "def inner(x):\n        return x\n\n    return inner(row)",
    "text = '''\nnot indented\n'''\n    return text",
    "return 'é\\n'  # ünïcode",
    "return 1;  ",
]
BETWEEN = ["", "\n", "# a comment of nobody\n", "X = 1\n\n\n", "if True:\n    Y = 2\n"]


@st.composite
def files(draw: st.DrawFn) -> str:
    statement, name = draw(st.sampled_from(IMPORTS))
    decorator = draw(
        st.sampled_from(
            ["", f"@{name}\n", *(f"@{name}({given})\n" for given in ARGUMENTS)]
        )
    )
    many = draw(st.booleans())
    decorator = (
        decorator.replace("(", "(\n    ").replace(", ", ",\n    ")
        if many and "(" in decorator
        else decorator
    )
    parts = [
        draw(
            st.sampled_from(
                [
                    "",
                    "import os\n",
                    '"""A module."""\n',
                    "from typing import Any as Missing\n",
                ]
            )
        ),
        f"{statement}\n",
        draw(st.sampled_from(BETWEEN)),
        decorator,
        draw(st.sampled_from(["def", "async def"])),
        f" make({draw(st.sampled_from(PARAMETERS))}){draw(st.sampled_from(ANNOTATIONS))}:\n    {draw(st.sampled_from(BODIES))}",
        draw(
            st.sampled_from(
                [
                    "",
                    "\n",
                    "\n\n\nZ = 3\n",
                    "\n\n\ndef other():\n    pass\n",
                    "\n# the end",
                ]
            )
        ),
    ]
    return draw(st.sampled_from(["", "\ufeff"])) + "".join(parts).replace(
        "\n", draw(st.sampled_from(["\n", "\r\n"]))
    )


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(files())
@example("def make(row) -> str:\n\treturn 'a'\n")
@example("def make(row): return 'a'")
@example("def make(row): return 'a'; \nmake.x = 1\n")
@example("def make(row): return 1\n\n\ndef make(row) -> str: return 'second'\n")
@example(
    "if True:\n    def make(row) -> int: return 1\nelse:\n    def make(row) -> str: return 2\n"
)
@example(
    "try:\n    import nothing_at_all\nexcept ImportError:\n    def make(row) -> int:\n        return 1\n"
)
@example("def other(row) -> int:\n    return 1\nmake = other\n")
@example("class make:\n    def __new__(cls, row) -> int:\n        return 1\n")
@example("str = int\ndef make(row) -> str:\n    return 1\n")
@example("from os import path as str\ndef make(row) -> str:\n    return 1\n")
@example("make = lambda row: 1\n")
@example("def make(*rows): return 1\n")
@example("def make(row, params, models, more): return 1\n")
@example("def make(row, *, params=None): return 1\n")
@example(
    "def custom_column_generator(**k): return lambda f: f\n@custom_column_generator(version=7)\ndef make(row): return 1"
)
def test_reading_and_loading_agree(tmp_path: Path, text: str) -> None:
    name = f"functions_{next(NUMBERS)}.py"
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    raw = dataset_config(
        uuid(),
        {
            "column_type": "custom",
            "name": "made",
            "generator_function": f"./{name}:make",
            "required_columns": None,
        },
    )
    config = DatasetConfig.model_validate(raw)
    read, loaded = (
        resolve_functions(config, base=tmp_path, given={}, offline=offline)
        for offline in (True, False)
    )
    assert [str(problem) for problem in read.problems] == [
        str(problem) for problem in loaded.problems
    ]
    assert read.config == loaded.config
    for column, function in read.functions.items():
        other = loaded.functions[column]
        assert (function.is_async, function.arguments) == (
            other.is_async,
            other.arguments,
        )
