"""Sessions of coding agents as seed rows: each format as its agent writes it, in one form."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import SdgError, SeedError
from sdg_core.seeds.agent_rollouts import AgentRolloutReader
from tests.support.sdg import dataset_config, expression, open_dataset, stored_records


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


CLAUDE = lines(
    {"type": "summary", "summary": "s"},
    {
        "type": "user",
        "sessionId": "s1",
        "cwd": "/w",
        "gitBranch": "main",
        "timestamp": "2026-01-01T10:00:00Z",
        "version": "2.1",
        "message": {"role": "user", "content": "Fix it"},
    },
    {
        "type": "assistant",
        "sessionId": "s1",
        "timestamp": "2026-01-01T10:00:05Z",
        "message": {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "I look."},
                {
                    "type": "tool_use",
                    "id": "t1",
                    "name": "Read",
                    "input": {"path": "a.py"},
                },
            ],
        },
    },
    {
        "type": "user",
        "sessionId": "s1",
        "message": {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "x = 1"}
            ],
        },
    },
    {
        "type": "assistant",
        "sessionId": "s1",
        "timestamp": "2026-01-01T10:01:00Z",
        "message": {"content": [{"type": "text", "text": "Done."}]},
    },
)


def said(role: str, text: str, **more: Any) -> dict[str, Any]:
    payload = {
        "type": "message",
        "role": role,
        "content": [{"type": "text", "text": text}],
    }
    return {"type": "response_item", "payload": payload, **more}


CODEX = lines(
    {
        "type": "session_meta",
        "timestamp": "2026-01-01T10:00:00Z",
        "payload": {"id": "s1", "cwd": "/w", "git_branch": "main"},
    },
    said("developer", "Be brief"),
    said("user", "Fix it"),
    {
        "type": "response_item",
        "payload": {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
        },
    },
    {
        "type": "response_item",
        "payload": {
            "type": "function_call",
            "call_id": "t1",
            "name": "Read",
            "arguments": '{"path": "a.py"}',
        },
    },
    {
        "type": "response_item",
        "payload": {"type": "function_call_output", "call_id": "t1", "output": "x = 1"},
    },
    {"type": "event_msg", "payload": {"type": "token_count"}},
    said("assistant", "Done.", timestamp="2026-01-01T10:01:00Z"),
)
ATIF = json.dumps(
    {
        "schema_version": "ATIF-v1.5",
        "session_id": "s1",
        "agent": {"name": "a", "version": "1"},
        "steps": [
            {
                "step_id": 1,
                "timestamp": "2026-01-01T10:00:00Z",
                "source": "user",
                "message": "Fix it",
            },
            {
                "step_id": 2,
                "timestamp": "2026-01-01T10:01:00Z",
                "source": "agent",
                "message": "Done.",
                "reasoning_content": "hm",
                "tool_calls": [
                    {
                        "tool_call_id": "t1",
                        "function_name": "Read",
                        "arguments": {"path": "a.py"},
                    }
                ],
                "observation": {
                    "results": [{"source_call_id": "t1", "content": "x = 1"}]
                },
            },
        ],
    }
)
SESSIONS = {
    "claude_code": ("p/s1.jsonl", CLAUDE),
    "codex": ("2026/rollout-1.jsonl", CODEX),
    "atif": ("s1.json", ATIF),
}


@pytest.mark.parametrize("kind", SESSIONS)
def test_a_session_is_a_row_of_one_form(kind: str, tmp_path: Path) -> None:
    name, content = SESSIONS[kind]
    for place, text in (
        (name, content),
        ("p/history.jsonl", '{"display": "x"}\n'),
        ("notes.txt", "no session"),
    ):
        (tmp_path / "d" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / place).write_text(text, encoding="utf-8")
    rollout = {"seed_type": "agent_rollout", "path": "d", "format": kind}
    task = expression(
        "task",
        "{{ final_assistant_message }} {{ messages | length }} {{ tool_call_count }}",
    )
    config = dataset_config(task, num_records=1) | {"seed_config": {"source": rollout}}
    dataset = open_dataset(tmp_path / "t.yaml", config, root=tmp_path / "root")
    [row] = stored_records(api.generate(dataset).version).values()
    assert (row["trace_id"], row["root_session_id"], row["source_kind"]) == (
        "s1",
        "s1",
        kind,
    )
    assert (row["started_at"], row["ended_at"]) == (
        "2026-01-01T10:00:00Z",
        "2026-01-01T10:01:00Z",
    )
    assert row["source_path"] == f"d/{name}" and row["is_sidechain"] is False
    assert row["message_count"] == len(row["messages"]) and row["tool_call_count"] == 1
    assert row["task"] == f"Done. {row['message_count']} 1"
    roles = [message["role"] for message in row["messages"]]
    assert (
        roles[-2:]
        == (["assistant", "tool"] if kind == "atif" else ["tool", "assistant"])
        and "user" in roles
    )
    [caller] = [message for message in row["messages"] if message["tool_calls"]]
    assert caller["reasoning_content"] == "hm"
    assert json.loads(caller["tool_calls"][0]["function"]["arguments"]) == {
        "path": "a.py"
    }
    [answer] = [message for message in row["messages"] if message["role"] == "tool"]
    assert (answer["tool_call_id"], answer["content"]) == (
        "t1",
        [{"type": "text", "text": "x = 1"}],
    )
    if kind != "atif":
        assert (row["cwd"], row["project_path"], row["git_branch"]) == (
            "/w",
            "/w",
            "main",
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}\n{no json\n", "line 2, is not JSON"),
        ("[]\n", "line 1, holds no JSON object"),
        ('{"type": "user"}\n', "is not a session in the format claude_code"),
    ],
)
def test_what_is_no_session_is_named(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(content, encoding="utf-8")
    reader = AgentRolloutReader(
        ".", base=tmp_path, root=str(tmp_path), format="claude_code"
    )
    with pytest.raises(SeedError, match=words):
        list(reader.expand("s.jsonl"))


def test_formats_that_are_not_read_say_so(tmp_path: Path) -> None:
    for kind, words in (
        ("hermes_agent", "is not supported"),
        ("claude", "claude_code"),
    ):
        source = {"seed_type": "agent_rollout", "path": "d", "format": kind}
        config = dataset_config(expression("x", "{{ trace_id }}")) | {
            "seed_config": {"source": source}
        }
        with pytest.raises(SdgError, match=words):
            open_dataset(tmp_path / "t.yaml", config, root=tmp_path)
