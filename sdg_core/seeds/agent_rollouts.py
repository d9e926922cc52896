"""`seed_type: agent_rollout`: sessions of coding agents, a row each, in one form whatever agent wrote them.

Formats: `claude_code` (Claude Code's `projects/**/*.jsonl`), `codex` (Codex's `rollout-*.jsonl`), `atif` (Harbor's Agent
Trajectory Interchange Format, `*.json`). Columns are those of Data Designer's reader; `messages` has the form of a trace
(`sdg_core.plan.types.replies.MESSAGES`), `source_meta` is JSON text, because every format has its own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import orjson
import pyarrow as pa

from sdg_core.errors import SeedError
from sdg_core.plan.types.replies import MESSAGES
from sdg_core.seeds.directory import DirectoryReader
from sdg_core.seeds.files import LocalFile

PATTERNS = {"atif": "*.json", "claude_code": "*.jsonl", "codex": "rollout-*.jsonl"}
_LEFT_OUT = {"claude_code": ("history.jsonl",)}
_TEXTS = ("trace_id", "source_kind", "source_path", "root_session_id", "agent_id")
_PLACES = ("cwd", "project_path", "git_branch", "started_at", "ended_at")
_ROLES = {"developer": "system", "agent": "assistant"}

Row = Mapping[str, Any]


@dataclass
class Rollout:
    """A session as it is read. facts: what goes into columns of its own; meta: the rest that a format says of itself."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    times: list[str] = field(default_factory=list)

    def add(self, role: str, content: Any, **more: Any) -> None:
        """Add a message; content may be text, blocks, or anything that JSON has."""
        known: dict[str, Any] = {
            "reasoning_content": None,
            "tool_calls": [],
            "tool_call_id": None,
        }
        self.messages.append(
            {
                "role": _ROLES.get(role, role),
                "content": blocks(content),
                **known,
                **more,
            }
        )

    def remember(self, raw: Row, names: Mapping[str, str]) -> None:
        """Take facts from a record, by our name and its key, unless an earlier one had them."""
        for ours, key in names.items():
            if raw.get(key) not in (None, "") and ours not in self.facts:
                self.facts[ours] = str(raw[key])
        if isinstance(raw.get("timestamp"), str):
            self.times.append(raw["timestamp"])


class AgentRolloutReader(DirectoryReader):
    """One row per session file."""

    def __init__(
        self, path: str, *, format: str, file_pattern: str | None = None, **fields: Any
    ) -> None:
        super().__init__(path, file_pattern=file_pattern or PATTERNS[format], **fields)
        self._format = format

    @property
    def schema(self) -> pa.Schema:
        """Data Designer's columns."""
        text = pa.string()
        texts = [(name, text) for name in _TEXTS]
        places = [(name, text) for name in _PLACES]
        return pa.schema(
            [
                *texts,
                ("is_sidechain", pa.bool_()),
                *places,
                ("messages", MESSAGES),
                ("source_meta", text),
                ("message_count", pa.int64()),
                ("tool_call_count", pa.int64()),
                ("final_assistant_message", text),
            ]
        )

    def rows_of(self, file: LocalFile) -> Iterable[Mapping[str, Any]]:
        """The session of a file. Raises SeedError for what is not of the format."""
        try:
            read = _READERS[self._format](file)
        except (KeyError, TypeError, AttributeError) as error:
            raise SeedError(
                f"seed file {file.name} is not a session in the format {self._format}: {error}",
                remedy="check seed_config.source.format, or exclude the file with file_pattern",
            ) from error
        if read.messages:
            yield self._row(read, file)

    def _is_wanted(self, name: str) -> bool:
        for pattern in _LEFT_OUT.get(self._format, ()):
            if fnmatchcase(name, pattern):
                return False
        return super()._is_wanted(name)

    def _row(self, read: Rollout, file: LocalFile) -> dict[str, Any]:
        facts = read.facts
        session = facts.get("root_session_id", file.path.stem)
        agent = facts.get("agent_id")
        is_sidechain = bool(read.meta.pop("is_sidechain", False))
        source_meta = orjson.dumps(read.meta, option=orjson.OPT_SORT_KEYS)
        tool_calls = sum(len(message["tool_calls"]) for message in read.messages)
        trace_id = f"{session}:{agent}" if agent else session
        places = {name: facts.get(name) for name in _PLACES}
        return {
            "trace_id": trace_id,
            "source_kind": self._format,
            "source_path": self.listing(file, kind=self._format)["source_path"],
            "root_session_id": session,
            "agent_id": agent,
            "is_sidechain": is_sidechain,
            **places,
            "project_path": facts.get("cwd"),
            "started_at": min(read.times, default=None),
            "ended_at": max(read.times, default=None),
            "messages": read.messages,
            "source_meta": source_meta.decode(),
            "message_count": len(read.messages),
            "tool_call_count": tool_calls,
            "final_assistant_message": _final_text(read.messages),
        }


def blocks(content: Any) -> list[dict[str, str]]:
    """Content as blocks of text; what is no text as JSON."""
    if content is None:
        return []
    items = content if isinstance(content, list) else [content]
    return [{"type": "text", "text": _text(item)} for item in items]


