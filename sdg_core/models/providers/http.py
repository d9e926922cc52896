"""One POST over HTTP to one provider, and its health check: what clients of all APIs have in common.

No retries, no waiting, no limit on connections, which are matters of the endpoint and its gate. Redirects are not followed: a
redirected POST turns into a GET, and the key would travel to another host. Headers go with each request, not with the session,
so that an image fetched from elsewhere is fetched without the key.
Invariant: whatever goes wrong leaves as a ModelError, and no error text, repr or answer contains a secret. For that reason the
causes of the HTTP library, which carry request headers, are not chained.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import aiohttp
from aiohttp.helpers import get_env_proxy_for_url
from multidict import CIMultiDict
from yarl import URL

from sdg_core.config.models import ModelProvider, is_variable
from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.models.providers.http_errors import (
    Caller,
    error_from_exception,
    error_from_status,
)
from sdg_core.models.providers.images import PublicResolver, check_address
from sdg_core.plan.variables import is_this_machine
from sdg_core.system.bounded_body import BodyTooLargeError, read_bounded, work_on

_CHECK_TIMEOUT = 10.0
_HEADER_BYTES = 2**16
"""What one header of an answer may have: gateways put policies and traces there, beyond the 8 KB that aiohttp allows."""

Decoded = TypeVar("Decoded")


@dataclass(frozen=True)
class _Target:
    """A URL, and the proxy on the way there with the login for it."""

    url: URL
    proxy: URL | None
    login: aiohttp.BasicAuth | None


class HttpSender:
    """One provider.

    headers: those that carry the key and the like. extra_headers: the provider's own with variables replaced by their values.
    wall_clock: what Retry-After dates are compared with.
    """

    def __init__(
        self,
        provider: ModelProvider,
        base: URL,
        *,
        headers: Mapping[str, str],
        api_key: str | None,
        extra_headers: Mapping[str, str] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        configured = provider.extra_headers or {}
        extra = configured if extra_headers is None else extra_headers
        secrets = [
            extra[name] for name, value in configured.items() if is_variable(value)
        ]
        self._wall_clock = wall_clock
        self._base = base
        self.caller = Caller(
            provider=provider.name,
            endpoint=str(base.with_query(None)),
            key_variable=provider.api_key or None,
            key=api_key,
            secrets=tuple(secrets),
        )
        self._headers = CIMultiDict({"Content-Type": "application/json", **headers})
        self._headers.update(extra)
        self._targets: dict[str, _Target] = {}
        self._session: aiohttp.ClientSession | None = None
        self._public: aiohttp.ClientSession | None = None

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        model: str,
        timeout: float,
        decode: Callable[[bytes], Decoded],
        headers: Mapping[str, str] | None = None,
    ) -> Decoded:
        """What `decode` makes of the body of a 2xx, which holds no secrets by then.

        `timeout` seconds cover connecting, waiting and reading. headers: for this request only.
        """
        sent = self._headers
        if headers:
            sent = self._headers.copy()
            sent.update(headers)
        target = self._target(path)
        try:
            async with self._open_session().post(
                target.url,
                data=body,
                headers=sent,
                proxy=target.proxy,
                proxy_auth=target.login,
                timeout=_within(timeout),
                allow_redirects=False,
            ) as response:
                status = response.status
                answered = response.headers
                content = await read_bounded(response.content)
        except BodyTooLargeError as error:
            raise PermanentModelError(
                f"model {model!r} of provider {self.caller.provider!r}: {error}"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise error_from_exception(
                error, caller=self.caller, model=model, timeout=timeout
            ) from None

        def read(content: bytes) -> Decoded:
            if not 200 <= status < 300:
                now = self._wall_clock()
                raise error_from_status(
                    status, answered, content, caller=self.caller, model=model, now=now
                )
            try:
                return decode(self.caller.redaction.body(content))
            except (
                ValueError,
                RecursionError,
            ) as error:  # what JSON can say and nothing here can hold
                reason = self.caller.redact(str(error)) or type(error).__name__
                raise TransientModelError(
                    f"{self.caller.where(model)} returned an unusable response: {reason}"
                ) from None

        return await work_on(content, read)

    async def fetch(
        self, url: str, *, model: str, timeout: float
    ) -> tuple[bytes, str | None]:
        """The content at a URL that a server answered with, and its media type. The key is not sent.

        Raises PermanentModelError for an address that is not the server's to name.
        """
        address = check_address(url, endpoint=self._base)
        session = (
            self._open_session()
            if address.origin() == self._base.origin()
            else self._open_public()
        )
        proxy, proxy_auth = _proxy_for(address)
        try:
            limit = aiohttp.ClientTimeout(total=timeout)
            async with session.get(
                address,
                timeout=limit,
                allow_redirects=False,
                proxy=proxy,
                proxy_auth=proxy_auth,
            ) as response:
                content = await read_bounded(response.content)
                status = response.status
                media_type = response.content_type
        except BodyTooLargeError as error:
            raise PermanentModelError(
                f"model {model!r} of provider {self.caller.provider!r}: {error}"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise error_from_exception(
                error, caller=self.caller, model=model, timeout=timeout
            ) from None
        if status != 200:
            raise TransientModelError(
                f"the image that model {model!r} made could not be fetched: {status}"
            )
        return await work_on(content, self.caller.redaction.body), media_type

    async def check(self, path: str = "models") -> None:
        """GET of a cheap route: any answer but 401 and 403 shows a live server, as some lack the route."""
        caller = self.caller
        timeout = aiohttp.ClientTimeout(total=_CHECK_TIMEOUT)
        target = self._target(path)
        try:
            async with self._open_session().get(
                target.url,
                headers=self._headers,
                timeout=timeout,
                allow_redirects=False,
                proxy=target.proxy,
                proxy_auth=target.login,
            ) as response:
                status = response.status
        except aiohttp.ClientResponseError:
            # an answer, if not one that can be read: what the replies are like, their own requests find out
            return
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = (
                f"no answer within {_CHECK_TIMEOUT:g} s"
                if isinstance(error, TimeoutError)
                else str(error)
            )
            raise PermanentModelError(
                f"the endpoint {caller.endpoint} of provider {caller.provider!r} cannot be reached: {caller.redact(reason)}",
                remedy=f"start the server, or correct model_providers[{caller.provider}].endpoint",
            ) from None
        if status in (401, 403):
            raise PermanentModelError(
                f"the endpoint {caller.endpoint} of provider {caller.provider!r} answered {status}: the "
                f"API key was rejected",
                remedy=caller.key_remedy(),
            )

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        sessions = (self._session, self._public)
        self._session = None
        self._public = None
        for session in sessions:
            if session is not None:
                await session.close()

    def _target(self, path: str) -> "_Target":
        """Where `base/path` is, keeping a query such as Azure's `?api-version=`, and the way there; found out once."""
        if path not in self._targets:
            url = self._base.joinpath(*path.split("/")).with_query(self._base.query)
            self._targets[path] = _Target(url, *_proxy_for(url))
        return self._targets[path]

    def _open_session(self) -> aiohttp.ClientSession:
        """The session belongs to the loop that sends the first request, so it cannot be made in the constructor."""
        if self._session is None:
            self._session = _new_session(aiohttp.TCPConnector(limit=0))
        return self._session

    def _open_public(self) -> aiohttp.ClientSession:
        """For hosts that are not the endpoint."""
        if self._public is None:
            self._public = _new_session(
                aiohttp.TCPConnector(limit=0, resolver=PublicResolver())
            )
        return self._public


