"""Directories: which files count, what a row says of one, and readers that make several rows of one."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sdg_core.config.seeds import DirectorySeedSource, FileContentsSeedSource
from sdg_core.errors import SeedError
from sdg_core.seeds.directory import DirectoryReader, open_directory
from sdg_core.seeds.files import LocalFile

FILES = {
    "b.txt": "B",
    "a.md": "A",
    "sub/c.txt": "C",
    "sub/deep/a.txt": "D",
    "_e.txt": "E",
}
HIDDEN = {".hidden.txt": "H", ".git/config": "G", "sub/.cache/x.txt": "X"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name, text in (FILES | HIDDEN).items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def listed(base: Path, path: str = "files", **fields: Any) -> list[dict[str, Any]]:
    reader = open_directory(
        FileContentsSeedSource(path=path, **fields), base=base, root=str(base)
    )
    return reader.read(np.arange(reader.num_rows)).to_dicts()


def test_files_come_by_relative_path_with_their_content(base: Path) -> None:
    rows = listed(base)
    assert [(row["relative_path"], row["content"]) for row in rows] == sorted(
        FILES.items()
    )
    assert rows[-1] == {
        "source_kind": "file_contents",
        "source_path": "files/sub/deep/a.txt",
        "relative_path": "sub/deep/a.txt",
        "file_name": "a.txt",
        "content": "D",
    }


def test_hidden_files_are_meant_only_by_a_pattern_with_a_dot(base: Path) -> None:
    assert [row["relative_path"] for row in listed(base, file_pattern=".*")] == [
        ".hidden.txt"
    ]
    assert {row["relative_path"] for row in listed(base)} == {*FILES}


def test_a_name_that_is_not_utf8_is_refused_by_name(base: Path) -> None:
    (Path(os.fsdecode(os.fsencode(base / "files") + b"/caf\xe9.txt"))).write_text(
        "x", encoding="utf-8"
    )
    with pytest.raises(SeedError, match=r"caf\\xe9\.txt is not UTF-8"):
        listed(base)
    assert len(listed(base, file_pattern="b.txt")) == 1


def test_a_pattern_is_matched_by_the_name_not_the_path(base: Path) -> None:
    assert [row["relative_path"] for row in listed(base, file_pattern="[a-b].*")] == [
        "a.md",
        "b.txt",
        "sub/deep/a.txt",
    ]
    assert [
        row["relative_path"]
        for row in listed(base, file_pattern="*.txt", recursive=False)
    ] == [
        "_e.txt",
        "b.txt",
    ]
    with pytest.raises(
        SeedError, match=r"holds no file that matches 'sub/\*'\n  -> check file_pattern"
    ):
        listed(base, file_pattern="sub/*")


def test_the_way_to_the_directory_is_in_the_rows_as_it_is_written(base: Path) -> None:
    assert (
        listed(base, "{root}/files/", file_pattern="b*")[0]["source_path"]
        == "{root}/files/b.txt"
    )
    assert (
        listed(base, "./files", file_pattern="b*")[0]["source_path"] == "./files/b.txt"
    )


def test_the_digest_covers_names_and_contents(base: Path) -> None:
    def digest() -> str:
        return open_directory(
            DirectorySeedSource(path="files"), base=base, root="unused"
        ).digest()

    digests = [digest()]
    (base / "files/b.txt").write_text("b")
    digests.append(digest())
    (base / "files/b.txt").rename(base / "files/e.txt")
    digests.append(digest())
    assert len({*digests}) == 3


def test_links_to_files_count_and_those_to_directories_do_not(base: Path) -> None:
    (base / "files/link.txt").symlink_to(base / "files/b.txt")
    (base / "files/loop").symlink_to(base / "files", target_is_directory=True)
    (base / "files/broken.txt").symlink_to(base / "nowhere")
    assert [row["relative_path"] for row in listed(base)] == sorted(
        [*FILES, "link.txt"]
    )


def test_text_that_is_not_in_the_encoding_is_named(base: Path) -> None:
    (base / "files/b.txt").write_bytes("ä".encode("latin-1"))
    with pytest.raises(
        SeedError,
        match=r"files/b\.txt is not utf-8 text: .* at byte 0\n  -> set encoding",
    ):
        listed(base)
    assert listed(base, file_pattern="b.txt", encoding="latin-1")[0]["content"] == "ä"


@pytest.mark.parametrize(
    ("path", "message"), [("nowhere", "does not exist"), ("files/a.md", "is a file")]
)
def test_a_directory_that_is_none(base: Path, path: str, message: str) -> None:
    with pytest.raises(SeedError, match=message):
        listed(base, path)


class Lines(DirectoryReader):
    """A row per line."""

    expanded = 0

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(
            [
                ("relative_path", pa.string()),
                ("number", pa.int64()),
                ("line", pa.string()),
            ]
        )

    def rows_of(self, file: LocalFile) -> Iterable[Mapping[str, Any]]:
        self.expanded += 1
        name = self.listing(file, kind="line")["relative_path"]
        for number, line in enumerate(file.read_bytes().decode().splitlines()):
            yield {"relative_path": name, "number": number, "line": line}


def lines(base: Path) -> Lines:
    return Lines("files", base=base, root="unused", file_pattern="*.txt")


def test_files_of_several_rows_are_addressed_by_row_and_counted_once(
    base: Path,
) -> None:
    (base / "files/b.txt").write_text("1\n2\n3")
    (base / "files/sub/c.txt").write_text("")
    reader = lines(base)
    assert reader.num_rows == 5 and reader.expanded == 4
    rows = reader.read(np.array([4, 3, 2, 1, 0, 2]))
    assert rows["line"].to_list() == ["D", "3", "2", "1", "E", "2"]
    assert reader.expanded == 7
    reader.read(np.arange(5))
    assert reader.expanded == 7, "expanded items are kept for the next row group"


def test_an_item_that_gives_another_number_of_rows_is_named(base: Path) -> None:
    reader = lines(base)
    assert reader.num_rows == 4
    (base / "files/b.txt").write_text("1\n2")
    with pytest.raises(SeedError, match=r"b\.txt gives 2 rows; it gave 1"):
        reader.read(np.arange(4))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"other": 1}, r"has columns \['other'\] that the reader's schema lacks"),
        ({"number": "x"}, "does not fit"),
    ],
)
def test_rows_that_do_not_fit_the_schema_are_named(
    base: Path, row: dict[str, Any], message: str
) -> None:
    class Wrong(Lines):
        def rows_of(self, file: LocalFile) -> Iterable[Mapping[str, Any]]:
            return [row]

    with pytest.raises(SeedError, match=rf"seed item .*{message}"):
        assert Wrong("files", base=base, root="unused").num_rows


def test_an_unreadable_file_is_named(base: Path) -> None:
    reader = open_directory(
        FileContentsSeedSource(path="files"), base=base, root="unused"
    )
    assert reader.num_rows == 5
    os.remove(base / "files/b.txt")
    with pytest.raises(SeedError, match=r"files/b\.txt cannot be read: No such file"):
        reader.read(np.arange(5))
