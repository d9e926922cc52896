"""Columns whose models call tools: real MCP servers, real HTTP, end to end."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import ConfigError, PermanentModelError
from sdg_core.execution.summary import RunSummary
from sdg_core.store.failures import Failure, parse_failures
from sdg_core.testing import AnthropicServer, Fault, ModelServer, status
from sdg_core.testing.model_answers import tool_calls
from tests.support.mcp_server import (
    alive,
    calls,
    http_server,
    processes,
    stdio_provider,
)
from tests.support.sdg import (
    dataset_config,
    llm,
    object_of,
    open_dataset,
    stored_records,
    structured,
)

Message = dict[str, Any]
LOOKUP = tool_calls(("lookup", {"word": "quay"}))


def told(body: dict[str, Any]) -> list[str]:
    """What tools have said so far."""
    return [
        message["content"] for message in body["messages"] if message["role"] == "tool"
    ]


def script(*messages: Message) -> Callable[[dict[str, Any]], Message]:
    """Each message once, by how many turns of tools there have been; then what the tools have said."""

    def answer(body: dict[str, Any]) -> Message:
        turns = sum(1 for message in body["messages"] if message.get("tool_calls"))
        return (
            messages[turns]
            if turns < len(messages)
            else {"role": "assistant", "content": " | ".join(told(body))}
        )

    return answer


class Bench:
    """A place to make datasets whose column `it` has tools."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "calls.log"

    def config(
        self,
        endpoint: str | None,
        *,
        column: dict[str, Any] | None = None,
        tools: dict[str, Any] | None = None,
        **top: Any,
    ) -> dict[str, Any]:
        column = column or llm(
            "it", "What is it?", tool_alias="t", with_trace="all_messages"
        )
        config = dataset_config(llm("unused", "x"), endpoint=endpoint, num_records=1)
        return {
            **config,
            "columns": [column],
            "mcp_providers": [stdio_provider("words", "--log", self.log)],
            "tool_configs": [
                {"tool_alias": "t", "providers": ["words"], **(tools or {})}
            ],
            **top,
        }

    def open(self, config: dict[str, Any]) -> api.Dataset:
        return open_dataset(
            self.folder / "tickets.yaml", config, root=self.folder / "root"
        )

    async def make(
        self, config: dict[str, Any]
    ) -> tuple[RunSummary, dict[int, dict[str, Any]]]:
        summary = await api.agenerate(self.open(config))
        assert not any(map(alive, processes(self.log))), "a server outlived the run"
        return summary, stored_records(summary.version)

    def failures(self, summary: RunSummary) -> list[Failure]:
        path = summary.version.failure_list(0)
        return parse_failures(path.read_bytes())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_tool_is_called_and_its_result_told(bench: Bench) -> None:
    async with ModelServer(message=script(LOOKUP)) as server:
        config = bench.config(server.url)
        summary, records = await bench.make(config)
        assert records[0]["it"] == "quay means yauq"
        first, second = server.requests
        assert [tool["function"]["name"] for tool in first["tools"]][:2] == [
            "lookup",
            "add",
        ] and "tool_choice" not in first
        assert first["tools"][0]["function"]["parameters"]["required"] == ["word"]
        assert second["messages"][1]["tool_calls"] == LOOKUP["tool_calls"]
        assert second["messages"][2] == {
            "role": "tool",
            "tool_call_id": "call_0",
            "content": "quay means yauq",
        }
        usage = api.status(bench.open(config)).usage["writer"]
        assert usage["requests"] == 2 and usage["retries"] == 0
    trace = records[0]["it__trace"]
    assert [message["role"] for message in trace] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert trace[1]["tool_calls"][0]["function"] == {
        "name": "lookup",
        "arguments": '{"word":"quay"}',
    }
    assert (
        trace[2]["tool_call_id"] == "call_0"
        and trace[2]["content"][0]["text"] == "quay means yauq"
    )
    assert summary.remaining == 0 and len(processes(bench.log)) == 1


async def test_one_server_serves_all_records(bench: Bench) -> None:
    async with ModelServer(message=script(LOOKUP)) as server:
        _, records = await bench.make(bench.config(server.url, num_records=25))
    assert (
        len(records) == 25 == len(calls(bench.log)) and len(processes(bench.log)) == 1
    )


