"""Images that a server answers with: from where one is fetched, and whether what came is one.

A server names the address, so it could have this machine read pages of its network and send them on. An image comes from the
endpoint itself, from hosts known to go with it, or from those that the user's settings allow; private addresses only from the
endpoint itself.
"""

import errno
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.plan.project import project_of
from sdg_core.plan.variables import host_of, is_this_machine
from sdg_core.system import environment_variables

_VARIABLES = (
    environment_variables.ALLOW_IMAGE_HOSTS.name,
    environment_variables.ALLOW_PICTURE_HOSTS.name,
)
_KEYS = ("allow_image_hosts", "allow_picture_hosts")
"""In pyproject.toml. The second name of each setting is that of earlier releases."""
_GO_WITH: Mapping[str, tuple[str, ...]] = {
    "api.openai.com": (
        "oaidalleapiprodscus.blob.core.windows.net",
        "*.oaiusercontent.com",
    ),
    "api.together.xyz": ("api.together.ai", "*.together.ai", "*.together.xyz"),
    "api.together.ai": ("*.together.ai", "*.together.xyz"),
    "api.x.ai": ("*.x.ai",),
    "openrouter.ai": ("*.openrouter.ai",),
    "api.fireworks.ai": ("*.fireworks.ai",),
    "api.deepinfra.com": ("*.deepinfra.com",),
    "api.replicate.com": ("replicate.delivery", "*.replicate.delivery"),
}
"""Where hosted services keep the images that they have made."""


def check_address(
    address: str, *, endpoint: URL, env: Mapping[str, str] | None = None
) -> URL:
    """The address if an image may be fetched there. Raises PermanentModelError."""
    try:
        url = URL(address)
        origin = url.origin()
    except ValueError:
        raise PermanentModelError(
            f"the server answered with an image at {address[:200]!r}, which is not a URL"
        ) from None
    if url.scheme not in ("http", "https"):
        raise PermanentModelError(
            f"the server answered with an image at {address[:200]!r}, which is not an http(s) URL"
        )
    if _is_same_place(origin, endpoint.origin()):
        return url
    host = host_of(str(origin))
    own_host = host_of(str(endpoint))
    allowed = allowed_hosts(os.environ if env is None else env, Path.cwd())
    patterns = (*_GO_WITH.get(own_host, ()), *allowed)
    if not any(fnmatchcase(host, pattern) for pattern in patterns):
        raise PermanentModelError(
            f"the server at {own_host} answered with an image at another host, {host}, which is not fetched",
            remedy=f"if this is intended, allow the host in pyproject.toml ([tool.sdg] "
            f'allow_image_hosts = ["{host}"]) or by '
            f"{_VARIABLES[0]}={host}",
        )
    if _is_private(host):
        raise PermanentModelError(
            f"the server answered with an image at the private address {host}, which is not fetched"
        )
    return url


def _is_same_place(origin: URL, endpoint: URL) -> bool:
    """Whether an image comes from the endpoint: any port of a public host, the same port of a machine here. What a name leads
    to is not known here: a connection to another port is one of `PublicResolver`."""
    if origin == endpoint:
        return True
    host = host_of(str(endpoint))
    return (
        "." in host
        and not _is_private(host)
        and not _is_address(host)
        and host == host_of(str(origin))
    )


def allowed_hosts(env: Mapping[str, str], working_directory: Path) -> tuple[str, ...]:
    """Host patterns of the user's settings. What is not understood there allows nothing."""
    import tomllib

    try:
        text = (project_of(working_directory) / "pyproject.toml").read_text(
            encoding="utf-8"
        )
        settings = tomllib.loads(text).get("tool", {}).get("sdg", {})
        sections = [settings.get(key, []) for key in _KEYS]
    except (OSError, ValueError, AttributeError):
        sections = []
    hosts: list[str] = []
    for section in sections:
        if isinstance(section, str):
            hosts.append(section)
        elif isinstance(section, list):
            hosts += [host for host in section if isinstance(host, str)]
    for variable in _VARIABLES:
        hosts += env.get(variable, "").split()
    return tuple(map(str.lower, hosts))


