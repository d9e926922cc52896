"""MCP servers (`mcp_providers`) and what columns may use of them (`tool_configs`). The vocabulary is Data Designer's."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictStr

from sdg_core.config.addresses import endpoint_address
from sdg_core.config.base import ConfigModel, NonEmptyStr, PositiveInt
from sdg_core.config.models import Seconds

_STARTUP_TIMEOUT = 120.0


class StdioMcpProvider(ConfigModel):
    """A server started as a process in the directory of the dataset file, reached over stdin and stdout.

    env: environment variables of the process; each value is the name of the local variable to copy.
    startup_timeout_sec: seconds to wait until the server is ready, and again until it has listed its tools.
    """

    name: NonEmptyStr
    provider_type: Literal["stdio"] = "stdio"
    command: NonEmptyStr
    args: tuple[StrictStr, ...] = ()
    env: dict[NonEmptyStr, StrictStr] = {}
    startup_timeout_sec: Seconds = _STARTUP_TIMEOUT


class HttpMcpProvider(ConfigModel):
    """A running server. `api_key` is the name of the environment variable with the token, sent as `Bearer`.

    startup_timeout_sec: seconds to wait until the server is ready, and again until it has listed its tools.
    """

    name: NonEmptyStr
    provider_type: Literal["sse", "streamable_http"]
    endpoint: Annotated[NonEmptyStr, AfterValidator(endpoint_address)]
    api_key: StrictStr | None = None
    startup_timeout_sec: Seconds = _STARTUP_TIMEOUT


McpProvider = Annotated[
    StdioMcpProvider | HttpMcpProvider, Field(discriminator="provider_type")
]


class ToolConfig(ConfigModel):
    """The tools that a column with this `tool_alias` lets its model call.

    allow_tools: names of the allowed tools; default: all tools of the providers. max_tool_call_turns: maximum number
    of replies with tool calls per cell; several calls in one reply count once. timeout_sec: seconds per call.
    """

    tool_alias: NonEmptyStr
    providers: Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)]
    allow_tools: Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)] | None = None
    max_tool_call_turns: PositiveInt = 5
    timeout_sec: Seconds = 60.0