@pytest.mark.parametrize("kind", ["sse", "streamable_http"])
async def test_servers_that_run_already(bench: Bench, kind: str) -> None:
    with http_server(kind, "--log", bench.log) as (url, pid):
        async with ModelServer(message=script(LOOKUP)) as server:
            provider = {"name": "words", "provider_type": kind, "endpoint": url}
            summary = await api.agenerate(
                bench.open(bench.config(server.url, mcp_providers=[provider]))
            )
        assert stored_records(summary.version)[0]["it"] == "quay means yauq" and alive(
            pid
        )


async def test_anthropics_format_with_thinking_sent_back(bench: Bench) -> None:
    thought = [
        {"type": "thinking", "thinking": "A word. I look it up.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHh4"},
    ]

    def blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
        last = body["messages"][-1]["content"]
        results = [block for block in last if block["type"] == "tool_result"]
        if results:
            return [
                {
                    "type": "text",
                    "text": " | ".join(block["content"] for block in results),
                }
            ]
        wanted = [
            ("t1", "lookup", {"word": "quay"}),
            ("t2", "add", {"first": 1, "second": 2}),
        ]
        uses = [
            {"type": "tool_use", "id": key, "name": name, "input": given}
            for key, name, given in wanted
        ]
        return [*thought, {"type": "text", "text": "Let me see."}, *uses]

    async with AnthropicServer(blocks=blocks) as server:
        provider = {"name": "p", "provider_type": "anthropic", "endpoint": server.url}
        _, records = await bench.make(bench.config(None, model_providers=[provider]))
        assert records[0]["it"] == "quay means yauq | 3"
        first, second = server.requests
        assert first["tools"][0]["name"] == "lookup" and first["tools"][0][
            "input_schema"
        ]["required"] == ["word"]
        assistant, user = second["messages"][1:]
        assert assistant["content"][:2] == thought
        assert [block["type"] for block in assistant["content"][2:]] == [
            "text",
            "tool_use",
            "tool_use",
        ]
        assert [block["tool_use_id"] for block in user["content"]] == ["t1", "t2"]


async def test_calls_of_one_reply_are_one_turn_and_the_budget_ends_in_an_answer(
    bench: Bench,
) -> None:
    both = tool_calls(("lookup", {"word": "ab"}), ("lookup", {"word": "cd"}))

    def answer(body: dict[str, Any]) -> Message:
        return (
            {"role": "assistant", "content": told(body)[-1]}
            if body.get("tool_choice") == "none"
            else both
        )

    async with ModelServer(message=answer) as server:
        _, records = await bench.make(
            bench.config(server.url, tools={"max_tool_call_turns": 2})
        )
        assert len(server.requests) == 4, "two turns, a refused one, the answer"
        assert told(server.requests[-1])[:4] == ["ab means ba", "cd means dc"] * 2
    assert len(calls(bench.log)) == 4
    assert records[0]["it"].startswith(
        "Not called: the 2 turns in which tools may be called are used up"
    )


async def test_a_model_that_never_answers_fails_its_record(bench: Bench) -> None:
    async with ModelServer(message=lambda body: LOOKUP) as server:
        settings = {
            "max_conversation_correction_steps": 1,
            "max_conversation_restarts": 1,
        }
        config = bench.config(
            server.url,
            tools={"max_tool_call_turns": 1},
            run={**settings, "max_failure_rate": 1.0},
        )
        summary, records = await bench.make(config)
        for body in server.requests:
            asked = [
                call["id"]
                for message in body["messages"]
                for call in message.get("tool_calls", [])
            ]
            assert len(told(body)) == len(asked), (
                "every call has an answer, or servers refuse the conversation"
            )
    (failure,) = bench.failures(summary)
    assert records == {} and failure.kind == "malformed" and len(calls(bench.log)) == 1


async def test_a_tool_that_is_not_allowed_is_refused_and_never_called(
    bench: Bench,
) -> None:
    other = tool_calls(("add", {"first": 1, "second": 2}), ("lookup", {"word": "ab"}))
    async with ModelServer(message=script(other)) as server:
        _, records = await bench.make(
            bench.config(server.url, tools={"allow_tools": ["lookup"]})
        )
        assert [tool["function"]["name"] for tool in server.requests[0]["tools"]] == [
            "lookup"
        ]
    assert records[0]["it"] == (
        "Not called: no tool 'add' is available; there is 'lookup' | ab means ba"
    )
    assert calls(bench.log) == ['lookup {"word": "ab"}']


