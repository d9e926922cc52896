"""A model server that lives with a run: started before the first request, started again when it dies, ended with the run.

Invariants: the server never outlives the run (`watchdog`); a run that cannot get it ready ends with the end of the server's log;
what a secret's variable holds is in no message.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
from yarl import URL

from sdg_core.config.models import ModelProvider, Serve
from sdg_core.errors import PermanentModelError
from sdg_core.models.serving import watchdog
from sdg_core.system.bounded_body import read_bounded

GRACE = 15.0
"""Seconds that a server has to end in order."""
_POLL_INTERVAL = 0.2
"""Seconds between two looks at whether it is ready."""
_HEALTH_TIMEOUT = 5.0
"""Seconds that a look waits for an answer."""
_EXIT_TIMEOUT = 3.0
"""Seconds until a death is known that a broken connection speaks of."""
_MAX_FRUITLESS_STARTS = 3
"""Deaths without a single reply in between, after which it is not started again."""
_LOG_LINES = 20
_LOG_BYTES = 4096


class ModelServerProcess:
    """The server of one provider, whose endpoint and command are without placeholders.

    env: all of its environment. secrets: values that no message may show. headers: what a look at its health sends.
    """

    def __init__(
        self,
        provider: ModelProvider,
        *,
        command: Sequence[str],
        env: Mapping[str, str],
        base: Path | None,
        headers: Mapping[str, str],
        secrets: Sequence[str],
        on_notice: Callable[[str], None],
    ) -> None:
        assert provider.serve is not None and provider.endpoint is not None
        self._name = provider.name
        self._serve = provider.serve
        self._endpoint = provider.endpoint
        self._command = [*command]
        self._env = dict(env)
        self._base = base
        self._headers = dict(headers)
        self._secrets = [*secrets]
        self._on_notice = on_notice
        self._log = Path(tempfile.gettempdir())
        self._ready = asyncio.Event()
        self._died = asyncio.Condition()
        self._life = 0
        self._in_vain = 0
        self._failure: PermanentModelError | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def is_starting(self) -> bool:
        """Whether it is being started again."""
        return not self._ready.is_set() and self._failure is None

    @property
    def failure(self) -> PermanentModelError | None:
        """Why it was given up, if it was."""
        return self._failure

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises PermanentModelError."""
        handle, name = tempfile.mkstemp(
            prefix=f"sdg-{_for_files(self._name)}-", suffix=".log"
        )
        os.close(handle)
        self._log = Path(name)
        self._on_notice(
            f"provider {self._name!r}: starting {self._command[0]} for {self._endpoint} (log: {self._log})"
        )
        await self._launch()
        self._supervisor = asyncio.create_task(self._keep_alive())

    async def alive(self) -> int:
        """Wait until it is ready; the number of its present life. Raises PermanentModelError once it was given up."""
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self._life

    async def has_ended(self, life: int) -> bool:
        """Whether a life is over, as a broken connection suggests."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_TIMEOUT), self._died:
                await self._died.wait_for(
                    lambda: self._life != life or not self._ready.is_set()
                )
        return self._life != life or not self._ready.is_set()

    def answered(self) -> None:
        """It has answered a request."""
        self._in_vain = 0

    async def aclose(self) -> None:
        """End it, with everything that it started. The log stays if it was given up."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        await self._end()
        if self._failure is None:
            self._log.unlink(missing_ok=True)

    async def _keep_alive(self) -> None:
        while True:
            assert self._process is not None
            status = await self._process.wait()
            self._ready.clear()
            async with self._died:
                self._died.notify_all()
            self._in_vain += 1
            try:
                if self._in_vain > _MAX_FRUITLESS_STARTS:
                    raise self._error(
                        f"exited {self._in_vain} times in a row without answering a request"
                    )
                self._on_notice(
                    f"provider {self._name!r}: the model server exited ({_exit_text(status)}); restarting it"
                )
                await self._launch()
            except PermanentModelError as error:
                error.ends_run = True
                self._failure = error
                self._ready.set()
                return

    async def _launch(self) -> None:
        """One life, until it is ready. Raises PermanentModelError, with nothing left running."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-I",
                    "-S",
                    watchdog.__file__,
                    str(GRACE),
                    *self._command,
                ),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=self._env,
                cwd=self._base,
                start_new_session=True,
            )
        try:
            await self._until_ready(self._process)
        except PermanentModelError as error:
            self._failure = error
            await self._end()
            raise
        self._life += 1
        self._ready.set()

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        ended = asyncio.ensure_future(process.wait())
        said = "nothing"
        try:
            async with (
                asyncio.timeout(self._serve.ready_timeout),
                aiohttp.ClientSession() as session,
            ):
                while not ended.done():
                    said = await self._health(session)
                    if said == "" and not ended.done():
                        return
                    await asyncio.wait([ended], timeout=_POLL_INTERVAL)
        except TimeoutError:
            limit = self._serve.ready_timeout
            raise self._error(
                f"was not ready within {limit:g} s (ready_timeout); its last answer: {said}"
            ) from None
        finally:
            ended.cancel()
        raise self._error(
            f"exited before it was ready ({_exit_text(process.returncode)})"
        )

    async def _health(self, session: aiohttp.ClientSession) -> str:
        """Empty if it is ready, else what it said."""
        timeout = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT)
        try:
            async with session.get(
                self._health_url(), headers=self._headers, timeout=timeout
            ) as response:
                await read_bounded(response.content)
                return "" if 200 <= response.status < 300 else str(response.status)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return str(error) or type(error).__name__

    def _health_url(self) -> URL:
        endpoint = URL(self._endpoint)
        if self._serve.health is None:
            return endpoint / "models"
        return endpoint.origin().join(URL(self._serve.health))

    async def _end(self) -> None:
        process = self._process
        self._process = None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()

    def _error(self, what: str) -> PermanentModelError:
        return PermanentModelError(
            f"the model server of provider {self._name!r} {what}\n{self._end_of_log()}",
            remedy=f"correct model_providers[{self._name}].serve; full log: {self._log}",
        )

    def _end_of_log(self) -> str:
        with self._log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read().decode(errors="replace")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        lines = text.splitlines()[-_LOG_LINES:]
        if not lines:
            return "its log is empty"
        quoted = [f"  | {line}" for line in lines]
        return "\n".join(["the end of its log:", *quoted])


def visible_devices(
    served: Sequence[Serve], env: Mapping[str, str]
) -> list[str | None]:
    """What `CUDA_VISIBLE_DEVICES` is for each of a run's servers: a list is taken as it is; servers that ask for a number share
    out what the run may use, in order. None: left as it is. Raises ValueError where there are not enough."""
    visible = env.get("CUDA_VISIBLE_DEVICES")
    free = [name.strip() for name in visible.split(",")] if visible else None
    taken = 0
    found: list[str | None] = []
    for serve in served:
        match serve.gpus:
            case None:
                found.append(None)
            case int(count):
                last = taken + count
                if free is None:
                    names = [str(number) for number in range(taken, last)]
                elif last <= len(free):
                    names = free[taken:last]
                else:
                    raise ValueError(
                        f"the file needs {last} GPUs, but CUDA_VISIBLE_DEVICES lists {len(free)}: {','.join(free)}"
                    )
                found.append(",".join(names))
                taken = last
            case listed:
                found.append(",".join(map(str, listed)))
    return found


def _exit_text(status: int | None) -> str:
    if status is None:
        return "still running"
    if status == watchdog.NOT_STARTED:
        return "its command could not be started"
    return f"signal {status - 128}" if status > 128 else f"status {status}"


def _for_files(name: str) -> str:
    letters = [letter if letter.isalnum() else "-" for letter in name[:40]]
    return "".join(letters)
