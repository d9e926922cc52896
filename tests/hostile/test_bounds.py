"""Foreign text meets bounds: documents, replies, bodies and terminals. Work that is not linear would never end here."""

import asyncio
import os
from pathlib import Path

import pytest

from sdg_core.cli.output import printable
from sdg_core.config import yaml_document
from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
from sdg_core.errors import SeedError
from sdg_core.generators.models.code import fenced_blocks
from sdg_core.models.structured import InvalidResponseError, extract_json
from sdg_core.seeds.forbidden import check_readable
from sdg_core.system.bounded_body import BodyTooLargeError, read_bounded

MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    for level in range(1, 9)
)

ALIASES = "a0: &a0 [x, y, z]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 6)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ALIASES, "more than 100,000 values; check for aliases that multiply them"),
        (MERGES, "check for merge keys that multiply them"),
        ("[" * 100_000, "nested too deeply"),
        ("- " * 50_000 + "a", "nested too deeply"),
        ("{a: " * 100_000, "nested too deeply"),
    ],
    ids=["aliases", "merges", "lists", "items", "mappings"],
)
def test_documents(text: str, message: str) -> None:
    with pytest.raises(DocumentSyntaxError, match=message):
        parse_document(text)


@pytest.mark.parametrize("is_json", [False, True])
def test_many_values(monkeypatch: pytest.MonkeyPatch, is_json: bool) -> None:
    monkeypatch.setattr(yaml_document, "MAX_VALUES", 1_000)
    monkeypatch.setattr(yaml_document, "_MAX_EVENTS", 2_004)
    monkeypatch.setattr(yaml_document, "_MAX_STEPS", 10_000)
    for fitting in ("[" + "1, " * 998 + "1]", "[" * 80 + "1, " * 60 + "1" + "]" * 80):
        parse_document(fitting, is_json=is_json)
    with pytest.raises(DocumentSyntaxError, match="more than 1,000 values"):
        parse_document("[" + "1, " * 1_200 + "1]", is_json=is_json)
    with pytest.raises(DocumentSyntaxError, match="more than 1,000 values"):
        parse_document("[" + "1, " * 5_000 + "1]", is_json=is_json)
    with pytest.raises(DocumentSyntaxError, match="deeply nested values"):
        parse_document("[" * 80 + "1, " * 200 + "1" + "]" * 80, is_json=is_json)


def test_a_merge_that_is_meant_stays_possible() -> None:
    assert parse_document("a: &a {x: 1}\nb: {<<: *a, y: 2}\n").data["b"] == {
        "x": 1,
        "y": 2,
    }


@pytest.mark.parametrize(("mark", "blocks"), [("~", [("a", "")]), ("`", [])])
def test_lines_of_fence_characters(mark: str, blocks: list[tuple[str, str]]) -> None:
    # what follows tildes may hold a backtick
    assert fenced_blocks(mark * 100_000 + "a`") == blocks


@pytest.mark.parametrize(
    "text",
    ['{"a": "' + '\\"' * 200_000 + "\\", "```\n" * 100_001 + "x"],
    ids=["quotes", "fences"],
)
def test_replies_that_never_end(text: str) -> None:
    with pytest.raises(InvalidResponseError):
        extract_json(text)


def test_json_is_not_looked_for_in_a_library() -> None:
    with pytest.raises(InvalidResponseError, match="too long to search for JSON"):
        extract_json("```\n" * 10**6)
    whole = "[" + "1," * 600_000 + "1]"
    assert len(extract_json(whole).value) == 600_001


class Endless:
    def __init__(self) -> None:
        self.given = 0

    async def read(self, n: int = -1) -> bytes:
        self.given += n
        return b"x" * n


def test_a_body_without_end() -> None:
    stream = Endless()
    with pytest.raises(BodyTooLargeError):
        asyncio.run(read_bounded(stream, limit=2**20))
    assert stream.given <= 2 * 2**20


@pytest.mark.parametrize(
    "code", ["\x1b]52;c;QQ==\x07", "\x9b2J", "\u202eabc", "\x00", "\r"]
)
def test_terminal_codes_are_spelt_out(code: str) -> None:
    shown = printable(f"a{code}b")
    assert code[0] not in shown and shown.startswith("a\\u")
    assert printable("Grüße, 世界 🎉\n\tend") == "Grüße, 世界 🎉\n\tend"


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "/sys/kernel", "/dev/zero", "/etc/shadow", "/run/secrets/x"],
)
def test_the_systems_files_are_no_seed(tmp_path: Path, path: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    second = tmp_path / "second"
    second.symlink_to(link)
    up = "../" * 30 + path.lstrip("/")
    for each in (Path(path), link, second, tmp_path / up):
        with pytest.raises(SeedError, match="never read as seed data"):
            check_readable(each)


@pytest.mark.parametrize(
    "path",
    [
        ".ssh/id_rsa",
        ".aws/credentials",
        ".config/gcloud/x.json",
        ".netrc",
        ".kube/config",
    ],
)
def test_credentials_are_no_seed(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("secret")
    (tmp_path / "data.txt").symlink_to(tmp_path / path)
    for each in (tmp_path / path, tmp_path / "data.txt"):
        with pytest.raises(SeedError, match="never read as seed data"):
            check_readable(each)
    check_readable(Path(os.fspath(tmp_path / "rows.csv")))