async def test_what_goes_wrong_with_a_tool_is_told_to_the_model(bench: Bench) -> None:
    wrong = tool_calls(
        ("fail", {"why": "closed today"}),
        ("wait", {"seconds": 60}),
        ("add", {"first": "x", "second": 1}),
    )
    wrong["tool_calls"].append(
        {
            **LOOKUP["tool_calls"][0],
            "function": {"name": "lookup", "arguments": '{"word": '},
        }
    )
    async with ModelServer(message=script(wrong)) as server:
        _, records = await bench.make(
            bench.config(server.url, tools={"timeout_sec": 3.0})
        )
    failed, late, unfit, broken = records[0]["it"].split(" | ")
    assert failed.startswith("Error: ") and "closed today" in failed
    assert late == "Error: no result within 3 s"
    assert unfit.startswith("Error: ") and "first" in unfit
    assert broken.startswith("Not called: the arguments are not a JSON object")


async def test_a_retried_request_keeps_what_tools_have_said(bench: Bench) -> None:
    faults = [None, status(500), Fault("reset"), None]
    async with ModelServer(message=script(LOOKUP), faults=faults) as server:
        config = bench.config(server.url)
        _, records = await bench.make(config)
        assert records[0]["it"] == "quay means yauq" and len(server.requests) == 4
        assert api.status(bench.open(config)).usage["writer"]["requests"] == 4
    assert len(calls(bench.log)) == 1


async def test_a_fresh_conversation_keeps_what_tools_have_said(bench: Bench) -> None:
    bad = {"role": "assistant", "content": "no code"}
    code = {"role": "assistant", "content": "```python\nx = 1\n```"}

    def answer(body: dict[str, Any]) -> Message:
        return (
            LOOKUP
            if not told(body)
            else code
            if len(server.requests) == 4
            else {**bad, "content": "```sql\nx\n```"}
        )

    column = {
        **llm("it", "Code", tool_alias="t"),
        "column_type": "llm-code",
        "code_lang": "python",
    }
    async with ModelServer(message=answer) as server:
        run = {"max_conversation_correction_steps": 1, "max_conversation_restarts": 1}
        _, records = await bench.make(bench.config(server.url, column=column, run=run))
        assert records[0]["it"] == "x = 1" and len(calls(bench.log)) == 1
        roles = [
            [message["role"] for message in body["messages"]]
            for body in server.requests
        ]
        known = ["user", "assistant", "tool"]
        assert roles == [["user"], known, [*known, "assistant", "user"], known]


async def test_structured_values_with_tools(bench: Bench) -> None:
    column = structured("it", "Which?", object_of(word="string"), tool_alias="t")

    def answer(body: dict[str, Any]) -> Message:
        assert "response_format" not in body, (
            "servers that are given both let no tool be called"
        )
        assert "<response_schema>" in str(body["messages"][0]["content"])
        return (
            LOOKUP
            if not told(body)
            else {"role": "assistant", "content": '{"word": "quay"}'}
        )

    async with ModelServer(message=answer) as server:
        _, records = await bench.make(bench.config(server.url, column=column))
        assert records[0]["it"] == {"word": "quay"} and len(server.requests) == 2


async def test_structured_values_with_tools_in_anthropics_format(bench: Bench) -> None:
    column = structured("lookup", "Which?", object_of(word="string"), tool_alias="t")

    def blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
        names = [tool["name"] for tool in body["tools"]]
        assert names[-1] == "lookup_reply", (
            "the tool that takes the answer is not confused with one of the same name"
        )
        forced = body.get("tool_choice") == {
            "type": "tool",
            "name": "lookup_reply",
            "disable_parallel_tool_use": True,
        }
        if forced:
            return [
                {
                    "type": "tool_use",
                    "id": "t9",
                    "name": "lookup_reply",
                    "input": {"word": "quay"},
                }
            ]
        return [
            {
                "type": "tool_use",
                "id": "t1",
                "name": "lookup",
                "input": {"word": "quay"},
            }
        ]

    async with AnthropicServer(blocks=blocks) as server:
        provider = {"name": "p", "provider_type": "anthropic", "endpoint": server.url}
        tools = {"max_tool_call_turns": 1}
        _, records = await bench.make(
            bench.config(None, column=column, tools=tools, model_providers=[provider])
        )
        assert records[0]["lookup"] == {"word": "quay"} and len(server.requests) == 3


