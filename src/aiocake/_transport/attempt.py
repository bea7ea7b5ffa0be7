"""One attempt of a call: key, turn, send, judge."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import anyio
import anyio.lowlevel
import attrs

from aiocake._listener import EventEmitter
from aiocake._transport.api_key import AuthorizedRequest, Keys, insert_api_key
from aiocake._transport.call_state import CallState
from aiocake._transport.failures import FailureKind, TransportFailure, clear_tracebacks
from aiocake._transport.limiter import RequestLimiter
from aiocake._transport.network_time import OUT_OF_TIME
from aiocake._transport.pause import Refusal
from aiocake._transport.response_times import ResponseTimes
from aiocake._transport.retry import (
    AttemptOutcome,
    Retries,
    RetryDecision,
    RetryLimits,
    classify_retry,
)
from aiocake._transport.retry_after import retry_after
from aiocake._transport.sender import TOO_LATE, IncomingResponse, RequestSender
from aiocake.errors import (
    ApiError,
    ArgumentError,
    AuthenticationError,
    CakeError,
    NotSent,
    RateLimited,
    Restricted,
    ServerError,
)
from aiocake.events import AttemptEnded, Paused, PauseEnded, RetryScheduled, Waited
from aiocake.values import Idempotency, Secret

#: Makes something of an answer: what is wrong with it, or None. Is given the slot, too.
Use = Callable[[IncomingResponse, int], Awaitable[CakeError | TransportFailure | None]]

#: The error of an attempt that was cut from outside.
_CANCELLED: Final = "Cancelled"


class AttemptLoop:
    """Makes the attempts of all calls of one client."""

    def __init__(  # noqa: PLR0913 - the layers of one client, put together here
        self,
        *,
        keys: Keys,
        limiter: RequestLimiter,
        wire: RequestSender,
        retries: Retries,
        headers: list[tuple[bytes, bytes]],
        emitter: EventEmitter,
    ) -> None:
        self._keys = keys
        self._limiter = limiter
        self._sender = wire
        self._retries = retries
        self._headers = headers
        self._emitter = emitter
        #: Of writes.
        self._times = ResponseTimes()
        #: The operations that have succeeded with the key in use.
        self._proven: set[str] = set()

    async def run(self, call: CallState, use: Use) -> None:
        """Make attempts until one succeeds, or no further one is worth it.

        Args:
            call: Takes note of what happens.
            use: Makes something of each answer.
        """
        first = await self._attempt(call, use)
        if first.error is None:
            self._retries.succeeded()
        else:
            await self._run_export(call, use, first)

    async def run_export(
        self, call: CallState, use: Use, outcome: CakeError | TransportFailure
    ) -> None:
        """Make further attempts, after one whose answer broke off when it had begun well.

        Args:
            call: As of :meth:`carry`.
            use: As of :meth:`carry`.
            outcome: What the answer broke off in.
        """
        error = call.end(outcome)
        if error is not None:
            await self._run_export(call, use, self._failed(call, outcome, error, None))

    async def _run_export(self, call: CallState, use: Use, failed: AttemptOutcome) -> None:
        left = call.plan.attempts - call.attempts + 1
        if failed.decision is not RetryDecision.NONE and left > 1:
            terms = RetryLimits(
                left,
                lambda: call.left() - self._needed(call),
                lambda attempt: self._scheduled(call, attempt),
                self._limiter.sleep,
            )
            await self._retries.run(failed, lambda: self._attempt(call, use), terms)

    async def _attempt(self, call: CallState, use: Use) -> AttemptOutcome:
        """An attempt; a second one at once, when the key was refused and there is another."""
        made = await self._once(call, use)
        if not isinstance(made.error, AuthenticationError) or call.renewed or call.key is None:
            return made
        call.renewed = True
        renewed = not call.abandoned and await self._keys.renew(*call.key)
        if isinstance(renewed, CakeError):
            made.error.message += f"; and there is no new key: {renewed}"
        if renewed is not True:
            return made
        self._proven.clear()
        self._scheduled(call, attrs.evolve(made, wait=0.0))
        call.renew()
        return await self._once(call, use)

    async def _once(self, call: CallState, use: Use) -> AttemptOutcome:
        plan = call.plan
        if (refusal := self._limiter.refusal()) is not None:
            return await self._refused(call, refusal)
        key = await self._keys.get()
        if not isinstance(key, Secret):
            return AttemptOutcome(call.queue_ended(key), begun=False)
        call.key = key, self._keys.asked
        try:
            signed = insert_api_key(call.request, key, self._headers)
        except ArgumentError as error:
            clear_tracebacks(error)  # of frames that hold the query with the key in it
            raise
        within = plan.queue
        if within is None and call.network_time is not None:
            within = plan.total  # no deadline around it all
        again = call.attempts > 0 or plan.exempt_from_queue_limit
        turn = self._limiter.acquire(export=plan.export, within=within, again=again)
        slot = await (self._watched(call, turn) if self._emitter.enabled else turn)
        if slot is None:
            reason = NotSent("nothing was sent: no turn in the queue")
            return AttemptOutcome(call.queue_ended(reason), begun=False)
        if isinstance(slot, Refusal):
            return await self._refused(call, slot)
        if call.time_left() < self._needed(call):
            self._limiter.release(slot)
            return AttemptOutcome(call.queue_ended(NotSent(TOO_LATE)), begun=False)
        try:
            outcome = await self._send(call, signed, slot, use)
        except BaseException:
            self._time(call, answered=False)
            self._emit_end(call, _CANCELLED)
            self._release(call, slot)
            raise
        # Before the slot is given on: who gets it is held back by the pause that this may begin.
        attempt = self._checked(call, outcome, slot)
        self._release(call, slot)
        if plan.on_response is not None and attempt.error is None:
            plan.on_response()
            # What that lets go on is sent before this answer is decoded, which takes longer.
            await anyio.lowlevel.cancel_shielded_checkpoint()
        return attempt

    def _release(self, call: CallState, slot: int) -> None:
        if not call.kept:
            self._limiter.release(slot)

    async def _refused(self, call: CallState, refusal: Refusal) -> AttemptOutcome:
        # Whoever calls in a loop all the same lets others run.
        await anyio.lowlevel.checkpoint()
        return AttemptOutcome(call.refused(refusal.error()), begun=False)

    def _needed(self, call: CallState) -> float:
        """The seconds that an attempt needs to have left to be begun."""
        # Another attempt at what may be done already can only bring a better end: it is not kept
        # back because its own first one was waited for in vain.
        if call.plan.idempotency is not Idempotency.SAFE and not (
            call.sent_before or call.maybe_applied
        ):
            call.needed = self._times.needed(call.plan.total)
        return call.needed

    def _time(self, call: CallState, *, answered: bool) -> None:
        """Take note of how long a write has waited for its response."""
        if call.plan.idempotency is not Idempotency.SAFE:
            took = anyio.current_time() - call.began
            (self._times.add if answered else self._times.cut_off)(took)

    async def _watched(
        self, call: CallState, turn: Awaitable[int | Refusal | None]
    ) -> int | Refusal | None:
        """The same turn; a wait for it is told."""
        queued, began = self._limiter.queued, self._emitter.now()
        slot: int | Refusal | None = None
        try:
            slot = await turn
        finally:
            # Whoever passes at once leaves no other task the time to queue.
            got_turn = isinstance(slot, int)
            if not got_turn or self._limiter.queued != queued:
                waited = self._emitter.now() - began
                self._emitter.emit(Waited(call.request.operation, waited, got_turn))
        return slot

    async def _send(
        self, call: CallState, signed: AuthorizedRequest, slot: int, use: Use
    ) -> CakeError | TransportFailure | None:
        plan, network_time, trace = call.plan, call.network_time, call.begin()
        if plan.idempotency is not Idempotency.SAFE:
            trace.latest = call.deadline - self._needed(call)
        sending = self._sender.send(
            signed,
            slot,
            trace,
            read=plan.read,
            fresh=plan.idempotency is Idempotency.NON_IDEMPOTENT,
        )
        response = await (sending if network_time is None else network_time.wait_for(sending))
        if response is OUT_OF_TIME:
            return TransportFailure(
                FailureKind.TIMEOUT, trace.sent, f"no answer within {plan.total:g} s"
            )
        if isinstance(response, TransportFailure):
            return response
        call.status, call.headers, call.framed = response.status, response.headers, response.framed
        try:
            outcome = await use(response, slot)
        finally:
            if not call.kept:
                await response.aclose()
        if isinstance(outcome, TransportFailure) or response.status == HTTPStatus.REQUEST_TIMEOUT:
            # However well it was framed: a connection that brings this is not used again. A 408 may
            # be the end of the silence before the request; then the answer to that comes behind it.
            await self._sender.drop(slot)
        return outcome

    def _checked(
        self, call: CallState, outcome: CakeError | TransportFailure | None, slot: int
    ) -> AttemptOutcome:
        error = call.end(outcome)
        if not isinstance(outcome, TransportFailure):
            self._time(call, answered=True)
        elif outcome.sent:
            self._time(call, answered=False)
        self._emit_end(call, None if error is None else type(error).__name__)
        self._adapt(call, outcome)
        if outcome is None or error is None:
            self._proven.add(call.request.operation)
            self._answered(call, slot, throttled=False)
            return AttemptOutcome(None)
        return self._failed(call, outcome, error, slot)

    def _answered(self, call: CallState, slot: int, *, throttled: bool) -> None:
        """A response has come: the others may go if this one went first after a pause."""
        took = self._limiter.on_response(slot, call.status or 0, throttled=throttled)
        if took is not None:
            self._emitter.emit(PauseEnded(call.request.operation, took))

    def _adapt(self, call: CallState, outcome: CakeError | TransportFailure | None) -> None:
        """Tell the throttle what it may send; throttled answers are told by their pause."""
        if call.plan.export:
            return
        if isinstance(outcome, TransportFailure):
            if outcome.kind is FailureKind.TIMEOUT and outcome.sent:
                self._limiter.on_timeout(call.began)
        elif outcome is None or _was_accepted(outcome):
            self._limiter.on_accepted(call.began)

    def _emit_end(self, call: CallState, error: str | None) -> None:
        if not self._emitter.enabled:
            return
        took = self._emitter.now() - call.began
        sent = call.trace.sent
        self._emitter.emit(
            AttemptEnded(call.request.operation, call.attempts, took, call.status, error, sent)
        )

    def _failed(
        self,
        call: CallState,
        outcome: CakeError | TransportFailure,
        error: CakeError,
        slot: int | None,
    ) -> AttemptOutcome:
        again = classify_retry(outcome, call.plan.idempotency, framed=call.framed)
        pace, asked = again, None
        if isinstance(error, RateLimited):
            if error.retry_after is None:
                error.retry_after = retry_after(call.headers)
            pace, asked = RetryDecision.THROTTLED, error.retry_after
        proven = call.request.operation in self._proven
        throttled = pace is RetryDecision.THROTTLED or (pace is RetryDecision.RESTRICTED and proven)
        if slot is not None and not isinstance(outcome, TransportFailure):
            self._answered(call, slot, throttled=throttled)
        if pace is RetryDecision.NONE:
            return AttemptOutcome(error)
        wait = self._retries.wait(pace, call.attempts - 1, asked)
        if throttled:
            self._pause(call, wait, asked=asked is not None)
        return AttemptOutcome(error, again, wait)

    def _pause(self, call: CallState, seconds: float, *, asked: bool) -> None:
        limiter, longest, status = self._limiter, self._retries.longest_pause, call.status or 0
        too_long = seconds > self._retries.longest_asked
        refused = asked and (too_long or seconds >= call.time_left())
        if refused and longest and limiter.may_refuse(status):
            if limiter.refuse(seconds, longest, since=call.began, status=status):
                reported = Paused(call.request.operation, min(seconds, longest), refused=True)
                self._emitter.emit(reported)
        elif too_long:
            # It would hang every call; each of them will be told by the server itself.
            limiter.on_timeout(call.began)
        elif limiter.pause(seconds, since=call.began, asked=asked):
            self._emitter.emit(Paused(call.request.operation, seconds))

    def _scheduled(self, call: CallState, attempt: AttemptOutcome) -> None:
        error = type(attempt.error).__name__
        self._emitter.emit(
            RetryScheduled(call.request.operation, call.attempts + 1, attempt.wait, error)
        )


def _was_accepted(error: CakeError) -> bool:
    """Whether the server took the time to say no, rather than to say that it has none."""
    overloaded = isinstance(error, RateLimited | Restricted | ServerError)
    return isinstance(error, ApiError) and not overloaded
