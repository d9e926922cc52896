"""What the environment says about a dataset file: a rehearsal becomes a real run where `endpoint_env` and `model_env` are set."""

from collections.abc import Mapping
from typing import Any

from sdg_core.config.addresses import is_http_url
from sdg_core.config.yaml_document import Path

ProblemList = list[tuple[Path, str]]


def apply_environment(
    raw: dict[str, Any], env: Mapping[str, str]
) -> tuple[dict[str, Any], ProblemList]:
    """The raw config with its simulated providers switched to servers, and what is wrong with the variables."""
    problems: ProblemList = []
    providers, switched = _switch_providers(
        mappings(raw.get("model_providers")), env, problems
    )
    if not switched:
        return raw, problems
    models = []
    for index, model in enumerate(mappings(raw.get("model_configs"))):
        variable = model.get("model_env")
        if str(model.get("provider")) in switched and variable is not None:
            if not env.get(str(variable)):
                message = f"environment variable {variable} is not set, but the provider's endpoint_env is; set both"
                problems.append((("model_configs", index, "model_env"), message))
            else:
                model = {**model, "model": env[str(variable)]}
        models.append(model)
    return {
        **raw,
        "model_providers": providers,
        "model_configs": models or raw.get("model_configs", []),
    }, problems


def _switch_providers(
    given: list[dict[str, Any]], env: Mapping[str, str], problems: ProblemList
) -> tuple[list[dict[str, Any]], set[str]]:
    switched: set[str] = set()
    providers = []
    for index, provider in enumerate(given):
        variable = provider.get("endpoint_env")
        endpoint = env.get(str(variable))
        where: Path = ("model_providers", index, "endpoint_env")
        if variable is not None and provider.get("provider_type") != "simulated":
            problems.append(
                (where, "is valid only with provider_type: simulated; remove it")
            )
        elif endpoint and not is_http_url(endpoint):
            message = f"environment variable {variable} does not hold a URL; it starts with http:// or https://"
            problems.append((where, message))
        elif endpoint:
            provider = {**provider, "provider_type": "openai", "endpoint": endpoint}
            switched.add(str(provider.get("name")))
        providers.append(provider)
    return providers, switched


def mappings(value: Any) -> list[dict[str, Any]]:
    """The value if it is a list of mappings, else nothing; what else it may be is reported elsewhere."""
    if not isinstance(value, list):
        return []
    if not all(isinstance(item, dict) for item in value):
        return []
    return value
