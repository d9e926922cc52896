"""Which sources a partition holds, and what becomes of a source that is written to while it is read."""

from pathlib import Path

import pytest

from sdg_core.pipelines.readers.base import UnreadSource
from sdg_core.pipelines.store import assigned
from tests.support.pipelines import Project, check_accounts

APPENDS = """
from pathlib import Path

SOURCE = Path(__file__).parent / "docs" / "a.jsonl"

def append_once(record):
    if record["n"] == 0 and "late" not in SOURCE.read_text():
        with SOURCE.open("a") as file:
            file.write('{"n": "late"}\\n')
    return {**record, "n": str(record["n"])}
"""


def sources(count: int) -> list[UnreadSource]:
    return [
        UnreadSource(f"files:{number:06}", f"{number:06}") for number in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "size"), [(9_999, 1), (10_000, 1), (10_001, 2), (25_000, 3)]
)
def test_more_than_ten_thousand_sources_share_partitions_that_stay(
    count: int, size: int
) -> None:
    found = assigned([], sources(count), per_partition=None)
    assert {len(partition.sources) for partition in found[:-1]} == {size}
    assert [key for partition in found for key, _ in partition.sources] == [
        source.key for source in sources(count)
    ]
    later = assigned(found, sources(count + 1)[1:], per_partition=None)
    assert later[:-1] == found and len(later[-1].sources) == 1


def test_a_source_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(APPENDS, encoding="utf-8")
    stage = {"stage": "function", "function": "./own.py:append_once"}
    project = Project(tmp_path, [stage], {"reader": "jsonl", "path": "docs/*.jsonl"})
    project.write(a="".join(f'{{"n": {number}}}\n' for number in range(20_000)))
    first = project.generate()
    assert first.states == {"partial": 1}
    assert [failure.message for _, failure in first.failures] == [
        "docs/a.jsonl changed while it was being read; run again to read the new content"
    ]
    again = project.generate()
    assert (again.states, again.rows) == ({"complete": 1}, 20_001)
    check_accounts(project.footers())