async def test_a_server_that_dies_costs_no_record(bench: Bench, tmp_path: Path) -> None:
    dies = tool_calls(("die", {"once": str(tmp_path / "died")}))
    async with ModelServer(message=script(dies)) as server:
        _, records = await bench.make(bench.config(server.url))
    assert records[0]["it"] == "alive" and len(processes(bench.log)) == 2


async def test_a_server_that_keeps_dying_fails_the_record_which_the_next_run_makes(
    bench: Bench,
) -> None:
    answers = [tool_calls(("die", {}))]
    async with ModelServer(
        message=lambda body: answers[-1] if not told(body) else script()(body)
    ) as server:
        config = bench.config(server.url, run={"max_failure_rate": 1.0})
        summary, records = await bench.make(config)
        (failure,) = bench.failures(summary)
        assert records == {} and (failure.column, failure.kind, failure.attempts) == (
            "it",
            "transient",
            1,
        )
        assert "MCP provider 'words' closed the connection twice" in failure.message
        answers.append(LOOKUP)
        _, records = await bench.make(config)
    assert records[0]["it"] == "quay means yauq"


async def test_a_paid_cell_is_neither_asked_nor_looked_up_again(bench: Bench) -> None:
    first = llm("it", "What is it?", tool_alias="t", with_trace="all_messages")
    second = llm("after", "Next to {{ it }}")

    def answer(body: dict[str, Any]) -> Message | None:
        return script(LOOKUP)(body) if "tools" in body else None

    async with ModelServer(message=answer, faults=[None, None, status(400)]) as server:
        config = bench.config(
            server.url, run={"max_failure_rate": 1.0}, columns=[first, second]
        )
        _, records = await bench.make(config)
        assert records == {} and len(server.requests) == 3
        _, records = await bench.make(config)
        assert records[0]["it"] == "quay means yauq" and len(server.requests) == 4
        assert [message["role"] for message in records[0]["it__trace"]] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
    assert len(calls(bench.log)) == 1


async def test_no_slot_of_the_model_is_held_while_a_tool_works(bench: Bench) -> None:
    columns = [llm("slow", "slow", tool_alias="t"), llm("quick", "quick")]

    def answer(body: dict[str, Any]) -> Message | None:
        return tool_calls(("wait", {"seconds": 600})) if "tools" in body else None

    async with ModelServer(message=answer) as server:
        config = bench.config(server.url, columns=columns, tools={"timeout_sec": 600.0})
        config["model_configs"][0]["inference_parameters"]["max_parallel_requests"] = 1
        run = asyncio.create_task(api.agenerate(bench.open(config)))
        while not calls(bench.log) or "quick" not in server.prompts:
            assert not run.done()
            await asyncio.sleep(0.01)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert not any(map(alive, processes(bench.log)))


async def test_the_simulated_provider_calls_no_tools(bench: Bench) -> None:
    _, records = await bench.make(bench.config(None))
    assert records[0]["it"].startswith("[simulated]") and calls(bench.log) == []


BOTH = ("words", "more")
MISSPELT = {"tool_alias": "t", "providers": ["words"], "allow_tools": ["lokup"]}
TWICE = {"tool_alias": "t", "providers": BOTH}
NO_PROGRAM = [
    {"name": name, "provider_type": "stdio", "command": "no-such-program"}
    for name in BOTH
]
NOBODY = [
    {"name": name, "provider_type": "sse", "endpoint": "http://127.0.0.1:9/"}
    for name in BOTH
]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tool_configs": [MISSPELT]},
            r"tool_configs\[t\]: no provider offers 'lokup'; did you mean 'lookup'",
        ),
        ({"tool_configs": [TWICE]}, "tool 'lookup' is offered by 'words' and 'more'"),
        ({"mcp_providers": NO_PROGRAM}, "MCP provider 'words' cannot be used"),
        ({"mcp_providers": NOBODY}, "MCP provider 'words' cannot be used"),
    ],
)
async def test_what_is_wrong_with_tools_is_found_before_a_model_is_asked(
    bench: Bench, changes: dict[str, Any], message: str
) -> None:
    providers = [stdio_provider("words"), stdio_provider("more")]
    async with ModelServer(message=script(LOOKUP)) as server:
        with pytest.raises(PermanentModelError, match=message):
            await bench.make(
                bench.config(server.url, **{"mcp_providers": providers, **changes})
            )
        assert server.requests == [] and not (bench.folder / "root").exists()


