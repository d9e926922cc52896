"""Files that are damaged by chance: seed data of every format, and ledgers of a run that was killed."""

import json
import random
import shutil
import sqlite3
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sdg_core.store.layout import VersionLayout
from sdg_core.system.failpoints import VARIABLE
from tests.hostile.campaign.commands import Case
from tests.hostile.corpus import dataset, expression, text
from tests.hostile.test_files import CONTENTS, ODD
from tests.support.sdg import sdg, stored_records

Draw = random.Random
HEADERS = (
    b"a,a\n1,2\n",
    b"a,\n1,2\n",
    b",\n",
    b"\xef\xbb\xbfa,b\n1,2\n",
    b'"a\nb",c\n1,2\n',
    b"a;b\n1;2\n",
    b"a\n" + b"1," * 9_000,
)
LINES = (
    b'{"a": 1}\n{"a": "x"}\n',
    b'{"a": 99999999999999999999999}\n{"a": 1}\n',
    b'{"a": {"b": [[[1]], "x"]}}\n{"a": null}\n',
    b'{"a": 1, "a": 2}\n',
    b'{"A": 1, "a": 2}\n',
    b'{"a": ' + b"[" * 2_000 + b"]" * 2_000 + b"}\n",
    b'{"a": NaN}\n{"a": Infinity}\n',
    b'{"": 1, " ": 2, "\\u0000": 3}\n',
    b'{"a": "\\ud83d"}\n',
    b'{"a": "2024-02-30"}\n{"a": "99999-01-01T00:00:00Z"}\n',
    b'\xff\xfe{\x00"\x00',
    b'{"e": 1, "plan": 2}\n',
)


