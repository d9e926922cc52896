"""Where a variable of the environment may be sent. A dataset file names both, the variable and the host, and may be a stranger's.

Well-known API keys go to their own hosts and to this machine. Credentials of clouds and systems go nowhere. Every other
variable goes where the file says. The user's own settings allow further pairs: `[tool.sdg] allow_variables = {NAME = ["host"]}`
in the `pyproject.toml` of the working directory's project, or `SDG_ALLOW_VARIABLES="NAME=host NAME=host"`.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.models import is_variable
from sdg_core.config.pipeline import PipelineConfig
from sdg_core.config.processors import DecontaminateProcessor
from sdg_core.config.seeds import HuggingFaceSeedSource
from sdg_core.config.sources import HubSources
from sdg_core.config.tools import HttpMcpProvider
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.project import project_of
from sdg_core.system import environment_variables

SETTING = environment_variables.ALLOW_VARIABLES.name
_AZURE = ("*.azure.com", "*.azure-api.net", "*.microsoft.com")
_HUB = ("huggingface.co", "*.huggingface.co", "*.huggingface.cloud", "*.hf.space")
_GOOGLE = ("generativelanguage.googleapis.com", "*.aiplatform.googleapis.com")
OWN_HOSTS: Mapping[str, tuple[str, ...]] = {
    "OPENAI_API_KEY": ("api.openai.com", "*.api.openai.com"),
    "ANTHROPIC_API_KEY": ("api.anthropic.com",),
    "AZURE_OPENAI_API_KEY": _AZURE,
    "AZURE_API_KEY": _AZURE,
    "AZURE_INFERENCE_CREDENTIAL": _AZURE,
    "GEMINI_API_KEY": _GOOGLE,
    "GOOGLE_API_KEY": _GOOGLE,
    "MISTRAL_API_KEY": ("*.mistral.ai",),
    "COHERE_API_KEY": ("api.cohere.com", "api.cohere.ai"),
    "GROQ_API_KEY": ("api.groq.com",),
    "TOGETHER_API_KEY": ("api.together.xyz", "api.together.ai"),
    "OPENROUTER_API_KEY": ("openrouter.ai",),
    "DEEPSEEK_API_KEY": ("api.deepseek.com",),
    "FIREWORKS_API_KEY": ("api.fireworks.ai",),
    "XAI_API_KEY": ("api.x.ai",),
    "PERPLEXITY_API_KEY": ("api.perplexity.ai",),
    "NVIDIA_API_KEY": ("*.api.nvidia.com",),
    "NGC_API_KEY": ("*.nvidia.com",),
    "REPLICATE_API_TOKEN": ("api.replicate.com",),
    "HF_TOKEN": _HUB,
    "HUGGINGFACE_TOKEN": _HUB,
    "HUGGING_FACE_HUB_TOKEN": _HUB,
    "HUGGINGFACEHUB_API_TOKEN": _HUB,
}
"""Patterns of the hosts that a key is for; subdomains are spelt out."""
_SECRETS = (
    r"(AWS|GOOGLE|GCP|GCLOUD|CLOUDSDK|AZURE|ARM|DIGITALOCEAN|ALIBABA|ALICLOUD|OCI|IBMCLOUD|HEROKU|CLOUDFLARE|DAGSTER|KUBE|"
    r"VAULT|DOCKER|NPM|PYPI|TWINE|PG|POSTGRES|MYSQL|MYSQL8|REDIS|MONGO|MONGODB|SSH|GPG|CI|GH|GITHUB|GITLAB|BITBUCKET)(_.*)?"
    r"|PG(PASSWORD|PASSFILE|USER|SERVICE)|.*_(PASSWORD|PASSWD|PASSPHRASE|DSN|CONNECTION_STRING|PRIVATE_KEY|SECRET_ACCESS_KEY)"
    r"|PASSWORD|PASSWD|(.*_)?DATABASE_URL|DB_URL|SDG_LEDGER_URL|SDG_S3_.*"
)
_SYSTEM = r"HOME|USER|LOGNAME|PATH|SHELL|PWD|HOSTNAME|LD_.*|PYTHON.*|XDG_.*|DBUS_.*|SUDO_.*|.*_PROXY"


def check_variables(
    config: DatasetConfig | PipelineConfig,
    *,
    env: Mapping[str, str] | None = None,
    working_directory: FilePath | None = None,
) -> Problems:
    """Every variable that the file would send to a host where it does not belong."""
    sent = [*sent_variables(config)]
    if not sent:
        return
    allowed = allowed_pairs(
        os.environ if env is None else env, working_directory or FilePath.cwd()
    )
    for where, variable, url in sent:
        host = host_of(url)
        if not may_be_sent(variable, host, allowed=allowed):
            yield (
                where,
                f"environment variable {variable} may not be sent to {host}; if this is intended, allow "
                f"the pair in pyproject.toml "
                f'([tool.sdg] allow_variables = {{{variable} = ["{host}"]}}) or by {SETTING}="{variable}={host}"',
            )


def sent_variables(
    config: DatasetConfig | PipelineConfig,
) -> Iterator[tuple[Path, str, str]]:
    """The variables whose values leave for a host: place in the file, name, URL."""
    for index, provider in enumerate(config.model_providers):
        if (
            provider.provider_type in ("simulated", "custom")
            or provider.endpoint is None
        ):
            continue
        if provider.api_key and provider.api_key.isidentifier():
            yield (
                ("model_providers", index, "api_key"),
                provider.api_key,
                provider.endpoint,
            )
        for name, value in (provider.extra_headers or {}).items():
            if is_variable(value):
                yield (
                    ("model_providers", index, "extra_headers", name),
                    value[1:],
                    provider.endpoint,
                )
    for index, server in enumerate(config.mcp_providers):
        if isinstance(server, HttpMcpProvider) and server.api_key:
            yield ("mcp_providers", index, "api_key"), server.api_key, server.endpoint
    for where, source in _sources(config):
        if (
            isinstance(source, HuggingFaceSeedSource | HubSources)
            and source.token is not None
        ):
            yield (*where, "token"), source.token, source.endpoint


def _sources(config: DatasetConfig | PipelineConfig) -> Iterator[tuple[Path, Any]]:
    """Everything that the file reads data from, with its place."""
    if isinstance(config, PipelineConfig):
        yield ("sources",), config.sources
    elif config.seed_config is not None:
        yield ("seed_config", "source"), config.seed_config.source
    for index, processor in enumerate(config.processors):
        if isinstance(processor, DecontaminateProcessor):
            for number, evaluation in enumerate(processor.evaluation_sets):
                yield (
                    ("processors", index, "evaluation_sets", number, "source"),
                    evaluation.source,
                )


def may_be_sent(
    variable: str, host: str, *, allowed: Mapping[str, tuple[str, ...]]
) -> bool:
    """Whether a variable's value may be sent to a host. allowed: host patterns by variable, as the user's settings give them."""
    if _matches(host, allowed.get(variable, ())):
        return True
    name = variable.upper()
    if name in OWN_HOSTS:
        return is_this_machine(host) or _matches(host, OWN_HOSTS[name])
    return not (_is_like(variable, _SECRETS) or _is_like(variable, _SYSTEM))


def is_credential(variable: str) -> bool:
    """Whether a variable is known to hold a key or a password, which a process gets only where the file says so."""
    return variable.upper() in OWN_HOSTS or _is_like(variable, _SECRETS)


def _is_like(variable: str, pattern: str) -> bool:
    return re.fullmatch(pattern, variable, re.IGNORECASE) is not None


def is_this_machine(host: str) -> bool:
    """Whether a host name means the loopback interface by itself, without asking a name server."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str:
    """The host of a URL, in lower case; the URL itself if it has none."""
    try:
        return (urlsplit(url).hostname or url).rstrip(".").lower()
    except ValueError:
        return url