async def test_names_that_two_providers_share_may_be_told_apart_by_what_is_allowed(
    bench: Bench,
) -> None:
    providers = [
        stdio_provider("words", "--tools", "lookup", "add"),
        stdio_provider("more", "--tools", "fail", "add"),
    ]
    tools = {"providers": ["words", "more"], "allow_tools": ["lookup", "fail"]}
    both = tool_calls(("lookup", {"word": "ab"}), ("fail", {"why": "x"}))
    async with ModelServer(message=script(both)) as server:
        _, records = await bench.make(
            bench.config(server.url, tools=tools, mcp_providers=providers)
        )
    assert records[0]["it"].startswith("ab means ba | Error: ")


def test_opening_a_dataset_starts_nothing(bench: Bench) -> None:
    bench.open(bench.config("http://127.0.0.1:9/v1"))
    assert processes(bench.log) == []


def provider_of(kind: str, **more: str) -> dict[str, Any]:
    return {"mcp_providers": [{"name": "words", "provider_type": kind, **more}]}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"column": llm("it", "x", tool_alias="tt")},
            "columns[0].tool_alias: no tool config has the alias 'tt'; there is 't'",
        ),
        (
            {"tools": {"providers": ["word"]}},
            "tool_configs[0].providers[0]: mcp_providers has no 'word'; did you mean 'words'?",
        ),
        ({"tools": {"max_tool_call_turns": 0}}, "tool_configs[0].max_tool_call_turns"),
        ({"tools": {"allow": ["x"]}}, "tool_configs[0].allow: unknown key 'allow'"),
        (provider_of("stdio"), "mcp_providers[0].command: required"),
        (
            provider_of("http", endpoint="http://h"),
            "mcp_providers[0]: unknown provider_type 'http'",
        ),
        (provider_of("sse", endpoint="h:80"), "endpoint is not a URL"),
        (provider_of("sse", endpoint="http://u:pw@h"), "user name or password"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(
    bench: Bench, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as error:
        bench.open(bench.config(None, **changes))
    assert problem in str(error.value) and "pw" not in str(error.value)


@pytest.mark.parametrize(
    "provider",
    [
        {
            "name": "words",
            "provider_type": "sse",
            "endpoint": "http://h/",
            "api_key": "sk-abcdef0123456789",
        },
        {
            "name": "words",
            "provider_type": "stdio",
            "command": "x",
            "env": {"TOKEN": "sk-abcdef0123456789"},
        },
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(
    bench: Bench, provider: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="environment variable") as error:
        bench.open(bench.config(None, mcp_providers=[provider]))
    assert "abcdef" not in str(error.value)


def test_a_builder_config_of_data_designer_with_its_providers_beside_it(
    bench: Bench,
) -> None:
    config = bench.config(None)
    block = {
        "columns": [
            {**llm("it", "x"), "tool_alias": "t"},
            {**llm("other", "x"), "tool_alias": None},
        ],
        "model_configs": config["model_configs"],
        "tool_configs": [
            {
                "tool_alias": "t",
                "providers": ["words"],
                "allow_tools": None,
                "max_tool_call_turns": 3,
                "timeout_sec": None,
            }
        ],
    }
    beside = {
        key: config[key]
        for key in ("name", "num_records", "model_providers", "mcp_providers")
    }
    dataset = bench.open({**beside, "data_designer": block})
    (tools,) = dataset.plan.tools.configs.values()
    assert (tools.max_tool_call_turns, tools.timeout_sec, tools.allow_tools) == (
        3,
        60.0,
        None,
    )
    assert set(dataset.plan.tools.providers) == {"words"}
    text = api.import_builder_config(bench.folder / "tickets.yaml").text
    assert "mcp_providers:" in text and "max_tool_call_turns: 3" in text


async def test_a_relative_path_of_a_command_starts_at_the_dataset_file(
    bench: Bench,
) -> None:
    provider = stdio_provider("words", "--log", bench.log)
    here = bench.folder / "serve.py"
    here.write_text(
        Path(provider["args"][0]).read_text(encoding="utf-8"), encoding="utf-8"
    )
    provider["args"][0] = "serve.py"
    rows = await asyncio.to_thread(
        api.check_tools, bench.open(bench.config(None, mcp_providers=[provider]))
    )
    assert [(row.kind, row.name, row.ok) for row in rows] == [
        ("provider", "words", True),
        ("tool_alias", "t", True),
    ]
    assert (
        "lookup" in rows[0].tools
        and rows[0].latency is not None
        and rows[0].latency > 0
    )
