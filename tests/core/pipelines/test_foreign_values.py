"""What functions, readers and files give that no row, footer or ledger can hold costs its own task, by name, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.errors import SeedError
from tests.support.pipelines import Project, check_accounts

FUNCTIONS = """
from sdg_core.custom import Failed, Filtered

HALF = chr(0xdcff)

class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def wrong(record):
    cyclic = []
    cyclic.append(cyclic)
    match record["content"]:
        case "says": raise ValueError(HALF)
        case "speechless": raise Speechless
        case "fails": return Failed(HALF, retryable=False)
        case "fails with none": return Failed(None)
        case "left out": return Filtered(HALF)
        case "left out with a number": return Filtered(404)
        case "left out at length": return Filtered("x" * 10**6)
        case "number": return {**record, 1: 2}
        case "name": return {**record, HALF: 1}
        case "text": return {**record, "deep": [{"a": HALF}]}
        case "cyclic": return [record, {**record, "deep": cyclic}]
        case _: return record
"""
FAILURES = {
    "says": r"ValueError: \udcff",
    "speechless": "Speechless",
    "fails": r"\udcff",
    "fails with none": "None",
    "number": "the function returned a record that cannot be stored in a row: 1 is not the name of a "
    "column, which is text",
    "name": "the function returned a record that cannot be stored in a row: a key of the record: "
    "character 0 is \\udcff, a lone "
    "surrogate, which is not text",
    "text": "the function returned a record that cannot be stored in a row: the record.deep[0].a: "
    "character 0 is \\udcff, a lone "
    "surrogate, which is not text",
}


@pytest.mark.parametrize("checkpoint", [False, True])
def test_what_a_function_gives_that_nothing_can_hold(
    tmp_path: Path, checkpoint: bool
) -> None:
    (tmp_path / "own.py").write_text(FUNCTIONS, encoding="utf-8")
    stage: dict[str, Any] = {
        "stage": "function",
        "function": "./own.py:wrong",
        "checkpoint": checkpoint,
    }
    project = Project(tmp_path, [stage], more={"run": {"max_failure_rate": 1.0}})
    texts = {text.replace(" ", "_"): text for text in FAILURES}
    project.write(
        **texts,
        cyclic="cyclic",
        good="good",
        a="left out",
        b="left out with a number",
        c="left out at length",
    )
    summary = project.generate()
    found = {
        locator[5:-4].replace("_", " "): failure.message
        for locator, failure in summary.failures
    }
    cyclic = found.pop("cyclic")
    assert cyclic.startswith(
        "the function returned a record that cannot be stored in a row: the record.deep[0][0]"
    )
    assert cyclic.endswith("nested more than 100 levels deep")
    assert found == FAILURES
    cut = f"{'x' * 2000}... (1,000,000 characters)"
    assert summary.filtered == {r"\udcff": 1, "404": 1, cut: 1}
    assert [row["content"] for row in project.rows()] == ["good"]
    check_accounts(project.footers())
    assert (
        pipelines.status(project.open()).to_dict()["failures"]["count"]
        == len(FAILURES) + 1
    )


def test_records_of_a_file_that_no_row_can_hold(tmp_path: Path) -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    lists = '{"a":' + "[" * 900 + "]" * 900 + "}"
    project = Project(tmp_path, [], {"reader": "jsonl", "path": "docs/*.jsonl"})
    project.write(a=f'{{"n": 1}}\n{deep}\n{lists}\n{{"n": "\\ud800"}}\n{{"n": 2}}\n')
    summary = project.generate()
    assert [row["n"] for row in project.rows()] == [1, 2]
    assert [failure.task for _, failure in summary.failures] == ["1", "2", "3"]
    assert all(
        failure.message.startswith("the record cannot be stored in a row: ")
        for _, failure in summary.failures
    )
    check_accounts(project.footers())


def test_a_long_number_is_not_rounded(tmp_path: Path) -> None:
    project = Project(tmp_path, [], {"reader": "jsonl", "path": "docs/*.jsonl"})
    project.write(a='{"n": 9223372036854775807}\n', b='{"n": 92233720368547758070}\n')
    summary = project.generate()
    assert [row["n"] for row in project.rows()] == [9223372036854775807]
    ((locator, failure),) = summary.failures
    assert locator == "docs/b.jsonl" and "column 'n'" in failure.message


def test_no_two_files_share_a_name(tmp_path: Path) -> None:
    """Names that are not UTF-8 beside names that look as those are written."""
    folder = bytes(tmp_path) + b"/docs/"
    project = Project(tmp_path, []).write()
    names = (
        b"\xff.txt",
        b"\\xff.txt",
        b"\\\\xff.txt",
        b"\\\xff.txt",
        b"\\x41.txt",
        b"a\\b.txt",
        b"\xe9\\xe9.txt",
    )
    for name in names:
        Path((folder + name).decode("utf-8", "surrogateescape")).write_bytes(
            repr(name).encode()
        )
    assert project.generate().made == len(names)
    assert {row["content"] for row in project.rows()} == {repr(name) for name in names}
    locators = {row["source"] for row in project.rows()}
    assert {
        r"docs/\xff.txt",
        r"docs/\\xff.txt",
        r"docs/\x41.txt",
        r"docs/a\b.txt",
    } < locators


READER = """
from sdg_core.custom import SourceReader

class Own(SourceReader):
    def __init__(self, names):
        self.names = names
    def items(self):
        return self.names
    def expand(self, item):
        if item == "broken":
            raise ValueError(chr(0xd800))
        yield {"text": item, 3: 4} if item == "number" else {"text": item}
    def locator(self, item):
        return chr(0xd800) if item == "nameless" else item
    def version(self, item):
        return chr(0xd800)
"""


def test_what_a_reader_gives_that_nothing_can_hold(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(READER, encoding="utf-8")
    names = ["broken", "number", "good"]
    sources = {
        "reader": "custom",
        "reader_class": "./own.py:Own",
        "params": {"names": names},
    }
    project = Project(tmp_path, [], sources).write()
    summary = project.generate()
    assert [row["text"] for row in project.rows()] == ["good"]
    assert {locator: failure.message for locator, failure in summary.failures} == {
        "broken": r"broken cannot be read: ValueError: \ud800",
        "number": "the record cannot be stored in a row: 3 is not the name of a column, which is text",
    }
    assert pipelines.generate(project.open()).adopted == 2
    names.append("nameless")
    with pytest.raises(
        SeedError, match=r"has an item called '\\ud800'.*\n.*define locator"
    ):
        project.write().open()