def allowed_pairs(
    env: Mapping[str, str], working_directory: FilePath
) -> dict[str, tuple[str, ...]]:
    """Host patterns by variable, as the user allows them. What is not understood there allows nothing."""
    import tomllib

    found: dict[str, tuple[str, ...]] = {}
    try:
        text = (project_of(working_directory) / "pyproject.toml").read_text(
            encoding="utf-8"
        )
        section = (
            tomllib.loads(text)
            .get("tool", {})
            .get("sdg", {})
            .get("allow_variables", {})
        )
    except (OSError, ValueError, AttributeError):
        section = {}
    if not isinstance(section, dict):
        section = {}
    for name, hosts in section.items():
        listed = [hosts] if isinstance(hosts, str) else hosts
        texts = [host for host in listed if isinstance(host, str)]
        found[name] = tuple(map(str.lower, texts))
    for pair in env.get(SETTING, "").split():
        name, _, host = pair.partition("=")
        found[name] = (*found.get(name, ()), host.lower())
    return found


_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+")
"""What a host name or an address consists of. Of anything else, another parser may see another host (`evil.com\\.azure.com`)."""


def _matches(host: str, patterns: tuple[str, ...]) -> bool:
    if _HOST.fullmatch(host) is None:
        return False
    return any(fnmatchcase(host, pattern) for pattern in patterns)
