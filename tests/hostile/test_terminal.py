"""No command shows control characters of a stranger: replies, errors of servers, seed values, descriptions, names of files."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core.cli.main import run
from sdg_core.testing import ModelServer, serving
from tests.support.sdg import dataset_config

EVIL = "x\x1b]0;title\x07\x1b[2J\x9b3J\u202eevil\u2066\x00\r"
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
COMMANDS = [
    "validate",
    "plan",
    "estimate",
    "check-models",
    "preview -n 4",
    "preview -n 4 --json",
    "generate",
    "generate --json",
    "status",
    "status --json",
    "process --allow-missing",
    "report",
    "report --json",
    "export {out}.csv",
    "export {out}.jsonl",
    "push nobody/nothing --dry-run",
    "reopen",
    "prune --yes",
    "retry",
]


def answered(body: dict[str, Any]) -> dict[str, Any]:
    """Every other reply is a refusal."""
    return {
        "role": "assistant",
        "content": EVIL,
        "refusal": EVIL if "odd" in str(body) else None,
    }


def text(**more: Any) -> dict[str, Any]:
    return {
        "column_type": "llm-text",
        "name": "t",
        "prompt": "{{ word }}",
        "model_alias": "writer",
        **more,
    }


def shown(command: str, file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    verb, *words = command.replace("{out}", str(file.with_suffix(""))).split()
    with pytest.raises(SystemExit) as ended:
        run([verb, str(file), *words])
    output = capsys.readouterr()
    assert ended.value.code in (0, 1, 2, 3), (command, output.err)
    return output.out + output.err


@pytest.mark.parametrize("kind", ["dataset", "pipeline"])
def test_no_command_shows_a_strangers_control_characters(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("SDG_ROOT", str(tmp_path / "root"))
    folder = tmp_path / "\x1b[31mfolder\u202e"
    folder.mkdir()
    file = folder / f"{kind}\x1b[2J.yaml"
    if kind == "dataset":
        (folder / "s.jsonl").write_text(
            '{"word": "odd \\u001b[2J"}\n{"word": "even \\u009b2J\\u202e"}\n'
        )
    for word in ("odd", "even"):
        (folder / f"{word}\x1b[2J.md").write_text(f"{word} {EVIL}")
    with serving(ModelServer(message=answered)) as server:
        config = dataset_config(
            text(description=EVIL.replace("\x00", "")), endpoint=server.url
        )
        config |= {
            "num_records": 4,
            "row_group_size": 4,
            "description": EVIL.replace("\x00", ""),
            "run": {"max_failure_rate": 1.0},
        }
        config["seed_config"] = {"source": {"seed_type": "local", "path": "s.jsonl"}}
        if kind == "pipeline":
            models = {
                key: config[key] for key in ("model_providers", "model_configs", "run")
            }
            stages = [{"stage": "columns", "columns": [text(prompt="{{ content }}")]}]
            config = {
                "kind": "pipeline",
                "name": "notes",
                "sources": {"reader": "files", "path": "*.md"},
                "stages": stages,
            } | models
        file.write_text(yaml.safe_dump(config))
        told = {command: shown(command, file, capsys) for command in COMMANDS}
    assert {
        command: CONTROL.findall(said)
        for command, said in told.items()
        if CONTROL.search(said)
    } == {}
    assert "\\u001b" in told["preview -n 4"] and "\\u001b" in told["generate"]


@pytest.mark.parametrize(
    "words", ["generate --\u202e\x1b[2J", "\x1b]0;x\x07", "preview f.yaml -n \x9b2J"]
)
def test_words_of_a_command_line_that_are_wrong_are_printable(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words.split(" "))
    said = capsys.readouterr().err
    assert ended.value.code == 2 and not CONTROL.search(said)
    assert "Usage: sdg" in said and "Error: " in said and not said.endswith("\n\n")
