"""Columns of a pipeline whose models call tools, with a real MCP server; the commands that ask about models of a pipeline."""

from pathlib import Path
from typing import Any

from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.testing import ModelServer
from sdg_core.testing.model_answers import tool_calls
from tests.support.mcp_server import calls, stdio_provider
from tests.support.pipelines import Project, check_accounts, llm_stage, served_by
from tests.support.sdg import sdg


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """A call of the tool, then what the tool has said."""
    said = [
        message["content"] for message in body["messages"] if message["role"] == "tool"
    ]
    return (
        {"role": "assistant", "content": said[0]}
        if said
        else tool_calls(("lookup", {"word": "quay"}))
    )


def with_tools(tmp_path: Path, url: str) -> Project:
    stage = llm_stage("it", "What is {{ content }}?")
    stage["columns"][0]["tool_alias"] = "t"
    tools = {
        "mcp_providers": [stdio_provider("words", "--log", tmp_path / "calls.log")],
        "tool_configs": [{"tool_alias": "t", "providers": ["words"]}],
    }
    return Project(tmp_path, [stage], more={**served_by(url), **tools}).write(
        a="one", b="two"
    )


async def test_a_model_calls_a_tool(tmp_path: Path) -> None:
    async with ModelServer(message=answer) as server:
        project = with_tools(tmp_path, server.url)
        summary = await agenerate_pipeline(project.open())
    assert summary.states == {"complete": 2}
    assert [row["it"] for row in project.rows()] == ["quay means yauq"] * 2
    assert len(calls(tmp_path / "calls.log")) == 2
    check_accounts(project.footers())


def test_models_and_tools_are_checked(tmp_path: Path) -> None:
    project = with_tools(tmp_path, "http://127.0.0.1:9/v1")
    project.more["run"] = {"num_retries": 0}
    outcome = sdg(
        "check-models", project.write().file, "--root", project.root, "--json"
    )
    assert outcome.returncode == 2, "the server does not answer"
    assert "127.0.0.1:9" in outcome.stdout and "lookup" in outcome.stdout
    assert not Path(project.root).exists()
