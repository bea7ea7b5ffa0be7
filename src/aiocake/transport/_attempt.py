"""One attempt of a call: key, turn, send, judge."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import anyio
import anyio.lowlevel
import attrs

from aiocake._listener import Listener
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
from aiocake.transport._allowance import OUT_OF_TIME
from aiocake.transport._call import Call
from aiocake.transport._edge import TOO_LATE, Answer, Wire
from aiocake.transport._fault import Fault, Kind, stripped
from aiocake.transport._pause import Refusal
from aiocake.transport._response_times import ResponseTimes
from aiocake.transport._retry import Again, Attempt, Retries, Terms, again_after
from aiocake.transport._retry_after import retry_after
from aiocake.transport._sign import Keys, Signed, sign
from aiocake.transport._throttle import Gate
from aiocake.values import Effect, Secret

__all__ = ["Attempts", "Use"]

#: Makes something of an answer: what is wrong with it, or None. Is given the slot, too.
Use = Callable[[Answer, int], Awaitable[CakeError | Fault | None]]

#: The error of an attempt that was cut from outside.
_CANCELLED: Final = "Cancelled"


class Attempts:
    """Makes the attempts of all calls of one client."""

    def __init__(  # noqa: PLR0913 - the layers of one client, put together here
        self,
        *,
        keys: Keys,
        gate: Gate,
        wire: Wire,
        retries: Retries,
        headers: list[tuple[bytes, bytes]],
        listener: Listener,
    ) -> None:
        self._keys = keys
        self._gate = gate
        self._wire = wire
        self._retries = retries
        self._headers = headers
        self._listener = listener
        #: Of writes.
        self._times = ResponseTimes()
        #: The operations that have succeeded with the key in use.
        self._proven: set[str] = set()

    async def carry(self, call: Call, use: Use) -> None:
        """Make attempts until one succeeds, or no further one is worth it.

        Args:
            call: Takes note of what happens.
            use: Makes something of each answer.
        """
        first = await self._attempt(call, use)
        if first.error is None:
            self._retries.succeeded()
        else:
            await self._carry_on(call, use, first)

    async def carry_on(self, call: Call, use: Use, outcome: CakeError | Fault) -> None:
        """Make further attempts, after one whose answer broke off when it had begun well.

        Args:
            call: As of :meth:`carry`.
            use: As of :meth:`carry`.
            outcome: What the answer broke off in.
        """
        error = call.end(outcome)
        if error is not None:
            await self._carry_on(call, use, self._failed(call, outcome, error, None))

    async def _carry_on(self, call: Call, use: Use, failed: Attempt) -> None:
        left = call.plan.attempts - call.attempts + 1
        if failed.again is not Again.NO and left > 1:
            terms = Terms(
                left,
                lambda: call.left() - self._needed(call),
                lambda attempt: self._scheduled(call, attempt),
                self._gate.sleep,
            )
            await self._retries.run(failed, lambda: self._attempt(call, use), terms)

    async def _attempt(self, call: Call, use: Use) -> Attempt:
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

    async def _once(self, call: Call, use: Use) -> Attempt:
        plan = call.plan
        if (refusal := self._gate.refusal()) is not None:
            return await self._refused(call, refusal)
        key = await self._keys.get()
        if not isinstance(key, Secret):
            return Attempt(call.no_turn(key), begun=False)
        call.key = key, self._keys.asked
        try:
            signed = sign(call.request, key, self._headers)
        except ArgumentError as error:
            stripped(error)  # of frames that hold the query with the key in it
            raise
        within = plan.queue
        if within is None and call.allowance is not None:
            within = plan.total  # no deadline around it all
        again = call.attempts > 0 or plan.patient
        turn = self._gate.turn(export=plan.export, within=within, again=again)
        slot = await (self._watched(call, turn) if self._listener.listens else turn)
        if slot is None:
            reason = NotSent("nothing was sent: no turn in the queue")
            return Attempt(call.no_turn(reason), begun=False)
        if isinstance(slot, Refusal):
            return await self._refused(call, slot)
        if call.time_left() < self._needed(call):
            self._gate.release(slot)
            return Attempt(call.no_turn(NotSent(TOO_LATE)), begun=False)
        try:
            outcome = await self._send(call, signed, slot, use)
        except BaseException:
            self._time(call, answered=False)
            self._tell_end(call, _CANCELLED)
            self._release(call, slot)
            raise
        # Before the slot is given on: who gets it is held back by the pause that this may begin.
        attempt = self._judged(call, outcome, slot)
        self._release(call, slot)
        if plan.answered is not None and attempt.error is None:
            plan.answered()
            # What that lets go on is sent before this answer is decoded, which takes longer.
            await anyio.lowlevel.cancel_shielded_checkpoint()
        return attempt

    def _release(self, call: Call, slot: int) -> None:
        if not call.kept:
            self._gate.release(slot)

    async def _refused(self, call: Call, refusal: Refusal) -> Attempt:
        # Whoever calls in a loop all the same lets others run.
        await anyio.lowlevel.checkpoint()
        return Attempt(call.refused(refusal.error()), begun=False)

    def _needed(self, call: Call) -> float:
        """The seconds that an attempt needs to have left to be begun."""
        # Another attempt at what may be done already can only bring a better end: it is not kept
        # back because its own first one was waited for in vain.
        if call.plan.effect is not Effect.READ and not (call.sent_before or call.maybe_done):
            call.needed = self._times.needed(call.plan.total)
        return call.needed

    def _time(self, call: Call, *, answered: bool) -> None:
        """Take note of how long a write has waited for its response."""
        if call.plan.effect is not Effect.READ:
            took = anyio.current_time() - call.began
            (self._times.add if answered else self._times.cut_off)(took)

    async def _watched(
        self, call: Call, turn: Awaitable[int | Refusal | None]
    ) -> int | Refusal | None:
        """The same turn; a wait for it is told."""
        queued, began = self._gate.queued, self._listener.now()
        slot: int | Refusal | None = None
        try:
            slot = await turn
        finally:
            # Whoever passes at once leaves no other task the time to queue.
            got_turn = isinstance(slot, int)
            if not got_turn or self._gate.queued != queued:
                waited = self._listener.now() - began
                self._listener.tell(Waited(call.request.operation, waited, got_turn))
        return slot

    async def _send(
        self, call: Call, signed: Signed, slot: int, use: Use
    ) -> CakeError | Fault | None:
        plan, allowance, departure = call.plan, call.allowance, call.begin()
        if plan.effect is not Effect.READ:
            departure.latest = call.deadline - self._needed(call)
        sending = self._wire.send(
            signed, slot, departure, read=plan.read, fresh=plan.effect is Effect.ONCE
        )
        answer = await (sending if allowance is None else allowance.spend(sending))
        if answer is OUT_OF_TIME:
            return Fault(Kind.SLOW, departure.sent, f"no answer within {plan.total:g} s")
        if isinstance(answer, Fault):
            return answer
        call.status, call.headers, call.framed = answer.status, answer.headers, answer.framed
        try:
            outcome = await use(answer, slot)
        finally:
            if not call.kept:
                await answer.aclose()
        if isinstance(outcome, Fault) or answer.status == HTTPStatus.REQUEST_TIMEOUT:
            # However well it was framed: a connection that brings this is not used again. A 408 may
            # be the end of the silence before the request; then the answer to that comes behind it.
            await self._wire.drop(slot)
        return outcome

    def _judged(self, call: Call, outcome: CakeError | Fault | None, slot: int) -> Attempt:
        error = call.end(outcome)
        if not isinstance(outcome, Fault):
            self._time(call, answered=True)
        elif outcome.sent:
            self._time(call, answered=False)
        self._tell_end(call, None if error is None else type(error).__name__)
        self._adapt(call, outcome)
        if outcome is None or error is None:
            self._proven.add(call.request.operation)
            self._answered(call, slot, throttled=False)
            return Attempt(None)
        return self._failed(call, outcome, error, slot)

    def _answered(self, call: Call, slot: int, *, throttled: bool) -> None:
        """A response has come: the others may go if this one went first after a pause."""
        took = self._gate.answered(slot, call.status or 0, throttled=throttled)
        if took is not None:
            self._listener.tell(PauseEnded(call.request.operation, took))

    def _adapt(self, call: Call, outcome: CakeError | Fault | None) -> None:
        """Tell the throttle what it may send; throttled answers are told by their pause."""
        if call.plan.export:
            return
        if isinstance(outcome, Fault):
            if outcome.kind is Kind.SLOW and outcome.sent:
                self._gate.slow(call.began)
        elif outcome is None or _was_let_in(outcome):
            self._gate.passed(call.began)

    def _tell_end(self, call: Call, error: str | None) -> None:
        if not self._listener.listens:
            return
        took = self._listener.now() - call.began
        sent = call.departure.sent
        self._listener.tell(
            AttemptEnded(call.request.operation, call.attempts, took, call.status, error, sent)
        )

    def _failed(
        self, call: Call, outcome: CakeError | Fault, error: CakeError, slot: int | None
    ) -> Attempt:
        again = again_after(outcome, call.plan.effect, framed=call.framed)
        pace, asked = again, None
        if isinstance(error, RateLimited):
            if error.retry_after is None:
                error.retry_after = retry_after(call.headers)
            pace, asked = Again.THROTTLED, error.retry_after
        proven = call.request.operation in self._proven
        throttled = pace is Again.THROTTLED or (pace is Again.RESTRICTED and proven)
        if slot is not None and not isinstance(outcome, Fault):
            self._answered(call, slot, throttled=throttled)
        if pace is Again.NO:
            return Attempt(error)
        wait = self._retries.wait(pace, call.attempts - 1, asked)
        if throttled:
            self._pause(call, wait, asked=asked is not None)
        return Attempt(error, again, wait)

    def _pause(self, call: Call, seconds: float, *, asked: bool) -> None:
        gate, longest, status = self._gate, self._retries.longest_pause, call.status or 0
        too_long = seconds > self._retries.longest_asked
        refused = asked and (too_long or seconds >= call.time_left())
        if refused and longest and gate.may_refuse(status):
            if gate.refuse(seconds, longest, since=call.began, status=status):
                told = Paused(call.request.operation, min(seconds, longest), refused=True)
                self._listener.tell(told)
        elif too_long:
            # It would hang every call; each of them will be told by the server itself.
            gate.slow(call.began)
        elif gate.pause(seconds, since=call.began, asked=asked):
            self._listener.tell(Paused(call.request.operation, seconds))

    def _scheduled(self, call: Call, attempt: Attempt) -> None:
        error = type(attempt.error).__name__
        self._listener.tell(
            RetryScheduled(call.request.operation, call.attempts + 1, attempt.wait, error)
        )


def _was_let_in(error: CakeError) -> bool:
    """Whether the server took the time to say no, rather than to say that it has none."""
    overloaded = isinstance(error, RateLimited | Restricted | ServerError)
    return isinstance(error, ApiError) and not overloaded
