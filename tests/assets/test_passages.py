"""The upstream asset: what it collects, and that every process collects the same."""

import functools
import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import ModuleType

import dagster as dg
import pyarrow.parquet as pq
import pytest

from sdg_assets.defs.python_docs import collect
from sdg_assets.defs.python_docs.collect import (
    MIN_LENGTH,
    SCHEMA,
    Passage,
    collect_passages,
    signature_text,
)
from sdg_assets.defs.python_docs.passages import passages, passages_path, preview
from sdg_assets.resources import StoreResource

DIGEST_SCRIPT = """
import hashlib
from sdg_assets.defs.python_docs.collect import collect_passages, to_table
from sdg_assets.defs.python_docs.passages import parquet_bytes
print(hashlib.sha256(parquet_bytes(to_table(collect_passages()))).hexdigest())
"""


@pytest.fixture(scope="module")
def found() -> list[Passage]:
    return collect_passages()


BUSY = "import logging, dagster, hypothesis, pytest; logging.captureWarnings(True)\n"
"""What a process may have done before: others patch the library, and that must not show."""


def digest_in_new_process(*, hash_seed: str, cwd: Path, before: str = "") -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-W", "ignore", "-c", before + DIGEST_SCRIPT]
    return subprocess.run(
        command, env=env, cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    one = digest_in_new_process(hash_seed="1", cwd=tmp_path)
    assert digest_in_new_process(hash_seed="2", cwd=Path.cwd(), before=BUSY) == one


def test_there_are_thousands_of_every_kind(found: list[Passage]) -> None:
    counts = Counter(passage.kind for passage in found)
    assert counts.keys() == {"topic", "function", "class"}
    assert counts["topic"] > 50 and counts["class"] > 300 and counts["function"] > 2000


def test_passages_are_sorted_unique_and_long_enough(found: list[Passage]) -> None:
    keys = [passage[:3] for passage in found]
    assert keys == sorted(set(keys))
    assert min(len(passage.text) for passage in found) >= MIN_LENGTH


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        ("io", "open", "function"),  # defined in _io
        ("os", "scandir", "function"),  # defined in posix
        ("functools", "partial", "class"),  # defined in functools, re-exported widely
        ("collections", "namedtuple", "function"),
        # defined in _collections_abc
        ("collections.abc", "Generator.throw", "function"),
        ("heapq", "heapreplace", "function"),  # defined in _heapq
        ("pathlib", "Path.rename", "function"),
        ("pydoc_data.topics", "lambda", "topic"),
    ],
)
def test_an_object_belongs_to_its_public_module(
    found: list[Passage], module: str, name: str, kind: str
) -> None:
    simple = name.rpartition(".")[2]
    places = [
        (p.module, p.name, p.kind)
        for p in found
        if p.name.rpartition(".")[2] == simple and p.module == module
    ]
    assert (module, name, kind) in places


def test_no_passage_names_a_private_or_skipped_module(found: list[Passage]) -> None:
    names = {passage.module for passage in found}
    assert not [
        name for name in names if any(part.startswith("_") for part in name.split("."))
    ]
    assert not names & {
        "posix",
        "antigravity",
        "this",
        "turtle",
        "tkinter",
        "idlelib.run",
    }


def test_a_reexported_object_appears_once(found: list[Passage]) -> None:
    texts = Counter(functools.partial.__doc__ == p.text for p in found)
    assert texts[True] <= 1
    assert [p.module for p in found if p.name == "namedtuple"] == ["collections"]


def test_nothing_depends_on_this_machine(found: list[Passage]) -> None:
    for passage in found:
        assert not re.search(r"0x[0-9a-f]{8,}\b", passage.signature), passage[:2]
        assert " at 0x" not in passage.text, passage[:2]
        for place in (sys.prefix, sys.base_prefix, str(Path.home())):
            assert f"{place}/" not in passage.signature, passage[:2]


def test_defaults_without_a_text_of_their_own_are_elided() -> None:
    marker = object()

    def example(
        a: int,
        b=marker,
        c={1, 2},  # noqa: B006
        d="/usr/bin/x",
        *,
        e="/",
        f=(1, "x"),
        g=None,
        h=[],  # noqa: B006
    ) -> None:
        pass

    assert (
        signature_text(example)
        == "(a: int, b=..., c=..., d=..., *, e='/', f=(1, 'x'), g=None, h=[]) -> None"
    )


def test_an_unknown_signature_is_empty() -> None:
    assert signature_text(dict.fromkeys) != signature_text(type)
    assert signature_text(type) == ""


def test_a_module_that_cannot_be_imported_is_logged_and_another_error_is_not_swallowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = collect.importlib.import_module

    def without_json(name: str) -> ModuleType:
        if name == "json":
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(collect.importlib, "import_module", without_json)
    with caplog.at_level("INFO"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert "json" not in collect._public_modules()
    assert "json" in caplog.text

    def broken(name: str) -> ModuleType:
        raise RuntimeError(name)

    monkeypatch.setattr(collect.importlib, "import_module", broken)
    with pytest.raises(RuntimeError):
        collect._public_modules()


def test_importing_the_asset_walks_nothing() -> None:
    script = "import sys, sdg_assets.defs.python_docs.passages\n"
    script += "print('pydoc_data.topics' in sys.modules, 'mailbox' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_the_asset_writes_the_file_and_describes_it(
    found: list[Passage], tmp_path: Path
) -> None:
    result = dg.materialize(
        [passages], resources={"store": StoreResource(root=str(tmp_path))}
    )
    assert result.success
    table = pq.read_table(passages_path(tmp_path))
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == len(found)
    metadata = result.asset_materializations_for_node("python_docs__passages")[
        0
    ].metadata
    assert metadata["dagster/row_count"].value == len(found)
    assert metadata["dagster/uri"].value == passages_path(tmp_path).as_uri()
    assert metadata["passages/topic"].value == sum(
        passage.kind == "topic" for passage in found
    )
    assert "| module | name |" in str(metadata["preview"].value)
    assert list((tmp_path / "python_docs").iterdir()) == [passages_path(tmp_path)]


def test_the_preview_is_a_small_table() -> None:
    text = preview(
        [
            Passage("m", f"n{i}", "function", "(a | b)", "long " * 100)
            for i in range(100)
        ]
    )
    assert len(text.splitlines()) == 7
    assert "a \\| b" in text and max(map(len, text.splitlines())) < 200
