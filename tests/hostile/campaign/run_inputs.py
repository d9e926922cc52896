"""Run settings, and servers of tools."""

import random
from pathlib import Path
from typing import Any

import yaml

from tests.hostile import corpus
from tests.hostile.campaign.commands import Case
from tests.hostile.campaign.drawn import NUMBERS, ODD_TEXTS, dumped
from tests.hostile.campaign.outgoing_inputs import RECORDER
from tests.hostile.corpus import dataset, pipeline, text

Draw = random.Random


MCP_SERVER = Path(__file__).with_name("tool_server.py").read_text(encoding="utf-8")


def mcp_cases(draw: Draw) -> Case:
    """A tool server that answers with odd values, dies, or asks back; a model that calls its tools."""
    server = {
        "name": "s",
        "provider_type": "stdio",
        "command": "python3",
        "args": ["server.py", str(draw.random())],
        "env": {"TOKEN": "MY_KEY"},
        "startup_timeout_sec": 5,
    }
    tools = {
        "tool_alias": "t",
        "providers": ["s"],
        "timeout_sec": 3,
        "max_tool_call_turns": 2,
    }
    provider = {"name": "p", "endpoint": f"http://127.0.0.1:{RECORDER.port}/v1"}
    run = {"num_retries": 0, "max_failure_rate": 1.0, "stall_timeout": 60}
    content = dataset(
        text("call tools", tool_alias="t"),
        model_providers=[provider],
        mcp_providers=[server],
        tool_configs=[tools],
        run=run,
    )
    return Case(
        "tool servers",
        "",
        content,
        commands=("validate {file}", "check-models {file}", "generate {file}"),
        files={"server.py": MCP_SERVER},
    )


def setting_cases(draw: Draw) -> Case:
    """Run settings, executors and model servers of a file."""
    settings = [
        "resume",
        "when_claimed",
        "max_parallel_requests",
        "num_retries",
        "max_failure_rate",
        "max_missing_rate",
        "stall_timeout",
        "max_conversation_correction_steps",
        "max_conversation_restarts",
        "max_cost",
        "max_tokens",
        "executor",
        "max_attempts",
        "batch",
        "ray",
        "slurm",
        "num_cpus",
        "runtime_env",
    ]
    values: tuple[Any, ...] = (
        *NUMBERS,
        "ray",
        "slurm",
        "ray://127.0.0.1:1",
        {"num_cpus": 10**9},
        {"runtime_env": {"pip": ["x"]}},
        {"working_dir": "/"},
    )
    run = {name: draw.choice(values) for name in draw.sample(settings, 2)}
    model = {
        "alias": "w",
        "model": draw.choice(["m", *ODD_TEXTS[:12]]),
        "provider": "p",
    }
    names = [
        "temperature",
        "top_p",
        "max_tokens",
        "timeout",
        "max_parallel_requests",
        "extra_body",
        "generation_type",
        "seed",
    ]
    model["inference_parameters"] = {
        name: draw.choice(values) for name in draw.sample(names, 2)
    }
    provider = {
        "name": "p",
        "provider_type": "simulated",
        draw.choice(["latency", "faults", "serve", "prices", "endpoint"]): draw.choice(
            values
        ),
    }
    more: dict[str, Any] = {"run": run}
    if draw.random() < 0.7:
        more["model_configs"] = [model]
    if draw.random() < 0.4:
        more["model_providers"] = [provider]
    document = {**yaml.safe_load(dataset(text())), **more}
    if draw.random() < 0.3:
        document = {**yaml.safe_load(pipeline(corpus.STAGES[5])), "run": run}
    return Case("run settings", "", dumped(document), files={"a.md": "text"})
