"""Model providers (an endpoint and its account) and model configs (a model there, with its parameters)."""

import shlex
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictStr,
    model_validator,
)

from sdg_core.config.addresses import PORT, endpoint_address
from sdg_core.config.base import (
    Bool,
    ConfigModel,
    EnvVar,
    JsonObject,
    NonEmptyStr,
    PositiveInt,
    Rate,
)
from sdg_core.config.distributions import Temperature, TopP

Seconds = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]


class Latency(ConfigModel):
    """Reply time in seconds: normally distributed, never below 0."""

    mean: Price
    stddev: Price = 0.0


def _latency(value: Any) -> Any:
    """One message for what is neither a number nor a distribution."""
    if isinstance(value, bool) or not isinstance(value, int | float | dict | Latency):
        raise ValueError("expected seconds, or {mean: seconds, stddev: seconds}")
    if isinstance(value, int | float):
        return {"mean": value}
    return value


class ReplyTokens(ConfigModel):
    """Reply length in tokens: normally distributed, at least one."""

    mean: Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False, le=100_000)]
    stddev: Price = 0.0


ANY_COLUMN = "*"


def _reply_tokens(value: Any) -> Any:
    """A length for all columns, or one for each; a number stands for a distribution without spread."""
    given = (
        {ANY_COLUMN: value}
        if not isinstance(value, dict) or {"mean"} <= value.keys()
        else value
    )
    wanted = "expected tokens, {mean: tokens, stddev: tokens}, or one of these for each column by name"
    found: dict[str, Any] = {}
    for name, length in given.items():
        if isinstance(length, bool) or not isinstance(
            length, int | float | dict | ReplyTokens
        ):
            raise ValueError(wanted)
        found[str(name)] = (
            {"mean": length} if isinstance(length, int | float) else length
        )
    return found


class Simulation(ConfigModel):
    """Behavior of the simulated provider. Which requests fail depends on the request and the attempt, never on timing.

    latency: seconds per reply. rate_limited, transient: share of requests that are rate-limited, or fail temporarily,
    before the reply. malformed: share of replies that are cut off, as from a model that breaks the format.
    reply_tokens: approximate reply length, by column (`*` for all other columns); null for a few sentences.
    """

    latency: Annotated[
        Latency, BeforeValidator(_latency, json_schema_input_type=Price | Latency)
    ] = Latency(mean=0.0)
    rate_limited: Rate = 0.0
    transient: Rate = 0.0
    malformed: Rate = 0.0
    reply_tokens: (
        Annotated[
            dict[str, ReplyTokens],
            BeforeValidator(
                _reply_tokens,
                json_schema_input_type=Price
                | ReplyTokens
                | dict[str, Price | ReplyTokens],
            ),
        ]
        | None
    ) = None

    def tokens_of(self, column: str) -> ReplyTokens | None:
        """About how long replies for a column are to be."""
        lengths = self.reply_tokens or {}
        return lengths.get(column, lengths.get(ANY_COLUMN))


ANTHROPIC_ENDPOINT = "https://api.anthropic.com"
SERVED_ENDPOINT = "http://127.0.0.1:{port}/v1"
_SERVED = ("openai", "anthropic")
_NOT_IN_FILES = frozenset(
    {"authorization", "x-api-key", "api-key", "proxy-authorization", "cookie"}
)


def _headers(value: dict[str, str]) -> dict[str, str]:
    """A secret does not belong in a file, where it would be shared and kept in version control."""
    for name, content in value.items():
        if name.lower() in _NOT_IN_FILES and not is_variable(content):
            raise ValueError(
                f"{name} holds a secret, which does not belong in a file; put the value into an environment variable "
                f"and write {name}: $MY_VARIABLE"
            )
    return value


