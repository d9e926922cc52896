"""Environments, storage roots, arguments, and names of files and columns."""

import json
import random
from typing import Any

from tests.hostile.campaign.commands import Case
from tests.hostile.campaign.drawn import MODELS, ODD_TEXTS
from tests.hostile.corpus import dataset, expression, pipeline, text

Draw = random.Random


def environment_cases(draw: Draw) -> Case:
    root = draw.choice(
        [
            "{place}/x y",
            "{place}/" + "ü" * 100,
            "{place}/a/../b",
            "/dev/null",
            "/proc/x",
            "{place}/loop",
            "{place}/file",
            "{place}/" + "n" * 300,
            "~/x",
            "",
            " ",
            "file://{place}/x",
            "{place}/new\nline",
            "{place}/a\tb",
            "{place}/\x1b[2J",
            "relative",
            "s3://",
            "s3:///x",
            "x://y",
            "C:\\x",
            "{place}/100%",
            "{place}/a#b",
            "{place}/a?b=c",
            "{place}/[a]*",
        ]
    )
    odd = {
        "LANG": ["C", "xx_XX.latin1", ""],
        "TZ": ["Nowhere/Atlantis", "UTC+99", ":/etc/passwd"],
        "HOME": ["/nosuch", ""],
        "TMPDIR": ["/nosuch", ""],
        "COLUMNS": ["0", "1", "-5", "99999999", "x"],
        "NO_COLOR": ["1"],
        "FORCE_COLOR": ["1"],
        "TERM": ["dumb", "", "x"],
        "SDG_LEDGER_URL": [
            "",
            "x",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:////dev/full",
            "sqlite:////nosuch/x.db",
            "postgresql://",
            "a\nb",
        ],
        "http_proxy": ["http://127.0.0.1:1", "x"],
        "PYTHONIOENCODING": ["ascii"],
        "XDG_CACHE_HOME": ["/dev/null", "/nosuch/x", "relative"],
        "XDG_STATE_HOME": ["/dev/null", "relative"],
    }
    env = {
        name: draw.choice(odd[name]) for name in draw.sample([*odd], draw.randint(0, 3))
    }
    env["SDG_ROOT"] = root
    words = draw.choice(
        [
            "-n -1",
            "-n 0",
            "-n 99999999999999999999",
            "-n x",
            "-n 1e3",
            "--num-records 0",
            "--num-records -5",
            "--num-records 99999999999999999999999",
            "--num-records 1_0",
            "--row-groups ,",
            "--row-groups 9-0",
            "--row-groups 0-99999999999999999999",
            "--row-groups 0-999999999",
            "--row-groups -1",
            "--row-groups x",
            "--row-groups 0,0,0",
            "--row-groups \u0661",
            "--shard 0/0",
            "--shard 5/3",
            "--shard -1/3",
            "--shard x",
            "--shard 0/99999999999999999999",
            "--shard 1/2/3",
            "--resume x",
            "--max-parallel-requests 99999999999999",
            "--executor ray",
            "--root",
            "--root \x1b[2J",
            "--\u202e",
        ]
    )
    verb = "preview" if words.startswith("-n") else "generate"
    commands = (
        f"{verb} {{file}} {words}",
        "generate {file}",
        "generate {file}",
        "status {file}",
        "export {file} {dir}/out.csv --partial",
        "export {file} /dev/full --force",
        "export {file} {dir}/nosuch/x.parquet",
        "export {file} {dir}/x.exe",
        "import {file} -o /dev/full",
        "nosuch {file}",
    )
    return Case(
        "environments, roots, arguments",
        "",
        dataset(text()),
        commands=commands,
        env=env,
        prepare=_with_odd_places,
        files={"arguments": ""},
    )


def _with_odd_places(place: Any) -> None:
    (place / "loop").symlink_to(place / "loop")
    (place / "file").write_text("x")


def name_cases(draw: Draw) -> Case:
    """Names of columns, files, sources and datasets that look alike, or mean something elsewhere."""
    names = draw.sample(ODD_TEXTS, 3)
    if draw.random() < 0.4:
        return Case(
            "names",
            "",
            pipeline(
                {"stage": "columns", "columns": [text("{{ content }}")]},
                sources={"reader": "files", "path": "**/*"},
                **MODELS,
            ),
            prepare=lambda place: _odd_files(place / "project", names),
        )
    heading = json.dumps({name: "x" for name in names})
    columns = [{**expression("{{ plan }}"), "name": name} for name in names[:2]]
    content = dataset(
        *columns, seed_config={"source": {"seed_type": "local", "path": "s.jsonl"}}
    )
    if draw.random() < 0.5:
        content = dataset(
            expression("x"),
            seed_config={"source": {"seed_type": "local", "path": "s.jsonl"}},
        )
    commands = (
        "validate {file}",
        "generate {file}",
        "process {file}",
        "report {file}",
        "export {file} {dir}/o.csv",
        "export {file} {dir}/o.jsonl --force",
        "export {file} {dir}/o.parquet",
    )
    return Case(
        "names",
        "",
        content,
        commands=commands,
        files={"s.jsonl": f"{heading}\n{heading}\n"},
    )


def _odd_files(directory: Any, names: list[str]) -> None:
    for name in [*names, "A.md", "a.md", "\u00e9.md", "e\u0301.md"]:
        flat = (
            name.replace("/", "_")
            .replace("\0", "_")[:60]
            .encode("utf-8", "surrogatepass")[:200]
        )
        if flat not in (b"", b".", b"..", b"loop"):
            (directory / flat.decode("utf-8", "surrogateescape")).write_text(
                "some text"
            )
    (directory / "loop").symlink_to(".")
    (directory / "self.md").symlink_to("self.md")
    (directory / "dangling.md").symlink_to("nosuch")
    (directory / "d1").mkdir()
    (directory / "d1" / "up").symlink_to("..")
