"""Client for servers that speak OpenAI's chat completions over HTTP (vLLM, llama.cpp, OpenAI itself, most gateways).

One request is one POST: no retries, no waiting, no limit on connections, which are matters of the endpoint and its gate.
Redirects are not followed: a redirected POST turns into a GET, and the key would travel to another host.
Invariant: whatever goes wrong leaves `chat` as a ModelError, and no error text or repr contains the API key. For that reason
the causes of the HTTP library, which carry request headers, are not chained.
"""

import time
from collections.abc import Callable

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from sdg_core.config.models import ModelProvider
from sdg_core.errors import PermanentModelError
from sdg_core.models.types import ChatClient, ChatReply, ChatRequest
from sdg_core.models.wire import Caller, connection_fault, decode_reply, encode_request, status_fault

_CHECK_TIMEOUT = 10.0


class OpenAIClient(ChatClient):
    """One provider. `api_key` is the key itself; `wall_clock` is compared with Retry-After dates."""

    def __init__(
        self, provider: ModelProvider, *, api_key: str | None, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._provider = provider
        self._wall_clock = wall_clock
        base = _base_url(provider)
        self._chat_url = _below(base, "chat/completions")
        self._models_url = _below(base, "models")
        self._caller = Caller(
            provider=provider.name,
            endpoint=str(base.with_query(None)),
            key_variable=provider.api_key or None,
            key=api_key,
        )
        self._headers = CIMultiDict({"Content-Type": "application/json"})
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._headers.update(provider.extra_headers or {})
        self._session: aiohttp.ClientSession | None = None

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Send one request once; the timeout covers connecting, waiting and reading."""
        body = encode_request(request, self._provider)
        seconds = request.parameters.timeout
        try:
            async with self._open_session().post(
                self._chat_url, data=body, timeout=aiohttp.ClientTimeout(total=seconds), allow_redirects=False
            ) as response:
                status, headers, content = response.status, response.headers, await response.read()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise connection_fault(error, caller=self._caller, model=request.model, timeout=seconds) from None
        if status != 200:
            now = self._wall_clock()
            raise status_fault(status, headers, content, caller=self._caller, model=request.model, now=now)
        return decode_reply(content, caller=self._caller, model=request.model)

    async def check(self) -> None:
        """GET /models: any answer but 401 and 403 shows a live server, as some lack the route."""
        caller = self._caller
        timeout = aiohttp.ClientTimeout(total=_CHECK_TIMEOUT)
        try:
            async with self._open_session().get(self._models_url, timeout=timeout, allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = f"no answer within {_CHECK_TIMEOUT:g} s" if isinstance(error, TimeoutError) else str(error)
            raise PermanentModelError(
                f"the endpoint {caller.endpoint} of provider {caller.provider!r} cannot be reached: {caller.redact(reason)}",
                remedy=f"start the server, or correct model_providers[{caller.provider}].endpoint",
            ) from None
        if status in (401, 403):
            raise PermanentModelError(
                f"the endpoint {caller.endpoint} of provider {caller.provider!r} answered {status}: the API key was not accepted",
                remedy=caller.key_remedy(),
            )

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        """The session belongs to the loop that sends the first request, so it cannot be made in the constructor."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


def _base_url(provider: ModelProvider) -> URL:
    try:
        return URL(provider.endpoint or "")
    except ValueError as error:
        raise PermanentModelError(
            f"the endpoint of provider {provider.name!r} is not a URL: {error}",
            remedy=f"correct model_providers[{provider.name}].endpoint",
        ) from None


def _below(base: URL, path: str) -> URL:
    """`base/path`, keeping a query such as Azure's `?api-version=`."""
    return base.joinpath(*path.split("/")).with_query(base.query)