class PublicResolver(aiohttp.ThreadedResolver):
    """Names of hosts that are not the endpoint: addresses of this machine and its network do not count."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        """The addresses of a host. Raises OSError if none is public."""
        found = await super().resolve(host, port, family)
        public = [address for address in found if not _is_private(address["host"])]
        if not public:
            raise OSError(errno.EHOSTUNREACH, f"{host} has private addresses only")
        return public


def check_content(content: bytes, *, where: str) -> None:
    """Raise TransientModelError for what is no image, or one that ends too early."""
    kinds = [name for name, starts in _STARTS.items() if starts(content)]
    if not kinds:
        raise TransientModelError(
            f"{where} answered with something that is not an image: {content[:40]!r}"
        )
    kind = kinds[0]
    if not _is_whole(kind, content):
        raise TransientModelError(
            f"{where} answered with an image ({kind}, {len(content):,} bytes) that ends too early"
        )


_BRANDS = frozenset(
    (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
)
"""Those of images; videos have the same container."""
_BEFORE_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s++|<\?[^>]{0,999}>|<!--(?:(?!-->).){0,9999}-->|<!DOCTYPE svg[^>\[]{0,999}>){0,99}<svg[\s>]",
    re.DOTALL,
)
"""An SVG image as a whole: a page with one in it begins with another element."""
_STARTS: Mapping[str, Callable[[bytes], bool]] = {
    "PNG": lambda content: content.startswith(b"\x89PNG\r\n\x1a\n"),
    "JPEG": lambda content: content.startswith(b"\xff\xd8\xff"),
    "GIF": lambda content: content.startswith((b"GIF87a", b"GIF89a")),
    "WebP": lambda content: content[:4] == b"RIFF" and content[8:12] == b"WEBP",
    "BMP": lambda content: content.startswith(b"BM"),
    "TIFF": lambda content: content.startswith((b"II*\0", b"MM\0*")),
    "AVIF or HEIF": lambda content: (
        content[4:8] == b"ftyp" and content[8:12] in _BRANDS
    ),
    "JPEG XL": lambda content: content.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    "SVG": lambda content: _BEFORE_SVG.match(content) is not None,
}
_PNG_HEADER = b"\0\0\0\rIHDR"
_CHUNK_OVERHEAD = 12


def _is_whole(kind: str, content: bytes) -> bool:
    """Whether an image has its end, for kinds that say so; padding behind the end does no harm."""
    match kind:
        case "PNG":
            return _is_whole_png(content)
        case "JPEG":
            return b"\xff\xd9" in content[-1024:]
        case "GIF":
            return content.rstrip(b"\0").endswith(b";")
        case "WebP":
            return len(content) >= 8 + int.from_bytes(content[4:8], "little")
        case "BMP":
            return len(content) >= int.from_bytes(content[2:6], "little")
        case "SVG":
            return content.rstrip().endswith((b"</svg>", b"-->"))
        case _:
            return True


def _is_whole_png(content: bytes) -> bool:
    """Whether its chunks lead from the header over data to the end."""
    place = 8
    if content[place : place + len(_PNG_HEADER)] != _PNG_HEADER:
        return False
    has_data = False
    while place + _CHUNK_OVERHEAD <= len(content):
        kind = content[place + 4 : place + 8]
        if kind == b"IEND":
            return has_data
        has_data = has_data or kind == b"IDAT"
        place += _CHUNK_OVERHEAD + int.from_bytes(content[place : place + 4], "big")
    return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_private(host: str) -> bool:
    """Whether a host is an address that is not public, or a name that never is."""
    if is_this_machine(host) or host.endswith((".local", ".internal", ".localdomain")):
        return True
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return False