def is_variable(header: str) -> bool:
    """Whether the value of a header stands for an environment variable, as `$NAME` does."""
    return header.startswith("$") and header[1:].isidentifier()


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _command(value: Any) -> Any:
    """A command as a list, or as one line that is split as a shell splits it; nothing else of a shell is done."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"the command cannot be split into words: {error}") from None


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("expected a path at the provider's endpoint, such as /health")
    return value


class Serve(ConfigModel):
    """A model server that the run starts, restarts and stops.

    command: the program and its arguments; `{port}` is replaced by the port. health: path that returns 2xx once the
    server is ready; default: the endpoint's `models`. gpus: device numbers, or the number of devices to use; default:
    all visible devices. ready_timeout: seconds until the server must be ready. env: environment variables of the
    server; each value is the name of the local variable to copy.
    """

    command: Annotated[
        tuple[NonEmptyStr, ...], BeforeValidator(_command), Field(min_length=1)
    ]
    health: Annotated[NonEmptyStr, AfterValidator(_path)] | None = None
    gpus: (
        Annotated[int, Field(ge=0, strict=True)]
        | tuple[Annotated[int, Field(ge=0, strict=True)], ...]
        | None
    ) = None
    ready_timeout: Seconds = 600.0
    env: dict[NonEmptyStr, EnvVar] = {}


class ModelProvider(ConfigModel):
    """An endpoint of one type of API, or (provider_type `custom`) a user class that answers requests.

    extra_headers: values are sent as is; a value of `$NAME` is read from that environment variable, for secrets.
    api_key: name of the environment variable that holds the key.
    endpoint_env: name of a variable that, when set, turns a simulated provider into an OpenAI-compatible one at that
    URL: rehearse first, then run for real without an edit.
    client: for a custom provider, `module:Class` or `./file.py:Class`; not needed if the client is passed in Python.
    serve: a server to start for the run; its endpoint is on this machine, by default `http://127.0.0.1:{port}/v1`.
    source_hash: computed when the class is loaded; a value in a file is ignored.
    """

    name: NonEmptyStr
    provider_type: Literal["openai", "anthropic", "simulated", "custom"] = "openai"
    endpoint: NonEmptyStr | None = None
    endpoint_env: EnvVar | None = None
    api_key: StrictStr | None = None
    extra_body: JsonObject | None = None
    extra_headers: Annotated[dict[str, StrictStr], AfterValidator(_headers)] | None = (
        None
    )
    simulation: Simulation = Simulation()
    client: NonEmptyStr | None = None
    serve: Serve | None = None
    source_hash: NonEmptyStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_endpoint(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("endpoint") is not None:
            return data
        if (
            data.get("serve") is not None
            and data.get("provider_type", "openai") in _SERVED
        ):
            return {**data, "endpoint": SERVED_ENDPOINT}
        if data.get("provider_type") == "anthropic":
            return {**data, "endpoint": ANTHROPIC_ENDPOINT}
        return data

    @model_validator(mode="after")
    def _reachable(self) -> "ModelProvider":
        if self.provider_type == "openai" and self.endpoint is None:
            raise ValueError(
                f"provider {self.name!r} has no endpoint; give its base URL, such as http://127.0.0.1:8000/v1"
            )
        if self.endpoint is not None:
            endpoint_address(self.endpoint)
        if self.client is not None and self.provider_type != "custom":
            raise ValueError(
                "client is valid only with provider_type: custom; remove it"
            )
        self._check_serve()
        return self

    def _check_serve(self) -> None:
        if self.serve is None:
            if self.endpoint is not None and PORT in self.endpoint:
                raise ValueError(
                    f"{PORT} in endpoint is valid only with serve; write the port"
                )
            return
        if self.provider_type not in _SERVED:
            raise ValueError(
                f"serve is valid only with provider_type: {' or '.join(_SERVED)}; remove it"
            )
        endpoint = self.endpoint or ""
        if urlsplit(endpoint).hostname not in _LOOPBACK:
            raise ValueError(
                f"serve starts a server on this machine, but endpoint is {endpoint}; write {SERVED_ENDPOINT}"
            )
        if not endpoint.startswith("http://"):
            raise ValueError("the endpoint of a served provider starts with http://")
        asked = PORT in endpoint
        used = any(PORT in part for part in self.serve.command)
        if asked and not used:
            raise ValueError(
                f"serve.command does not contain {PORT}, the port to listen on; add it, as in --port {PORT}"
            )
        if used and not asked:
            raise ValueError(
                f"serve.command contains {PORT}, but endpoint has a fixed port; write {SERVED_ENDPOINT}"
            )
        if not asked and urlsplit(endpoint).port is None:
            raise ValueError(f"endpoint has no port; write {SERVED_ENDPOINT}")


class InferenceParameters(ConfigModel):
    """Sampling parameters and request limits of a model (`timeout` in seconds per request).

    generation_type: the provider's service to call; sampling parameters apply to chat-completion only.
    encoding_format, dimensions: for embeddings only.
    """

    generation_type: Literal["chat-completion", "embedding", "image"] = (
        "chat-completion"
    )
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: PositiveInt | None = None
    max_parallel_requests: PositiveInt = 4
    timeout: Seconds = 60.0
    extra_body: JsonObject | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: PositiveInt | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> "InferenceParameters":
        chat = ("temperature", "top_p", "max_tokens")
        embedding = ("encoding_format", "dimensions")
        misfits = {
            "chat-completion": embedding,
            "embedding": chat,
            "image": (*chat, *embedding),
        }
        for name in misfits[self.generation_type]:
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name} is not valid with generation_type: {self.generation_type}; remove it"
                )
        return self


class Prices(ConfigModel):
    """The prices of a model in a currency of your choice: per million tokens, per image, per request.

    cached_tokens: price of prompt tokens served from the cache; default: the price of other prompt tokens.
    """

    prompt_tokens: Price = 0.0
    cached_tokens: Price | None = None
    completion_tokens: Price = 0.0
    images: Price = 0.0
    requests: Price = 0.0
    currency: NonEmptyStr = "USD"


class ModelConfig(ConfigModel):
    """A model and the alias that columns use for it. `model_env` complements its provider's `endpoint_env`.

    fallback: alias of the model to call when this one has failed permanently.
    """

    alias: NonEmptyStr
    model: NonEmptyStr
    provider: NonEmptyStr
    model_env: EnvVar | None = None
    inference_parameters: InferenceParameters = InferenceParameters()
    skip_health_check: Bool = False
    fallback: NonEmptyStr | None = None
    prices: Prices | None = None
