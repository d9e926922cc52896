"""Model providers (an endpoint and its account) and model configs (a model there, with its parameters)."""

from typing import Annotated, Literal

from pydantic import Field, StrictStr, StringConstraints, model_validator

from sdg_core.config.base import Bool, ConfigModel, JsonObject, NonEmptyStr, PositiveInt

EnvVar = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Seconds = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


class Simulation(ConfigModel):
    """How the simulated provider behaves: `latency` is the time of one reply in seconds."""

    latency: Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)] = 0.0


class ModelProvider(ConfigModel):
    """An endpoint that answers chat requests.

    `api_key` is the name of the environment variable that holds the key. `endpoint_env` names a variable which, when set,
    turns a simulated provider into an OpenAI-compatible one at that address: rehearse first, run for real without an edit.
    """

    name: NonEmptyStr
    provider_type: Literal["openai", "simulated"] = "openai"
    endpoint: NonEmptyStr | None = None
    endpoint_env: EnvVar | None = None
    api_key: StrictStr | None = None
    extra_body: JsonObject | None = None
    extra_headers: dict[str, StrictStr] | None = None
    simulation: Simulation = Simulation()

    @model_validator(mode="after")
    def _reachable(self) -> "ModelProvider":
        if self.provider_type == "openai" and self.endpoint is None:
            raise ValueError(
                f"provider {self.name!r} has no endpoint; give its base URL, such as http://127.0.0.1:8000/v1"
            )
        if self.endpoint is not None and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("endpoint is not a URL; it starts with http:// or https://")
        if self.endpoint is not None and "@" in self.endpoint.split("/")[2]:
            raise ValueError("endpoint holds a user name or password, which do not belong in a file; use api_key")
        return self


class InferenceParameters(ConfigModel):
    """Sampling parameters of a chat model, and how hard it may be driven (`timeout` in seconds per request)."""

    generation_type: Literal["chat-completion"] = "chat-completion"
    temperature: Annotated[float, Field(ge=0, le=2, strict=True)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    max_tokens: PositiveInt | None = None
    max_parallel_requests: PositiveInt = 4
    timeout: Seconds = 60.0
    extra_body: JsonObject | None = None


class ModelConfig(ConfigModel):
    """A model under the alias that columns use. `model_env` goes with its provider's `endpoint_env`."""

    alias: NonEmptyStr
    model: NonEmptyStr
    provider: NonEmptyStr
    model_env: EnvVar | None = None
    inference_parameters: InferenceParameters = InferenceParameters()
    skip_health_check: Bool = False
