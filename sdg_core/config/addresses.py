"""Web addresses in a file: they keep no secret, because a file is shared, and messages name the address."""

import re
from urllib.parse import parse_qsl, urlsplit

PORT = "{port}"
"""Stands for a free port in the endpoint and command of a server that is started for the run."""
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f]")
_SECRET_PARAMETER = re.compile(
    r"(.*[_-])?(key|apikey|token|secret|signature|sig|password|passwd|pwd)",
    re.IGNORECASE,
)
"""Names of parameters of a URL that hold what nobody else may know."""


def is_http_url(text: str) -> bool:
    """Whether text is meant as an address of http or https."""
    return text.startswith(("http://", "https://"))


def web_address(text: str, *, what: str = "endpoint", instead: str = "") -> str:
    """The text, if it is an address of http or https without a login or another secret. Raises ValueError.

    what: how messages call it. instead: what to do with a secret, for messages.
    """
    if not is_http_url(text):
        raise ValueError(f"{what} is not a URL; it starts with http:// or https://")
    if "@" in text.split("/")[2]:
        raise ValueError(
            f"{what} holds a user name or password, which must not be in a file{instead}"
        )
    if _NOT_IN_URLS.search(text):
        raise ValueError(
            f"{what} is not a URL; it contains a space or a control character"
        )
    try:
        parts = urlsplit(text.replace(PORT, "1"))
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{what} is not a URL: {error}") from None
    for name, value in parse_qsl(parts.query):
        if value and _SECRET_PARAMETER.fullmatch(name):
            raise ValueError(
                f"{what} holds a secret ({name}=...), which must not be in a file{instead}"
            )
    if "#" in text:
        raise ValueError(
            f"{what} has a fragment (#...), which is never sent; remove it"
        )
    if not parts.hostname or port == 0:
        raise ValueError(f"{what} is not a URL: it has no host, or port 0")
    return text


def endpoint_address(text: str) -> str:
    """An endpoint of a provider whose key is named apart. Raises ValueError."""
    return web_address(text, instead="; use api_key")


def hub_address(text: str) -> str:
    """An endpoint of a hub. Raises ValueError."""
    return web_address(text, instead="; use token")


def validator_address(text: str) -> str:
    """The address of a remote validator. Raises ValueError."""
    return web_address(text, what="the URL")


def check_file_path(text: str) -> None:
    """Raise ValueError for a path that is the address of a server."""
    scheme = re.match(r"([a-z][a-z0-9+.-]+)://", text, re.IGNORECASE)
    if scheme is not None:
        raise ValueError(
            f"path is an address ({scheme[1]}://...), not a local path; download the files first"
        )
