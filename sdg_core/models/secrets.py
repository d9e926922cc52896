"""Keys and other secrets, which the config names and the environment holds.

Invariant: what is missing is reported by the name of its variable, before anything is sent; no message contains a value.
"""

from collections.abc import Mapping

from sdg_core.config.models import ModelProvider, is_variable
from sdg_core.errors import PermanentModelError


def api_key(provider: ModelProvider, env: Mapping[str, str]) -> str | None:
    """The provider's key; None for a provider without one. A simulated provider is not asked for its key."""
    variable = provider.api_key
    if provider.provider_type == "simulated" or not variable:
        return None
    # perhaps the key itself, so it is not repeated here
    if not variable.isidentifier():
        raise PermanentModelError(
            f"api_key of provider {provider.name!r} is not the name of an environment variable",
            remedy="put the key into a variable, such as export MY_KEY=..., and write api_key: MY_KEY",
        )
    key = env.get(variable, "").strip()
    if not key:
        raise PermanentModelError(
            f"provider {provider.name!r} takes its API key from environment variable {variable}, which is not set",
            remedy=f"export {variable}=...",
        )
    if not (key.isascii() and key.isprintable()):
        raise PermanentModelError(
            f"environment variable {variable} (provider {provider.name!r}) contains characters that no API key has",
            remedy=f"export {variable}=... again, on one line",
        )
    return key


def extra_headers(provider: ModelProvider, env: Mapping[str, str]) -> dict[str, str]:
    """The provider's headers, with `$NAME` replaced by the value of that environment variable."""
    headers = {}
    for name, value in (provider.extra_headers or {}).items():
        if provider.provider_type != "simulated" and is_variable(value):
            value = secret(
                env, value[1:], place=f"header {name} of provider {provider.name!r}"
            )
        headers[name] = value
    return headers


def secret(
    env: Mapping[str, str], variable: str, *, place: str, header: bool = True
) -> str:
    """What a variable holds, for `place`. Raises PermanentModelError if it is not set, or not fit for a `header`."""
    value = env.get(variable, "").strip()
    if not value:
        raise PermanentModelError(
            f"{place} is taken from environment variable {variable}, which is not set",
            remedy=f"export {variable}=...",
        )
    if header and not (value.isascii() and value.isprintable()):
        raise PermanentModelError(
            f"environment variable {variable} ({place}) contains characters that no header can have",
            remedy=f"export {variable}=... again, on one line",
        )
    return value
