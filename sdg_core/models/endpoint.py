"""One model as its callers see it: ask, and get a reply or a final failure. Waiting and retrying happen here.

A client may also say that its reply comes later (`ReplyDeferredError`), which is passed on: neither a fault nor a success.

Invariants: a slot is held only while a request is on its way, never during a back-off; whatever ends a request (reply, fault,
cancellation, a bug of the client) gives its slot back; the usage of a reply, or of a failure, counts every request sent.
"""

from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import TypeVar

from sdg_core.config.distributions import Distribution
from sdg_core.config.models import InferenceParameters, ModelConfig
from sdg_core.errors import ModelError, RateLimitedError, ReplyDeferredError
from sdg_core.models.gate import Gate
from sdg_core.models.parameter_support import ParameterSupport
from sdg_core.models.retry import (
    ErrorKind,
    RetryPolicy,
    error_kind,
    retry_reason,
)
from sdg_core.models.spending import Spending
from sdg_core.models.structured import schema_in_prompt
from sdg_core.models.structured_support import StructuredOutputSupport
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
)
from sdg_core.models.usage import Usage

GiveUp = Callable[[ModelError, int], bool]
_Reply = TypeVar("_Reply", ChatResponse, EmbeddingResponse, ImageResponse)
_Request = TypeVar("_Request", ChatRequest, EmbeddingRequest, ImageRequest)


