"""A count agrees with its noun and its verb in everything that is shown, and no message counts for itself."""

import ast
import re
from pathlib import Path

import pytest

import sdg_assets
import sdg_core
from sdg_core.counts import all_of, counted, records_text

NOUN = re.compile(
    r" ((more|new|old|seed|row|finished) )*(records|rows|groups|cells|requests|retries|replies|sources|partitions|versions|"
    r"candidates|columns|files|failures|weights|stages|tokens|verdicts|datasets|runs|turns) (?!of \{)"
)
NEVER_ONE = {
    "columns are named",  # two columns of one name, at least
    "row groups of",  # more than the limit
    "records draw from",  # more records than seed rows
    "records failed",  # of a run that stops: more than a few
    "records were rejected",
    "records with attempts",  # of a programming error
    "turns in which",  # what a model is sent, which stays as it is
}


@pytest.mark.parametrize(
    ("count", "noun", "verb", "text"),
    [
        (0, "record", None, "0 records"),
        (1, "row group", None, "1 row group"),
        (1200, "retry", None, "1,200 retries"),
        (2, "reply", "were", "2 replies were"),
        (2, "day", None, "2 days"),
        (2, "match", None, "2 matches"),
        (1, "record", "have", "1 record has"),
        (1, "record", "remain", "1 record remains"),
        (1, "file", "are", "1 file is"),
    ],
)
def test_a_count_agrees_with_its_noun_and_verb(
    count: int, noun: str, verb: str | None, text: str
) -> None:
    assert counted(count, noun, verb) == text


def test_all_of_them_and_the_only_one() -> None:
    assert all_of(3, "row group", "are") == "all 3 row groups are"
    assert all_of(1, "row group", "are") == "the only row group is"


def test_more_rows_than_records_is_never_a_share() -> None:
    assert records_text(0, target=1, resized=False) == "0 of 1 record"
    assert (
        records_text(20, target=1, resized=False)
        == "20 records, more than num_records asks for now (1)"
    )
    assert records_text(7, target=2, resized=True).startswith(
        "7 rows, made from 2 records"
    )


def test_no_message_writes_a_count_before_a_plural_itself() -> None:
    """A neighbour of what is found here would say `1 records`."""
    found = []
    for package in (sdg_core, sdg_assets):
        for file in Path(package.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    found += [f"{file.name}: {text}" for text in _self_counted(node)]
    assert found == []


def _self_counted(node: ast.JoinedStr) -> list[str]:
    found = []
    for value, after in zip(node.values, node.values[1:], strict=False):
        if not isinstance(value, ast.FormattedValue) or not isinstance(
            after, ast.Constant
        ):
            continue
        source = ast.unparse(value.value)
        is_count = (
            value.format_spec is not None
            or "len(" in source
            or re.search(r"num_|count|\.(failed|made|removed)\b", source)
        )
        text = str(after.value)
        if (
            is_count
            and NOUN.match(f"{text} ")
            and not source.isupper()
            and not source.startswith("counted(")
        ):
            if not any(text.startswith(f" {known}") for known in NEVER_ONE):
                found.append(ast.unparse(node))
    return found