def damaged(draw: Draw, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        back = draw.randint(1, max(1, min(len(data), 64)))
        at = draw.choice([draw.randrange(len(data) + 1), max(0, len(data) - back)])
        match draw.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << draw.randrange(8)
            case 1 if at < len(data):
                data[at] = draw.choice([0, 1, 127, 128, 255])
            case 2:
                data[at:at] = draw.choice(ODD)
            case 3:
                del data[at:]
            case 4:
                del data[at : at + back]
            case _:
                data[at:at] = data[at : at + back] * draw.randint(1, 3)
    return bytes(data)


def seed_file_cases(draw: Draw) -> Case:
    """A damaged file of one format, under the name of it or of another."""
    kind = draw.choice([*CONTENTS])
    content = CONTENTS[kind]
    if kind == "csv" and draw.random() < 0.5:
        content = draw.choice(HEADERS)
    if kind == "jsonl" and draw.random() < 0.5:
        content = draw.choice(LINES)
    if draw.random() < 0.85:
        content = damaged(draw, content)
    suffix = (
        kind.rstrip("2")
        if draw.random() < 0.9
        else draw.choice([*CONTENTS, "xlsx", "txt", "tsv", ""])
    )
    name = f"seeds.{suffix}"
    strategy = draw.choice(["ordered", "shuffle"])
    source = {"seed_type": "local", "path": name}
    column = expression(draw.choice(["x", "{{ a }}", "{{ a }} {{ b }}"]))
    return Case(
        "seed files",
        "",
        dataset(column, seed_config={"source": source, "sampling_strategy": strategy}),
        files={name: content},
        commands=(
            "validate {file}",
            "generate {file}",
            "process {file}",
            "export {file} {dir}/out.jsonl",
        ),
    )


CONFIG = dataset(text(), num_records=8, row_group_size=4)


@cache
def killed_root() -> Path:
    """The root of a run that was killed when some cells were paid for, in the middle of a row group."""
    place = Path(tempfile.mkdtemp(prefix="sdg-killed-"))
    file = place / "hostile.yaml"
    file.write_text(CONFIG)
    ended = sdg(
        "generate",
        file,
        "--root",
        place / "root",
        env={VARIABLE: "group.before_settle:2"},
    )
    assert ended.returncode == -9, ended.stderr
    return place / "root"


@cache
def undisturbed() -> dict[int, dict[str, Any]]:
    """The rows of a run that nothing disturbed."""
    place = Path(tempfile.mkdtemp(prefix="sdg-whole-"))
    (place / "hostile.yaml").write_text(CONFIG)
    ended = sdg("generate", place / "hostile.yaml", "--root", place / "root")
    assert ended.returncode == 0, ended.stderr
    return rows_below(place / "root")


def rows_below(root: Path) -> dict[int, dict[str, Any]]:
    (version,) = (path for path in (root / "hostile").iterdir() if path.is_dir())
    return stored_records(VersionLayout(version))


VALUES: tuple[Any, ...] = (
    None,
    "",
    "x",
    -1,
    0,
    2**63 - 1,
    -(2**63),
    1e308,
    float("inf"),
    b"\xff\x00",
    b"",
    "{",
    "[" * 3_000,
    "null",
    '{"value": 1}',
    "\x1b[2J",
    "9" * 5_000,
    "../../x",
    "1970-01-01",
    "sha256:" + "0" * 64,
)


def damage_ledger(draw: Draw, path: Path) -> None:  # noqa: C901 - a line for each way
    """Odd values in a few places of a ledger's tables, other tables, or other bytes."""
    if draw.random() < 0.2:
        path.write_bytes(damaged(draw, path.read_bytes()))
        return
    ledger = sqlite3.connect(path, isolation_level=None)
    tables = [
        name
        for (name,) in ledger.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    for _ in range(draw.randint(1, 3)):
        table = draw.choice(tables)
        columns = [row[1] for row in ledger.execute(f'PRAGMA table_info("{table}")')]
        if not columns:
            continue
        column = draw.choice(columns)
        try:
            match draw.randrange(10):
                case 0:
                    ledger.execute(f'DROP TABLE "{table}"')
                case 1:
                    ledger.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')
                case 2:
                    ledger.execute(
                        f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "x"'
                    )
                case 3:
                    ledger.execute(f'DELETE FROM "{table}"')
                case 4:
                    marks = ", ".join("?" * len(columns))
                    ledger.execute(
                        f'INSERT INTO "{table}" VALUES ({marks})',
                        [draw.choice(VALUES) for _ in columns],
                    )
                case 5:
                    ledger.execute(
                        f"PRAGMA user_version = {draw.choice([0, 99, -1, 2**31 - 1])}"
                    )
                case 6:
                    ledger.execute(
                        f'CREATE TRIGGER t{draw.randrange(10**6)} AFTER INSERT ON "{table}" BEGIN SELECT RAISE(IGNORE); END'
                    )
                case _:
                    ledger.execute(
                        f'UPDATE OR IGNORE "{table}" SET "{column}" = ?',
                        [draw.choice(VALUES)],
                    )
        except sqlite3.Error:
            continue  # a table that is gone, or a rule of the schema that holds
    ledger.close()


def ledger_cases(draw: Draw) -> Case:
    """A ledger with odd contents. The run ends as if it were whole, or says what is wrong with the ledger."""
    root, whole = killed_root(), undisturbed()
    way = draw.random()

    def prepare(place: Path) -> None:
        shutil.copytree(root, place / "root")
        damage_ledger(random.Random(way), place / "root" / ".sdg" / "ledger.db")

    def check(place: Path, ends: list[dict[str, Any]]) -> list[str]:
        last = ends[-1]["status"]
        rows = rows_below(place / "root")
        if last == 0 and rows != whole:
            return ["rows are others than those of a run that nothing disturbed"]
        return [f"row {at} is another" for at, row in rows.items() if row != whole[at]]

    return Case(
        "ledgers",
        "",
        CONFIG,
        prepare=prepare,
        check=check,
        commands=(
            "status {file}",
            "status {file} --json",
            "plan {file}",
            "generate {file}",
        ),
        files={"ledger": ""},
    )


def odd_state_cases(draw: Draw) -> Case:
    """Files of ours in a storage root, damaged or replaced."""
    root, whole = killed_root(), undisturbed()
    way = draw.random()

    def prepare(place: Path) -> None:
        shutil.copytree(root, place / "root")
        chance = random.Random(way)
        files = sorted(
            path for path in (place / "root" / "hostile").rglob("*") if path.is_file()
        )
        path = chance.choice(files)
        match chance.randrange(8):
            case 0:
                path.unlink()
                path.symlink_to(
                    chance.choice(
                        ["/dev/null", "nosuch", path.name, "/proc/self/environ", ".."]
                    )
                )
            case 1:
                path.unlink()
                path.mkdir()
            case 2:
                path.write_bytes(b"")
            case 3:
                path.write_text(
                    json.dumps(
                        chance.choice(
                            [
                                {},
                                [],
                                None,
                                {"version": "../../x"},
                                {"version": 5},
                                10**400,
                            ]
                        )
                    )
                )
            case _:
                path.write_bytes(damaged(chance, path.read_bytes()))

    def check(place: Path, ends: list[dict[str, Any]]) -> list[str]:
        if ends[2]["status"] != 0:
            return []
        for version in (place / "root" / "hostile").iterdir():
            if (
                version.is_dir()
                and (rows := stored_records(VersionLayout(version))) == whole
            ):
                return []
        return [
            f"none of the versions holds the rows of a run that nothing disturbed, the last {len(rows)}"
        ]

    return Case(
        "files of ours",
        "",
        CONFIG,
        prepare=prepare,
        check=check,
        commands=(
            "status {file}",
            "plan {file}",
            "generate {file}",
            "process {file}",
            "report {file}",
            "prune {file} --yes",
        ),
        files={"metadata.json": "", "current.json": ""},
    )