class RequestFailedError(ModelError):
    """A request was given up. `kind` is that of the last fault, which is also the `__cause__`.

    attempts: requests sent to the alias that was asked last. usage: what they counted, with the tokens of answers that were of no
    use (`rejected`). alias, prior_usage: as in Response.
    """

    def __init__(
        self,
        last: ModelError,
        *,
        kind: ErrorKind,
        attempts: int,
        alias: str | None = None,
        rejected: Usage = Usage(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(last.message, remedy=last.remedy)
        self.kind: ErrorKind = kind
        self.attempts = attempts
        self.usage = Usage(requests=attempts, retries=attempts - 1) + rejected
        self.status = last.status
        self.ends_run = last.ends_run
        self.alias = alias
        self.prior_usage: Mapping[str, Usage] = {}

    def usage_by_alias(self, asked: str) -> dict[str, Usage]:
        """Usage by alias, for a caller who asked the alias `asked`."""
        return {**self.prior_usage, self.alias or asked: self.usage}


class ModelEndpoint:
    """A client behind a gate. `random` yields numbers in `[0, 1)`; `sleep` takes seconds.

    formats, parameters: what is known of the model's structured output, and of parameters that it refuses; shared by all
    aliases of the model. alias: named in replies. spending: counts what requests use, and lets them wait for room in the budget.
    `last_error` is what the server refused or broke off with since it last answered.
    """

    def __init__(
        self,
        client: ChatClient,
        gate: Gate,
        *,
        policy: RetryPolicy,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        formats: StructuredOutputSupport | None = None,
        parameters: ParameterSupport | None = None,
        alias: str | None = None,
        spending: Spending | None = None,
    ) -> None:
        self._client = client
        self._gate = gate
        self._policy = policy
        self._sleep = sleep
        self._random = random
        self._formats = formats or StructuredOutputSupport()
        self._parameters = parameters or ParameterSupport()
        self._alias = alias
        self._spending = spending or Spending({})
        self._fallback: tuple[ModelConfig, ModelEndpoint] | None = None
        self.last_error: ModelError | None = None

    @property
    def limit(self) -> int:
        """Requests that may be open at once at present."""
        return self._gate.admission.limit

    @property
    def formats(self) -> StructuredOutputSupport:
        """What is known of the model's structured output."""
        return self._formats

    def fall_back_on(self, model: ModelConfig, endpoint: "ModelEndpoint") -> None:
        """Ask another model when this one has failed permanently."""
        self._fallback = (model, endpoint)

    def without_fallback(self) -> "ModelEndpoint":
        """The same model, which then fails for itself."""
        alone = copy(self)
        alone._fallback = None
        return alone

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Send until there is a reply. Raises RequestFailedError when the policy gives up.

        A request with a schema is sent as the model takes it: as `response_format`, or in the prompt. Whether the reply satisfies
        the schema is for the caller to see (`structured.parse`), who can ask for a correction.
        """
        try:
            if request.response_schema is None:
                return self._with_alias(
                    await self._until_answered(self._send_chat, request)
                )
            return self._with_alias(await self._structured(request))
        except RequestFailedError as error:
            model, endpoint = self._next(error)
            later = replace(
                request,
                model=model.model,
                parameters=_parameters(model, request.parameters),
            )
            return await self._from_fallback(error, lambda: endpoint.chat(later))

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """As `chat`, for vectors. There is no fallback: vectors of two models cannot be compared."""
        return self._with_alias(await self._until_answered(self._client.embed, request))

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        """As `chat`, for images."""
        try:
            return self._with_alias(
                await self._until_answered(self._client.make_images, request)
            )
        except RequestFailedError as error:
            model, endpoint = self._next(error)
            later = replace(
                request,
                model=model.model,
                parameters=_parameters(model, request.parameters),
            )
            return await self._from_fallback(error, lambda: endpoint.make_images(later))

    async def _structured(self, request: ChatRequest) -> ChatResponse:
        """Ask for a schema in the way that holds; find out which that is if nobody knows yet."""
        formats = self._formats
        schema = request.response_schema
        assert schema is not None
        if not formats.accepts(schema):
            return await self._until_answered(
                self._send_chat, schema_in_prompt(request)
            )
        try:
            reply = await self._until_answered(
                self._send_chat,
                request,
                give_up=formats.is_rejection,
            )
        except RequestFailedError as error:
            if not formats.may_blame(error):
                raise
            again = await self._with_schema_in_prompt(error, request)
            formats.refused(error, schema)
            return again
        if formats.observe(reply, schema):
            return reply
        again = await self._until_answered(self._send_chat, schema_in_prompt(request))
        return replace(again, usage=reply.usage + again.usage)

    async def _with_schema_in_prompt(
        self, error: RequestFailedError, request: ChatRequest
    ) -> ChatResponse:
        try:
            reply = await self._until_answered(
                self._send_chat, schema_in_prompt(request)
            )
        except RequestFailedError as second:
            second.usage += error.usage
            second.attempts += error.attempts
            raise
        return replace(reply, usage=reply.usage + error.usage)

    async def _until_answered(
        self,
        send: Callable[[_Request], Awaitable[_Reply]],
        request: _Request,
        *,
        give_up: GiveUp | None = None,
    ) -> _Reply:
        """give_up: whether the n-th fault of its kind is not worth repeating, although the policy would."""
        faults: dict[ErrorKind, int] = {}
        rejected = Usage()
        while True:
            try:
                reply = await self._send(send, request)
            except ModelError as error:
                self.last_error = error
                rejected += _tokens(error)
                kind = error_kind(error)
                faults[kind] = faults.get(kind, 0) + 1
                decision = self._policy.decide(error, faults[kind], self._random())
                if not decision.retry or (
                    give_up is not None and give_up(error, faults[kind])
                ):
                    attempts = sum(faults.values())
                    raise RequestFailedError(
                        error,
                        kind=kind,
                        attempts=attempts,
                        alias=self._alias,
                        rejected=rejected,
                    ) from error
                self._spending.retried(self._alias or "", retry_reason(error))
            else:
                self.last_error = None
                return (
                    _with_earlier(reply, sum(faults.values()), rejected)
                    if faults
                    else reply
                )
            await self._sleep(decision.delay)

    async def _send_chat(self, request: ChatRequest) -> ChatResponse:
        """One request, sent again at once if the server says which parameter it does not take."""
        extra = 0
        while True:
            try:
                reply = await self._client.chat(self._parameters.adapt(request))
            except ModelError as error:
                if not self._parameters.learn(error, request):
                    raise
                extra += 1
            else:
                return _with_earlier(reply, extra) if extra else reply

    async def _send(
        self, send: Callable[[_Request], Awaitable[_Reply]], request: _Request
    ) -> _Reply:
        """One request. Its share of the budget is taken before its slot, so that nobody holds a slot while waiting for money."""
        alias = self._alias or ""
        hold = await self._spending.admit(alias, request)
        used = Usage()
        answered = False
        try:
            ticket = await self._gate.acquire()
            used = Usage(requests=1)
            try:
                reply = await send(request)
            except RateLimitedError as error:
                self._gate.refused(ticket, self._policy.pause(error))
                raise
            except ModelError as error:
                self._gate.abandoned(ticket)
                used += _tokens(error)
                raise
            except ReplyDeferredError:
                self._gate.abandoned(ticket)
                used = Usage()  # counted with the reply
                raise
            except BaseException:
                self._gate.abandoned(ticket)
                raise
            self._gate.succeeded(ticket)
            used = reply.usage
            answered = True
        finally:
            self._spending.settle(alias, hold, used, answered=answered)
        return reply

    def _with_alias(self, reply: _Reply) -> _Reply:
        return reply if self._alias is None else replace(reply, alias=self._alias)

    def _next(self, error: RequestFailedError) -> "tuple[ModelConfig, ModelEndpoint]":
        """The fallback, or the error again if there is none."""
        if self._fallback is None:
            raise error
        return self._fallback

    async def _from_fallback(
        self, error: RequestFailedError, ask: Callable[[], Awaitable[_Reply]]
    ) -> _Reply:
        """What the fallback answers, with what this model has used."""
        used = error.usage_by_alias(self._alias or "")
        try:
            reply = await ask()
        except RequestFailedError as last:
            last.prior_usage = {**used, **last.prior_usage}
            raise last from error
        return replace(reply, prior_usage={**used, **reply.prior_usage})


def _parameters(model: ModelConfig, asked: InferenceParameters) -> InferenceParameters:
    """The parameters of a fallback. What it would draw is taken as drawn for the model that was asked."""
    own = model.inference_parameters
    drawn = {
        name: getattr(asked, name)
        for name in ("temperature", "top_p")
        if isinstance(getattr(own, name), Distribution)
    }
    return own.model_copy(update=drawn)


def _with_earlier(reply: _Reply, faults: int, rejected: Usage = Usage()) -> _Reply:  # noqa: B008 - frozen
    return replace(
        reply, usage=reply.usage + Usage(requests=faults, retries=faults) + rejected
    )


def _tokens(error: ModelError) -> Usage:
    """What the server counts for an answer that was of no use; the request itself is counted elsewhere."""
    return Usage(**{**error.used, "requests": 0}) if error.used else Usage()
