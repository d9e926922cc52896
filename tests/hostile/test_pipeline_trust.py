"""A pipeline file that runs code says so before it is loaded, and `--untrusted` refuses it, whatever the command."""

from pathlib import Path

import pytest

from sdg_core.cli.main import run

PIPELINE = """
kind: pipeline
name: notes
sources: {reader: files, path: "*.md"}
stages:
  - {stage: function, function: "./stages.py:clean"}
model_providers:
  - {name: p, endpoint: "http://127.0.0.1:9/v1", api_key: OPENAI_API_KEY}
"""
STAGES = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
def clean(record):
    return record
"""


COMMANDS = "validate preview plan status generate process retry report export reopen prune".split()


@pytest.mark.parametrize("command", COMMANDS)
def test_untrusted_refuses_before_any_code_runs(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.md").write_text("text")
    (tmp_path / "stages.py").write_text(STAGES)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    with pytest.raises(SystemExit) as ended:
        output = [str(tmp_path / "out.jsonl")] if command == "export" else []
        run(["--untrusted", command, str(tmp_path / "pipeline.yaml"), *output])
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert "runs ./stages.py:clean" in shown and "sends the variable OPENAI_API_KEY to 127.0.0.1" in shown
    assert not (tmp_path / "ran").exists()