def _text(item: Any) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and isinstance(item.get("text"), str):
        return str(item["text"])
    return json.dumps(item, ensure_ascii=False, sort_keys=True)


def _arguments(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value or {}, ensure_ascii=False, sort_keys=True)


def _call(identity: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {
        "id": str(identity),
        "type": "function",
        "function": {"name": str(name), "arguments": _arguments(arguments)},
    }


def _final_text(messages: Iterable[Row]) -> str | None:
    final = None
    for message in messages:
        if message["role"] != "assistant":
            continue
        blocks = [block["text"] for block in message["content"] if block["text"]]
        if blocks:
            final = "\n\n".join(blocks)
    return final


def _lines(file: LocalFile) -> Iterator[dict[str, Any]]:
    """The objects of a file, a line each. Raises SeedError with the line that is none."""
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SeedError(
                f"seed file {file.name}, line {number}, is not JSON: {error}"
            ) from error
        if not isinstance(found, dict):
            raise SeedError(
                f"seed file {file.name}, line {number}, holds no JSON object"
            )
        yield found


def _claude_code(file: LocalFile) -> Rollout:
    read = Rollout()
    names = {
        "root_session_id": "sessionId",
        "agent_id": "agentId",
        "cwd": "cwd",
        "git_branch": "gitBranch",
    }
    versions: set[str] = set()
    count = 0
    for raw in _lines(file):
        count += 1
        read.remember(raw, names)
        if raw.get("version"):
            versions.add(str(raw["version"]))
        if raw.get("isSidechain"):
            read.meta["is_sidechain"] = True
        if raw.get("type") in ("user", "assistant"):
            _claude_message(read, str(raw["type"]), raw["message"]["content"])
    read.meta |= {"record_count": count, "claude_versions": sorted(versions)}
    return read


def _claude_message(read: Rollout, role: str, content: Any) -> None:
    """A turn: what was said, with what was thought and called; results of tools are messages of their own."""
    parts = content if isinstance(content, list) else [content]
    said: list[Any] = []
    thought: list[str] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case {"type": "thinking"}:
                text = part.get("thinking") or part.get("text") or ""
                thought.append(str(text))
            case {"type": "tool_use"}:
                calls.append(_call(part["id"], part["name"], part.get("input")))
            case {"type": "tool_result"}:
                results.append(part)
            case _:
                said.append(part)
    if said or thought or calls:
        read.add(
            role, said, reasoning_content="\n\n".join(thought) or None, tool_calls=calls
        )
    for result in results:
        read.add("tool", result.get("content"), tool_call_id=str(result["tool_use_id"]))


def _codex(file: LocalFile) -> Rollout:
    read = Rollout()
    thought: list[str] = []
    count = 0
    for raw in _lines(file):
        count += 1
        read.remember(raw, {})
        payload = raw.get("payload")
        if not isinstance(payload, dict):
            continue
        match raw.get("type"), payload.get("type"):
            case "session_meta", _:
                read.remember(
                    payload,
                    {"root_session_id": "id", "cwd": "cwd", "git_branch": "git_branch"},
                )
                kept = ("originator", "cli_version", "model_provider", "source")
                for name in kept:
                    if payload.get(name):
                        read.meta[name] = str(payload[name])
            case "response_item", "reasoning":
                parts = payload.get("summary") or ()
                thought += [str(part["text"]) for part in parts if part.get("text")]
            case "response_item", "message":
                by_agent = payload["role"] == "assistant"
                reasoning = _thought(thought) if by_agent else {}
                read.add(payload["role"], payload.get("content"), **reasoning)
            case "response_item", "function_call":
                call = _call(
                    payload["call_id"], payload["name"], payload.get("arguments")
                )
                read.add("assistant", None, tool_calls=[call], **_thought(thought))
            case "response_item", "function_call_output":
                read.add(
                    "tool", payload.get("output"), tool_call_id=str(payload["call_id"])
                )
    read.meta["record_count"] = count
    return read


def _thought(thought: list[str]) -> dict[str, Any]:
    """What was thought since the last message, taken out of the list."""
    taken = "\n\n".join(thought)
    thought.clear()
    return {"reasoning_content": taken or None}


def _atif(file: LocalFile) -> Rollout:
    try:
        raw = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SeedError(f"seed file {file.name} is not JSON: {error}") from error
    read = Rollout()
    read.remember(raw, {"root_session_id": "session_id"})
    agent = raw.get("agent") or {}
    for name in ("name", "version", "model_name"):
        if agent.get(name):
            read.meta[name] = str(agent[name])
    for step in raw["steps"]:
        read.remember(step, {})
        calls = []
        for call in step.get("tool_calls") or ():
            arguments = call.get("arguments")
            calls.append(_call(call["tool_call_id"], call["function_name"], arguments))
        thought = step.get("reasoning_content")
        read.add(
            step["source"],
            step.get("message"),
            reasoning_content=thought,
            tool_calls=calls,
        )
        for result in (step.get("observation") or {}).get("results") or ():
            call_id = _optional(result.get("source_call_id"))
            read.add("tool", result.get("content"), tool_call_id=call_id)
    return read


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)


_READERS = {"atif": _atif, "claude_code": _claude_code, "codex": _codex}