@lru_cache(maxsize=64)
def _within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


def _new_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        max_field_size=_HEADER_BYTES,
    )


def _proxy_for(url: URL) -> tuple[URL | None, aiohttp.BasicAuth | None]:
    """The proxy that HTTP_PROXY and HTTPS_PROXY name for a URL, and its login; none for this machine and what NO_PROXY names.

    A session that trusts the environment would find it by itself, but would also send the login that `~/.netrc` has for the
    host, and a dataset file names the host. Raises PermanentModelError for a proxy that is none.
    """
    if is_this_machine(url.host or ""):
        return None, None
    try:
        proxy, login = get_env_proxy_for_url(url)
    except LookupError:
        return None, None
    except ValueError:
        proxy, login = None, None
    if proxy is None or proxy.scheme not in ("http", "https") or not proxy.host:
        raise PermanentModelError(  # the value may hold a login
            "the proxy that HTTP_PROXY or HTTPS_PROXY names is not an http(s) URL",
            remedy="write it as http://proxy.example:3128",
        )
    return proxy, login


def base_url(provider: ModelProvider) -> URL:
    """Where a provider is. Raises PermanentModelError for what is no URL."""
    try:
        return URL(provider.endpoint or "")
    except ValueError as error:
        raise PermanentModelError(
            f"the endpoint of provider {provider.name!r} is not a URL: {error}",
            remedy=f"correct model_providers[{provider.name}].endpoint",
        ) from None
