"""One model as its callers see it: ask, and get a reply or a final failure. Waiting and retrying happen here.

Invariants: a slot is held only while a request is on its way, never during a back-off; whatever ends a request (reply, fault,
cancellation, a bug of the client) gives its slot back; the usage of a reply, or of a failure, counts every request sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from sdg_core.errors import ModelError, RateLimitedError
from sdg_core.models.gate import Gate
from sdg_core.models.retry import FaultKind, RetryDecision, RetryPolicy, fault_kind
from sdg_core.models.types import ChatClient, ChatReply, ChatRequest, Usage

OnRetry = Callable[[ModelError, RetryDecision], None]


class FailedRequestError(ModelError):
    """A request was given up. `kind` is that of the last fault, which is also the `__cause__`.

    attempts: requests sent. usage: what they counted.
    """

    def __init__(self, last: ModelError, *, kind: FaultKind, attempts: int) -> None:
        super().__init__(last.message, remedy=last.remedy)
        self.kind: FaultKind = kind
        self.attempts = attempts
        self.usage = Usage(requests=attempts, retries=attempts - 1)


class ModelEndpoint:
    """A client behind a gate. `random` yields numbers in `[0, 1)`; `sleep` takes seconds."""

    def __init__(
        self,
        client: ChatClient,
        gate: Gate,
        *,
        policy: RetryPolicy,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self._client = client
        self._gate = gate
        self._policy = policy
        self._sleep = sleep
        self._random = random

    @property
    def limit(self) -> int:
        """Requests that may be open at once at present."""
        return self._gate.admission.limit

    async def chat(self, request: ChatRequest, *, on_retry: OnRetry | None = None) -> ChatReply:
        """Send until there is a reply. Raises FailedRequestError when the policy gives up.

        on_retry: told of every fault that will be retried, before the wait.
        """
        faults: dict[FaultKind, int] = {}
        while True:
            try:
                reply = await self._send(request)
            except ModelError as error:
                kind = fault_kind(error)
                faults[kind] = faults.get(kind, 0) + 1
                decision = self._policy.decide(error, faults[kind], self._random())
                if not decision.retry:
                    raise FailedRequestError(error, kind=kind, attempts=sum(faults.values())) from error
                if on_retry is not None:
                    on_retry(error, decision)
            else:
                return _with_earlier(reply, sum(faults.values())) if faults else reply
            await self._sleep(decision.delay)

    async def _send(self, request: ChatRequest) -> ChatReply:
        ticket = await self._gate.acquire()
        try:
            reply = await self._client.chat(request)
        except RateLimitedError as error:
            self._gate.refused(ticket, self._policy.pause(error))
            raise
        except BaseException:
            self._gate.abandoned(ticket)
            raise
        self._gate.succeeded(ticket)
        return reply


def _with_earlier(reply: ChatReply, faults: int) -> ChatReply:
    return replace(reply, usage=reply.usage + Usage(requests=faults, retries=faults))
