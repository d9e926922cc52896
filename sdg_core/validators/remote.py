"""An HTTP endpoint that gives verdicts: `{"data": [row, ...]}` goes there, `{"data": [verdict, ...]}` comes back.

Overload, server errors, timeouts and broken connections are tried again, waiting twice as long each time; other answers are
final. Connections are kept while requests are open, and closed with the last, so that nobody has to close anything.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pyarrow as pa

from sdg_core.config.validators import RemoteParams
from sdg_core.counts import counted
from sdg_core.system.bounded_body import BodyTooLargeError, read_bounded
from sdg_core.validators.base import Outcome, ValidatorError
from sdg_core.validators.rows import verdicts

_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})


class _RetryableError(Exception):
    """Worth another attempt; the text says what happened."""


class RemoteValidator:
    """The endpoint of one validation column."""

    def __init__(
        self,
        params: RemoteParams,
        *,
        verdict: pa.StructType,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._params = params
        self._verdict = verdict
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._open = 0

    async def validate(self, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """The verdicts on some rows. Raises ValidatorError if the endpoint does not answer as it should."""
        body = orjson.dumps({"data": rows})
        answer = await self._ask(body)
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or len(data) != len(rows):
            found = (
                f"{counted(len(data), 'verdict')}"
                if isinstance(data, list)
                else "no list under `data`"
            )
            raise ValidatorError(
                f"{self._params.endpoint_url} answered {found} for {counted(len(rows), 'row')}"
            )
        return verdicts(data, who=self._params.endpoint_url, verdict=self._verdict)

    async def _ask(self, body: bytes) -> Any:
        params = self._params
        for attempt in range(params.max_retries + 1):
            try:
                return await self._post(body)
            except _RetryableError as error:
                if attempt == params.max_retries:
                    tries = "1 try" if attempt == 0 else f"{attempt + 1} tries"
                    raise ValidatorError(
                        f"{params.endpoint_url}: {error} (after {tries})"
                    ) from error
            await self._sleep(params.retry_backoff * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _post(self, body: bytes) -> Any:
        url = self._params.endpoint_url
        async with self._connection() as session:
            try:
                async with session.post(
                    url,
                    data=body,
                    headers={"Content-Type": "application/json"},
                    allow_redirects=False,
                ) as response:
                    content = await read_bounded(response.content)
            except BodyTooLargeError as error:
                raise ValidatorError(f"{url}: {error}") from None
            except TimeoutError:
                raise _RetryableError(
                    f"no answer within {self._params.timeout:g} s"
                ) from None
            except aiohttp.ClientError as error:
                raise _RetryableError(f"{type(error).__name__}: {error}") from error
        if response.status in _WORTH_ANOTHER_TRY:
            raise _RetryableError(f"HTTP {response.status}")
        if response.status != 200:
            raise ValidatorError(
                f"{url}: HTTP {response.status}: {content[:200].decode('utf-8', 'replace')}"
            )
        try:
            return orjson.loads(content)
        except ValueError as error:
            raise ValidatorError(
                f"{url} returned a response that is not JSON"
            ) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiohttp.ClientSession]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._params.timeout)
            )
        session = self._session
        self._open += 1
        try:
            yield session
        finally:
            self._open -= 1
            if self._open == 0:
                self._session = None
                await session.close()
